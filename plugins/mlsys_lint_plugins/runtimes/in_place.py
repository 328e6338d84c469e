"""Kernels of ONNX Runtime's providers that may write into an input's buffer.

Those of the CPU were probed kernel by kernel on 1.32.0 (one node per model, reuse off: did the node
allocate its output?). Element-wise kernels that one would expect and that are not here (Add, Mul,
Exp, Gelu, HardSwish, Dropout ...) do allocate. Kernels whose output is a view of an input (Reshape
...) are not in these tables: they share its buffer whether it dies there or not.
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

_CACHES: Final = ((3, 1), (4, 2))
"""Present keys and values may take the buffers of the past ones."""

CUDA_IN_PLACE: Final = {
    **{
        ("", name): _FIRST
        for name in (
            *("Relu", "LeakyRelu", "Elu", "Selu", "ThresholdedRelu", "Shrink", "Gelu"),
            *("Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Softsign"),
            *("Trilu", "ScatterND", "TensorScatter"),
        )
    },
    **{("com.microsoft", name): _FIRST for name in ("Gelu", "QuickGelu", "Trilu", "MoE", "QMoE")},
    ("com.microsoft", "Attention"): ((4, 1),),
    ("com.microsoft", "DecoderMaskedMultiHeadAttention"): ((5, 1), (6, 2)),
    ("com.microsoft", "DecoderMaskedSelfAttention"): ((4, 1),),
    ("com.microsoft", "GroupQueryAttention"): _CACHES,
    ("com.microsoft", "SparseAttention"): _CACHES,
}
"""The same on CUDA: kernels registered with MayInplace in onnxruntime/core/providers/cuda and
contrib_ops/cuda. The activations were observed too, without a GPU: onnxruntime-gpu 1.31.1 hands
them one pointer as input and output. Add, Mul, Exp, Clip, Softmax, Cast, FastGelu get two.
"""
