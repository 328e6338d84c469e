"""Runtimes that mlsys-lint knows: which kernels run, which compute in place, what they hold.

The in-place table is that of ONNX Runtime's CPU provider, probed kernel by kernel on 1.32.0 (one
node per model, reuse off: did the node allocate its output?). Element-wise kernels that one would
expect and that are not in it (Add, Mul, Exp, Gelu ...) do allocate.
"""

from __future__ import annotations

from typing import Final

from mlsys_lint import Runtime, hookimpl
from mlsys_lint.fusion import every_node, executed_nodes

_FOLLOWED: Final = "1.32.0"
_UNARY: Final = [
    "Relu",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Celu",
    "ThresholdedRelu",
    "Sigmoid",
    "HardSigmoid",
    "Tanh",
    "Softplus",
    "Softsign",
    "Shrink",
    "Clip",
    "Softmax",
    "LogSoftmax",
    "Cast",
    "CastLike",
    "BitCast",
    "Trilu",
    "Scatter",
    "ScatterElements",
    "TensorScatter",
]
_IN_PLACE: Final = {
    **{("", name): ((0, 0),) for name in _UNARY},
    ("com.microsoft", "Trilu"): ((0, 0),),
    ("com.microsoft", "FusedConv"): ((3, 0),),
    ("com.microsoft.nchwc", "Conv"): ((3, 0),),
}


@hookimpl
def register_runtimes() -> list[Runtime]:
    """ONNX Runtime on CPUs and CUDA GPUs, and `none`: every node as it stands."""
    return [
        Runtime(
            name="onnxruntime-cpu",
            fuse=executed_nodes,
            in_place=_IN_PLACE,
            # F(2x2, 3x3) does the work of 36 multiplications in 16: mlas has such an AVX-512 kernel.
            algorithmic_gain={"conv": 2.25},
            # Resident memory of a process with one tiny session over one with numpy, on 1.32.0.
            base_bytes=(21_000_000, 32_000_000, 58_000_000),
            # VGG-19 (575 MB of weights): 507 MB held once loaded, 899 MB at the height of loading.
            weight_copies=(0.9, 1.0, 1.6),
            # Resident growth over VGG-19's peak of 25.7 MB: 28.1 after one run, 52.6 after four.
            activation_slack=(1.0, 1.1, 2.1),
            version=_FOLLOWED,
            sources=(
                "microsoft/onnxruntime mlas/lib/intrinsics/avx512/snchwc_winograd.cpp",
                "Lavin & Gray, arXiv:1509.09308",
                "resident memory measured on ONNX Runtime 1.32.0, x86-64",
            ),
        ),
        Runtime(
            name="onnxruntime-cuda",
            fuse=executed_nodes,
            # CPU tables, for want of a GPU to probe: CUDA kernels compute in place more often.
            in_place=_IN_PLACE,
            # F(4x4, 3x3), the largest tile in cuDNN's non-fused Winograd: 144 products in 36.
            algorithmic_gain={"conv": 4.0},
            fast_math={"fp32": "tf32"},  # use_tf32 is 1 by default
            # GPU memory of small models: 126 to 443 MB for a 9 MB MobileNet (issue 5801), 345 MB
            # for ResNet-18 with 47 MB of weights (issue 9138).
            base_bytes=(117_000_000, 300_000_000, 650_000_000),
            activation_slack=(1.0, 1.1, 2.1),  # that of the CPU provider: not measured on CUDA
            version=_FOLLOWED,
            sources=(
                "in-place kernels and activation slack: taken over from the CPU provider, unverified",
                "microsoft/onnxruntime issues 5801 and 9138 (nvidia-smi readings)",
                "Lavin & Gray, arXiv:1509.09308",
                "onnxruntime CUDA execution provider documentation, use_tf32",
            ),
        ),
        Runtime(name="none", fuse=every_node, in_place={}),
    ]
