"""Placement under nominal roofs, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mlsys_lint.budgets import judge_budgets
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import (
    Contraction,
    DeviceProfile,
    DeviceReport,
    Kernel,
    ModelReport,
    OpCost,
)
from mlsys_lint.roofline import contraction_peak, place, ridge, roofs_of
from mlsys_lint.testing import check_text

HOST = PluginHost(third_party=False)
PROFILES = {name: entry.load() for name, entry in HOST.devices.items()}
A100 = PROFILES["nv-a100-sxm4-80"]
V5E = PROFILES["tpu-v5e"]
TF32 = {"fp32": "tf32"}

GEMV = "g ({0}[1,4096] x) => ({0}[1,4096] y) <{0}[4096,4096] w> {{ y = MatMul(x, w) }}"


def _fast_math(profile: DeviceProfile) -> Mapping[str, str]:
    return HOST.runtimes[profile.runtime].fast_math


def _on(device: str, text: str) -> tuple[ModelReport, DeviceReport]:
    report = check_text(text, device=device)
    return report, report.devices[0]


PLACED = sorted(
    name
    for name, profile in PROFILES.items()
    if contraction_peak("float", profile, _fast_math(profile)) is not None
)
UNPLACED = sorted(set(PROFILES) - set(PLACED))


def _kernel(cost: OpCost, dtype: str | None = "float") -> Kernel:
    return Kernel(nodes=(0,), cost=cost, kernel_class="gemm", dtype=dtype)


def _gemm(m: int, n: int, k: int, dtype: str = "float") -> Kernel:
    size = {"float": 4, "float16": 2, "bfloat16": 2, "int8": 1}[dtype]
    return _kernel(
        OpCost(
            contractions=(Contraction(m=m, n=n, k=k, dtype=dtype),),
            bytes_read=size * (m * k + k * n),
            bytes_written=size * m * n,
        ),
        dtype,
    )


def test_the_lists_of_devices_are_what_they_should_be() -> None:
    assert {"nv-a100-sxm4-80", "i7-12700k", "rpi5", "amd-mi300x"} <= set(PLACED)
    assert {"tpu-v4", "tpu-v5e", "groq-lpu1", "graphcore-gc200", "qc-aic100-std"} <= set(UNPLACED)


@pytest.mark.parametrize("device", PLACED)
def test_a_matrix_vector_product_is_memory_bound_everywhere(device: str) -> None:
    # 2 x 4096^2 FLOPs over 4 bytes x (4096^2 weights + 4096 in + 4096 out) = 0.49976 FLOP/byte.
    report, found = _on(device, GEMV.format("float"))
    (kernel,) = found.kernels
    assert report.totals.flops == 33_554_432
    assert kernel.kernel.cost.bytes_read + kernel.kernel.cost.bytes_written == 67_141_632
    where = kernel.placement
    assert where.intensity == pytest.approx(0.49976, abs=5e-6)
    assert where.ridge is not None
    assert where.ridge > 0.5
    assert where.bound == "memory"
    bandwidth = PROFILES[device].dram.bandwidth
    assert bandwidth is not None
    assert where.attainable_flop_per_s == pytest.approx(0.49976 * bandwidth.value, rel=1e-5)


@pytest.mark.parametrize("device", UNPLACED)
def test_fp32_is_unplaced_on_a_device_without_it(device: str) -> None:
    report, found = _on(device, GEMV.format("float"))
    (kernel,) = found.kernels
    assert kernel.time_s is None
    assert kernel.bound == "unplaced"
    assert kernel.placement.dtype == "fp32"
    assert kernel.placement.bound == "none"
    assert found.unplaced == (0,)
    assert found.latency_s is None
    assert found.throughput_per_s is None
    assert found.bound_time_s == {}
    (verdict,) = judge_budgets(report, {"latency": 1e9})
    assert verdict.verdict == "unknown"
    assert "fp32" in verdict.reason


def test_one_unplaced_kernel_leaves_the_latency_open() -> None:
    text = """g (bfloat16[64,64] x, float[4,4] z) => (bfloat16[64,64] y, float[4,4] w) {
        y = MatMul(x, x)
        w = MatMul(z, z)
    }"""
    _, found = _on("tpu-v5e", text)
    assert [one.time_s is None for one in found.kernels] == [False, True]
    assert found.unplaced == (1,)
    assert found.latency_s is None


def test_a_bf16_model_is_placed_on_a_tpu() -> None:
    # MatMul and Relu: vector work in bf16 has no roof of its own there, its bytes decide.
    text = """g (bfloat16[1024,1024] x) => (bfloat16[1024,1024] y) <bfloat16[1024,1024] w> {
        t = MatMul(x, w)
        y = Relu(t)
    }"""
    _, found = _on("tpu-v5e", text)
    product, relu = found.kernels
    assert found.latency_s is not None
    assert found.unplaced == ()
    # 2 x 1024^3 / (3 x 2 x 1024^2) = 341 FLOP/byte, over the ridge of 241.
    assert product.placement.intensity == pytest.approx(1024 / 3)
    assert product.placement.ridge == pytest.approx(197e12 / 819e9)
    assert product.placement.bound == "matrix"
    assert product.placement.attainable_flop_per_s == 197e12
    assert (relu.placement.engine, relu.placement.bound) == ("none", "memory")
    assert relu.placement.ridge is None


def test_the_same_product_stands_under_the_roof_that_its_runtime_takes() -> None:
    kernel = _gemm(4096, 4096, 4096)
    plain = place(kernel, A100, roofs_of(kernel, A100, {}))
    fast = place(kernel, A100, roofs_of(kernel, A100, TF32))
    assert (plain.engine, plain.dtype, plain.bound) == ("vector", "fp32", "vector")
    assert (fast.engine, fast.dtype, fast.bound) == ("matrix", "tf32", "matrix")
    assert (plain.attainable_flop_per_s, fast.attainable_flop_per_s) == (19.5e12, 156e12)


def test_at_the_ridge_a_kernel_is_bound_by_its_engine() -> None:
    # An intensity of exactly 64 FLOP/byte on a device of 64 FLOP/s and 1 byte/s.
    profile = _scaled(A100, peak=64.0, bandwidth=1.0)
    for moved, bound in ((2, "memory"), (1, "vector")):
        cost = OpCost(vector_ops=64, bytes_read=moved)
        where = place(_kernel(cost), profile, roofs_of(_kernel(cost), profile, {}))
        assert where.bound == bound
        assert where.attainable_flop_per_s == pytest.approx(64 / moved)


def _scaled(profile: DeviceProfile, *, peak: float, bandwidth: float) -> DeviceProfile:
    dram = profile.dram
    assert dram.bandwidth is not None
    return replace(
        profile,
        peaks={
            key: replace(one, dense=replace(one.dense, value=peak, low=peak, high=peak))
            for key, one in profile.peaks.items()
        },
        memory=(
            replace(
                dram,
                bandwidth=replace(dram.bandwidth, value=bandwidth, low=bandwidth, high=bandwidth),
            ),
        ),
    )


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_ridge_is_peak_over_bandwidth(name: str) -> None:
    profile = PROFILES[name]
    for peak in profile.peaks.values():
        bandwidth = profile.dram.bandwidth
        assert bandwidth is not None
        assert ridge(peak, profile) == peak.dense.value / bandwidth.value


def test_the_engine_with_the_longest_work_names_the_placement() -> None:
    # 2e6 FLOPs at 156e12 take 13 ns, 1e6 vector operations at 19.5e12 take 51 ns.
    product = Contraction(m=100, n=100, k=100, dtype="float")
    both = _kernel(OpCost(contractions=(product,), vector_ops=1_000_000))
    where = place(both, A100, roofs_of(both, A100, TF32))
    assert (where.engine, where.dtype) == ("vector", "fp32")
    assert where.intensity is None
    assert where.bound == "vector"
    assert where.attainable_flop_per_s == 19.5e12


def test_a_kernel_that_does_nothing_is_bound_by_nothing() -> None:
    idle = _kernel(OpCost())
    where = place(idle, A100, roofs_of(idle, A100, TF32))
    assert (where.engine, where.bound, where.intensity) == ("none", "none", None)


def test_a_product_without_terms_needs_no_time_on_an_engine() -> None:
    empty = _gemm(0, 8, 8)
    roofs = roofs_of(empty, A100, TF32)
    assert (roofs.matrix, roofs.missing) == ((), None)


@pytest.mark.parametrize("dtype", ["int64", "int32", "bool"])
def test_integer_vector_work_has_no_roof_and_is_placed_by_its_bytes(dtype: str) -> None:
    kernel = _kernel(OpCost(vector_ops=100, bytes_read=800), dtype)
    for profile in (A100, V5E):
        roofs = roofs_of(kernel, profile, {})
        assert (roofs.vector, roofs.missing) == (None, None)
        assert place(kernel, profile, roofs).bound == "memory"


@pytest.mark.parametrize(("dtype", "missing"), [("float", "fp32"), ("double", "fp64")])
def test_float_vector_work_needs_an_engine_with_its_type(dtype: str, missing: str) -> None:
    assert roofs_of(_kernel(OpCost(vector_ops=100), dtype), V5E, {}).missing == missing


def test_pure_movement_needs_no_peak() -> None:
    # A transposition of fp32 runs on a TPU too: nothing is computed.
    copied = _kernel(OpCost(bytes_read=4096, bytes_written=4096))
    roofs = roofs_of(copied, V5E, {})
    assert roofs.missing is None
    assert place(copied, V5E, roofs).bound == "memory"
