"""Times that no run can beat: hard rates, perfect overlap, the least case of the data.

A kernel's floor is the largest of three, for engines, SIMD units and load ports may all work at
once:
- products: `2 * MACs / (g * hard rate)` without those that a mask or padding makes unnecessary; `g`
  is what the runtime's algorithms save (Winograd, Fourier transforms);
- vector operations, at three times the hard rate of fused multiply-adds (`_VECTOR_GAIN`);
- bytes through the CPU's load and store ports: what a kernel reads or writes passes a register.

Kernels run one after the other, so their floors add up. A model's floor is that sum, or the time for
the bytes that must cross from DRAM in every run if that is longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from mlsys_lint.prediction.windows import window_of
from mlsys_lint.records import DeviceProfile, Kernel, KernelReport, Runtime
from mlsys_lint.roofline import Product, Roofs

_VECTOR_GAIN: Final = 3.0
"""How far counted vector operations can outrun the rate of fused multiply-adds.

1.5: a core may add beside it (AMD Zen has two pipes for FMA and two for additions, which makes 48
operations a cycle where FMA alone makes 32; measured on Zen 3: 144 against 120 GFLOP/s,
wlog.flatlib.jp/2024/01/13/ryzen-zen3-vfpbench). 2: algebra halves a count at most: the four
operations of a BatchNormalization become the product and sum of one scale and shift, an instance
norm's seven become four.
"""
_INT8_LANES: Final = 4
_PLAIN: Final = frozenset({"elementwise", "softmax", "norm", "reduction"})
"""Classes, with `unary:*`, in which every counted operation is done for every element.

Not pooling: windows skip padding and share comparisons. Not quantization: conversions round and
clamp for nothing.
"""
_STREAMS: Final = _PLAIN | {"transpose", "concat"}
"""Classes, with `unary:*`, that read every element of what they count and write every result."""


def of_kernel(kernel: Kernel, profile: DeviceProfile, roofs: Roofs, runtime: Runtime) -> float:
    """Least seconds of one execution; 0 where data decide whether or at what size it runs."""
    if not kernel.certain:
        return 0.0
    return max(
        _products(kernel, profile, roofs, runtime), _vector(kernel, roofs), _ports(kernel, profile)
    )


def _products(kernel: Kernel, profile: DeviceProfile, roofs: Roofs, runtime: Runtime) -> float:
    if not kernel.cost.macs:
        return 0.0
    useful, gain = 1.0, runtime.algorithmic_gain.get(kernel.kernel_class, 1.0)
    if kernel.kernel_class.startswith("conv") and kernel.kernel_class != "conv_deformable":
        window = window_of(kernel.view) if kernel.view is not None else None
        if window is None:
            return 0.0
        useful = window.useful
        if kernel.kernel_class in ("conv", "conv_transpose"):
            gain = _conv_gain(window.kernel, runtime) if window.is_plain else 1.0
    useful -= kernel.cost.macs_masked / kernel.cost.macs
    return sum(
        work.flops * useful / (max(gain, 1.0) * _hard(kernel, work, profile))
        for work in roofs.matrix
    )


def _hard(kernel: Kernel, work: Product, profile: DeviceProfile) -> float:
    """Hard rate of a contraction; weights of a few bits may meet inputs rounded to 8 bits.

    MatMulNBits does so with accuracy_level 4 (onnxruntime docs/ContribOperators.md): with AVX-512 VNNI
    a prefill ran 1.4 times as fast as in fp32. Where no peak for int8 is known it is at most four
    times that of fp32: bytes fill the same registers.
    """
    if not kernel.kernel_class.startswith("nbits"):
        return work.peak.hard
    narrow = [peak.hard for (_, dtype), peak in profile.peaks.items() if dtype == "int8"]
    return max(work.peak.hard, *(narrow or [_INT8_LANES * work.peak.hard]))


def _conv_gain(kernel: tuple[int, ...], runtime: Runtime) -> float:
    """Winograd's on 3x3, as the runtime declares it; a Fourier transform's on what is larger.

    With real data a transform takes half a complex product per point and pair of channels, 2 MACs,
    in place of one for each tap.
    """
    winograd = runtime.algorithmic_gain.get("conv", 1.0) if kernel == (3, 3) else 1.0
    fourier = prod(kernel) / 2 if runtime.fourier_convolutions and kernel != (3, 3) else 1.0
    return max(winograd, fourier)


def _vector(kernel: Kernel, roofs: Roofs) -> float:
    """Transcendentals count 0; an integer's operations pack more lanes than its peak says."""
    if roofs.vector is None or not _belongs(kernel, _PLAIN):
        return 0.0
    peak = roofs.vector.peak
    is_float = peak.dtype.startswith(("fp", "bf"))
    return roofs.vector.flops / (_VECTOR_GAIN * peak.hard) if is_float else 0.0


def _ports(kernel: Kernel, profile: DeviceProfile) -> float:
    """Activations read and written over the nearest cache's hard rate; constants left out.

    The nearest cache of a CPU serves every load and store. Elsewhere its figure, where there is
    one, is that of one level among several that a kernel may bypass.
    """
    nearest = profile.memory[0]
    if profile.kind != "cpu" or nearest.level != "l1" or nearest.hard_bandwidth is None:
        return 0.0
    if not _belongs(kernel, _STREAMS):
        return 0.0
    cost = kernel.cost
    moved = cost.bytes_read - cost.weight_bytes + cost.bytes_written
    return max(0, moved) / nearest.hard_bandwidth


def _belongs(kernel: Kernel, classes: frozenset[str]) -> bool:
    return kernel.kernel_class in classes or kernel.kernel_class.startswith("unary:")


def of_model(reports: Sequence[KernelReport], profile: DeviceProfile, io_bytes: int) -> float:
    """The larger of the kernels' floors together and the bytes that must cross from DRAM."""
    work = sum(one.time_s.floor * one.kernel.repeat for one in reports if one.time_s is not None)
    weights = {
        key: size for one in reports if one.kernel.certain for key, size in one.kernel.weights
    }
    caches = sum(
        level.capacity_bytes or 0 for level in profile.memory[:-1] if level.managed == "hardware"
    )
    crossing = max(0, sum(weights.values()) + io_bytes - caches)
    rate = profile.dram.hard_bandwidth
    return max(work, crossing / rate if rate else 0.0)
