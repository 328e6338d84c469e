"""Sustained share of a roof: the prior of a kernel's class, times what its shape leaves of it.

A prior's typical share is that of large, well-shaped kernels. Its optimistic end stays as it is where
a shape function is a model (a library may have smaller tiles, split the depth or pack better), its
pessimistic end takes the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlsys_lint.prediction import shapes
from mlsys_lint.records import Contraction, DeviceProfile, Efficiency, Kernel

_UNKNOWN: Final = Efficiency(low=0.05, typ=0.4, high=1.0, source="no prior: widest interval")
"""For a class of which no source gives an efficiency."""
_FALLBACK: Final[Mapping[str, tuple[str, ...]]] = {
    "conv_pointwise": ("conv", "gemm"),
    "conv_grouped": ("conv", "gemm"),
    "conv_transpose": ("conv", "gemm"),
    "conv_deformable": ("conv", "gemm"),
    "nbits_gemm": ("gemm",),
    "nbits_gemv": ("gemv", "gemm"),
    "conv": ("gemm",),
    "attention": ("batched_matmul", "gemm"),
    "batched_matmul": ("gemm",),
    "recurrent": ("gemv", "gemm"),
}
_MEMORY_FALLBACK: Final = ("stream",)
_SHARED_WEIGHTS: Final = ("conv", "conv_pointwise")
"""Classes whose batch is images under the same filters: more rows of one product."""
_PRODUCTS: Final = ("gemm", "batched_matmul", "attention")
"""Classes that mlas' SGEMM runs."""


def of_compute(profile: DeviceProfile, kernel: Kernel, contraction: Contraction) -> Efficiency:
    """Share of the engine's peak that a contraction of a kernel sustains."""
    prior = _prior(profile, kernel.kernel_class)
    if not contraction.macs:
        return prior
    if profile.kind == "gpu":
        return _scaled(prior, _on_gpu(profile, kernel.kernel_class, contraction))
    if profile.kind == "cpu":
        return _on_cpu(profile, kernel, contraction, prior)
    return prior


def _prior(profile: DeviceProfile, kernel_class: str) -> Efficiency:
    for key in (kernel_class, *_FALLBACK.get(kernel_class, ()), "default"):
        if key in profile.efficiency:
            return profile.efficiency[key]
    return _UNKNOWN


def _scaled(prior: Efficiency, share: float, certain: float = 1.0) -> Efficiency:
    """`certain` is the share that even the optimistic end is left with."""
    return Efficiency(
        low=prior.low * share,
        typ=prior.typ * share,
        high=prior.high * certain,
        source=prior.source,
    )


def _on_gpu(profile: DeviceProfile, kernel_class: str, contraction: Contraction) -> float:
    """Depthwise kernels and single rows are no tiled products."""
    if profile.units is None or kernel_class in ("conv_depthwise", "gemv", "recurrent"):
        return 1.0
    batch, m = contraction.batch, contraction.m
    if kernel_class in _SHARED_WEIGHTS:
        batch, m = 1, batch * m
    return shapes.gpu_product_share(batch, m, contraction.n, profile.units)


def _on_cpu(
    profile: DeviceProfile, kernel: Kernel, contraction: Contraction, prior: Efficiency
) -> Efficiency:
    """How mlas splits a product between threads is known; how well it packs is measured."""
    m, n, k = contraction.m, contraction.n, contraction.k
    if kernel.kernel_class in _PRODUCTS:
        split = shapes.cpu_product_share(contraction.batch, m, n, k, profile.threads or 1)
        padded = shapes.padded_share(n, shapes.COLUMNS)
        return _scaled(prior, split * shapes.panel_share(m, k), certain=split / padded)
    if kernel.kernel_class in _SHARED_WEIGHTS and profile.vector_lanes:
        return _scaled(prior, shapes.padded_share(n, profile.vector_lanes))
    return prior


def of_memory(profile: DeviceProfile, key: str) -> Efficiency:
    """Share of the bandwidth that a class of kernels sustains."""
    for name in (key, key.partition(":")[0], *_MEMORY_FALLBACK, "default"):
        if name in profile.efficiency:
            return profile.efficiency[name]
    return _UNKNOWN


def of_threads(profile: DeviceProfile, kernel: Kernel) -> float:
    """Share of a CPU's threads that a kernel without contractions is given."""
    if profile.kind != "cpu" or profile.threads is None or kernel.cost.contractions:
        return 1.0
    cost = kernel.cost
    operations = cost.vector_ops + cost.transcendentals
    given = shapes.stream_threads(cost.bytes_read + cost.bytes_written, operations, profile.threads)
    return given / profile.threads
