"""The blocked layout of convolutions and what runs between them (NchwcTransformer).

`walk` goes through the graph once and converts what it can; `layout` keeps what was converted;
`convolutions`, `pooling` and `elementwise` convert operators; `sizes` and `origins` tell which sizes
ONNX Runtime knows of a blocked value and which of them it takes to be equal.
"""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Step, Sweep
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.walk import block

STEPS: Final[tuple[Step, ...]] = (Sweep(name="NchwcTransformer", run=block),)
"""Level 3: NchwcTransformer."""
