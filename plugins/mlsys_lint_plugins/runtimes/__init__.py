"""Runtimes that mlsys-lint knows: which kernels run, which compute in place, what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from mlsys_lint import Runtime, hookimpl
from mlsys_lint.program import Program, execution_order, listed_order
from mlsys_lint.records import DeviceProfile, Kernel
from mlsys_lint.records.calibration import MicroNetwork, Quantity, Terms, Timing
from mlsys_lint_plugins.runtimes.in_place import CUDA_IN_PLACE, IN_PLACE
from mlsys_lint_plugins.runtimes.resident import (
    ACTIVATION_SLACK,
    BASE_BYTES,
    KERNEL_BYTES,
    LOAD_REMAINDER,
)

_FOLLOWED: Final = "1.32.0"
_FOLLOWED_ON_CUDA: Final = "1.31.1"
"""The newest build with the CUDA provider whose kernels and saved graphs could be looked at."""


def _on_cpu(program: Program) -> None:
    """The optimizers are imported when a model goes through them: listings need none."""
    from mlsys_lint_plugins.runtimes.onnxruntime.levels import rewrite

    rewrite(program)


def _on_cuda(program: Program) -> None:
    """Likewise."""
    from mlsys_lint_plugins.runtimes.onnxruntime.cuda import rewrite

    rewrite(program)


def _terms(profile: DeviceProfile) -> Callable[[Kernel], Terms]:
    """Likewise."""
    from mlsys_lint_plugins.runtimes.onnxruntime.timing import terms

    return terms(profile)


def _plain(profile: DeviceProfile) -> Callable[[Kernel], Terms]:
    """Likewise."""
    from mlsys_lint_plugins.runtimes.onnxruntime.timing import plain

    return plain(profile)


def _networks() -> Iterable[MicroNetwork]:
    """Likewise."""
    from mlsys_lint_plugins.runtimes.onnxruntime.timing import networks

    return networks()


def _quantity(term: str) -> Quantity | None:
    """Likewise."""
    from mlsys_lint_plugins.runtimes.onnxruntime.timing.quantities import quantity

    return quantity(term)


@hookimpl
def register_runtimes() -> list[Runtime]:
    """ONNX Runtime on CPUs and CUDA GPUs, and `none`: every node as it stands."""
    return [
        Runtime(
            name="onnxruntime-cpu",
            rewrite=_on_cpu,
            order=execution_order,
            in_place=IN_PLACE,
            # No algorithmic gain: 1.32.0 convolves directly with AVX-512 (tests/core/test_winograd.py
            # asks it). Winograd's F(2x2, 3x3) came to mlas later, and for AVX-512 alone.
            base_bytes=BASE_BYTES,
            kernel_bytes=KERNEL_BYTES,
            load_remainder=LOAD_REMAINDER,
            activation_slack=ACTIVATION_SLACK,
            version=_FOLLOWED,
            timing=Timing(
                terms=_terms,
                plain=_plain,
                networks=_networks,
                quantity=_quantity,
                fallback="generic",
            ),
            sources=(
                "microsoft/onnxruntime mlas/lib/intrinsics/avx512/snchwc_winograd.cpp",
                "resident memory measured on ONNX Runtime 1.32.0, x86-64",
            ),
        ),
        Runtime(
            name="onnxruntime-cuda",
            rewrite=_on_cuda,
            order=execution_order,
            in_place=CUDA_IN_PLACE,
            # F(4x4, 3x3), the largest tile in cuDNN's non-fused Winograd: 144 products in 36.
            algorithmic_gain={"conv": 4.0},
            fourier_convolutions=True,  # CUDNN_CONVOLUTION_FWD_ALGO_FFT, _FFT_TILING
            fast_math={"fp32": "tf32"},  # use_tf32 is 1 by default
            # GPU memory of small models: 126 to 443 MB for a 9 MB MobileNet (issue 5801), 345 MB
            # for ResNet-18 with 47 MB of weights (issue 9138).
            base_bytes=(117_000_000, 300_000_000, 650_000_000),
            activation_slack=ACTIVATION_SLACK,  # that of the CPU provider: not measured on CUDA
            version=_FOLLOWED_ON_CUDA,
            sources=(
                "onnxruntime-gpu 1.31.1 without a GPU: saved graphs, kernels, buffers in place",
                "the same for 1.32.0: read only; not verified on a GPU",
                "microsoft/onnxruntime core/optimizer/graph_transformer_utils.cc",
                "microsoft/onnxruntime core/framework/fallback_cpu_capability.cc",
                "microsoft/onnxruntime core/optimizer/transformer_memcpy.cc",
                "microsoft/onnxruntime core/providers/cuda, contrib_ops/cuda (kernel registrations)",
                "activation slack: taken over from the CPU provider, unverified",
                "microsoft/onnxruntime issues 5801 and 9138 (nvidia-smi readings)",
                "Lavin & Gray, arXiv:1509.09308",
                "onnxruntime CUDA execution provider documentation, use_tf32",
            ),
        ),
        Runtime(
            name="none",
            rewrite=lambda _: None,
            order=listed_order,
            reuses_buffers=False,
            in_place={},
        ),
    ]
