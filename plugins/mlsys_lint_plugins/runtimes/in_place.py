"""Kernels of ONNX Runtime's CPU provider that may write into an input's buffer.

Probed kernel by kernel on 1.32.0 (one node per model, reuse off: did the node allocate its
output?). Element-wise kernels that one would expect and that are not here (Add, Mul, Exp, Gelu,
HardSwish, Dropout ...) do allocate. Kernels whose output is a view of an input (Reshape ...) are
not in this table: they share its buffer whether it dies there or not.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = ((0, 0),)
"""The first output may take the buffer of the first input."""
_RESIDUAL: Final = ((3, 0),)
"""The output may take the buffer of what is added to it."""

IN_PLACE: Final = {
    **{
        ("", name): _FIRST
        for name in (
            *("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Clip", "Shrink"),
            *("Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax"),
            *("Cast", "CastLike", "BitCast"),  # between types of one width
            *("Trilu", "Scatter", "ScatterElements", "TensorScatter"),
        )
    },
    ("com.microsoft", "Trilu"): _FIRST,
    ("com.microsoft", "FusedConv"): _RESIDUAL,
    ("com.microsoft.nchwc", "Conv"): _RESIDUAL,
}
"""(domain, operator) -> (input, output) positions."""
