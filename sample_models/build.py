"""Write the sample models: small, deterministic, ours.

    python sample_models/build.py [FOLDER]        default: beside this file

Weights are drawn with a fixed seed, or made by ConstantOfShape where they would be large. The same
onnx release writes the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import convolutional_models
import dense_models
import sequence_models

MODELS = {**dense_models.MODELS, **convolutional_models.MODELS, **sequence_models.MODELS}


def build_all() -> Iterator[tuple[str, bytes]]:
    """(file name, content) of every sample."""
    for name, sample in MODELS.items():
        yield f"{name}.onnx", sample().SerializeToString(deterministic=True)


def main() -> None:
    """Write all samples."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in build_all():
        (folder / name).write_bytes(content)
        sys.stdout.write(f"{name}: {len(content)} bytes\n")


if __name__ == "__main__":
    main()
