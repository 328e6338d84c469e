"""The micro-networks, built and run for real, a few times each."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("scipy")
pytest.importorskip("onnxruntime")

from mlsys_lint.analysis import analyse
from mlsys_lint.calibration import calibrating, running
from mlsys_lint.execution import execute
from mlsys_lint.host import detect_host
from mlsys_lint.loading import prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Calibration, DeviceProfile, Kernel, MicroNetwork
from mlsys_lint.shapes import Bindings

HOST = PluginHost(third_party=False)
RUNTIME = HOST.runtimes["onnxruntime-cpu"]
PROFILE = detect_host(1)


@cache
def networks() -> tuple[MicroNetwork, ...]:
    assert RUNTIME.timing is not None
    return tuple(RUNTIME.timing.networks())


def kernels(network: MicroNetwork) -> tuple[Kernel, ...]:
    analysis = analyse(prepare(network.model, Path("m.onnx")), HOST, Bindings())
    return execute(analysis, HOST, RUNTIME, PROFILE).kernels


def test_names_are_unique() -> None:
    names = [one.name for one in networks()]
    assert len(set(names)) == len(names)


def test_every_term_is_explained_and_counts_something() -> None:
    timing = RUNTIME.timing
    assert timing is not None
    terms, plain = timing.terms(PROFILE), timing.plain(PROFILE)
    unknown = set()
    for network in networks():
        for kernel in kernels(network):
            for _, amounts in (terms(kernel), plain(kernel)):
                assert min(amounts.values()) >= 0, kernel
                unknown |= {term for term in amounts if timing.quantity(term) is None}
    assert unknown == set()


def test_two_threads_never_have_more_to_do_than_one() -> None:
    """Amounts are those of the thread with most work; starting it is a term of its own.

    Narrower shares may leave more slots of a register block idle.
    """
    timing = RUNTIME.timing
    assert timing is not None
    one, two = timing.terms(PROFILE), timing.terms(detect_threads(2))
    for network in networks():
        for kernel in kernels(network):
            (_, alone), (_, shared) = one(kernel), two(kernel)
            for term in alone.keys() & shared.keys() - {"stall"}:
                assert shared[term] <= alone[term] * 1.001 + 1e-9, (network.name, kernel.op, term)


def detect_threads(count: int) -> DeviceProfile:
    """This machine with more threads, each with the caches of its own core."""
    levels = tuple(
        replace(level, capacity_bytes=(level.capacity_bytes or 0) * count)
        if place < len(PROFILE.memory) - 2
        else level
        for place, level in enumerate(PROFILE.memory)
    )
    return replace(PROFILE, threads=count, memory=levels)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """Every network is run ten times or so: enough to see which kernels there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "RUN_S", 0.01)
        patch.setattr(calibrating, "LIMIT_S", 0.0)
        found = calibrating.calibrated_profile(HOST, 1).calibration
    assert found is not None
    return found


def test_the_runtime_executes_the_kernels_that_are_expected(calibration: Calibration) -> None:
    assert RUNTIME.version is not None
    if calibration.version.split(".")[:2] != RUNTIME.version.split(".")[:2]:
        pytest.skip(f"ONNX Runtime {calibration.version}: the emulation follows {RUNTIME.version}")
    assert calibration.left_out == ()


def test_every_kind_of_kernel_is_calibrated(calibration: Calibration) -> None:
    wanted = {
        *("conv", "conv_pointwise", "conv_stem", "conv_depthwise", "conv_plain", "gemm", "gemv"),
        *("batched_matmul", "attention", "recurrent", "softmax", "layer_norm", "skip_norm"),
        *("unary", "binary", "reduce", "copy", "transpose_matrix", "reorder", "pool_blocked"),
        *("integer_conv", "integer_product", "convert", "matmul_nbits", "suppression", "generic"),
    }
    assert wanted <= calibration.classes.keys()
    assert calibration.flop_per_s["fp32"] > 0
    assert calibration.bytes_per_s is not None
