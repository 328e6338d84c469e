"""Micro-networks by family, in the order in which they are timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.attention import attention
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.convolutions import convolutions
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.detection import detection
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.elementwise import elementwise
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.movement import movement
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.normalization import normalization
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.plain_convolutions import (
    plain_convolutions,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.pooling import pooling
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.products import products
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.quantized import quantized
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.recurrent import recurrent

FAMILIES: Final[Mapping[str, Callable[[], Iterable[Net]]]] = {
    "convolutions": convolutions,
    "products": products,
    "attention": attention,
    "recurrent": recurrent,
    "elementwise": elementwise,
    "normalization": normalization,
    "movement": movement,
    "plain_convolutions": plain_convolutions,
    "pooling": pooling,
    "quantized": quantized,
    "detection": detection,
}
