from __future__ import annotations

import pytest

from mlsys_lint.records import Contraction, KernelReport
from mlsys_lint_plugins.rules.depthwise_on_wide_device import check
from report_values import device, kernel, node, report


def _depthwise(index: int = 0, ridge: float = 100.0, time_s: float | None = 3e-3) -> KernelReport:
    # 3 x 3 over 56 x 56 x 144: 2*9*56*56*144 = 8.13 MFLOP; one read, one write: 2*4*451,584 B.
    elements = 56 * 56 * 144
    return kernel(
        index,
        kernel_class="conv_depthwise",
        contractions=[Contraction(batch=144, m=56 * 56, n=1, k=9, dtype="float")],
        bytes_read=4 * elements,
        bytes_written=4 * elements,
        time_s=time_s,
        ridge=ridge,
    )


def _dense(index: int = 1) -> KernelReport:
    # Nine times the FLOPs of the depthwise kernel.
    return kernel(
        index,
        kernel_class="conv",
        contractions=[Contraction(m=56 * 56, n=144, k=81, dtype="float")],
        time_s=1e-3,
        ridge=100.0,
    )


def test_a_tenth_of_the_flops_and_three_quarters_of_the_time() -> None:
    # FLOPs 1 of 1 + 9; time 3 of 3 + 1; intensity 2*9 / 8 = 2.25.
    nodes = [node(0, "Conv"), node(1, "Conv")]
    (hit,) = check(report(nodes, device(_depthwise(), _dense(), kind="gpu", ridge=100.0)))
    assert hit.message == (
        "1 depthwise convolution: 10 % of the FLOPs, 75 % of the time; "
        "2.25 F/B where the ridge is 100"
    )
    assert (hit.node, hit.saving_s) == (0, None)


def test_several_are_one_hit_and_unknown_times_are_left_out() -> None:
    kernels = [_depthwise(0, time_s=None), _depthwise(1, time_s=None)]
    (hit,) = check(report([node(0), node(1)], device(*kernels, kind="npu", ridge=None)))
    assert hit.message == (
        "2 depthwise convolutions: 100 % of the FLOPs; 2.25 F/B where the ridge is 100"
    )


@pytest.mark.parametrize(("ridge", "fires"), [(20.0, False), (20.1, True), (None, False)])
def test_a_cpu_is_wide_above_20(ridge: float | None, *, fires: bool) -> None:
    entry = _depthwise()
    assert bool(list(check(report([node(0)], device(entry, ridge=ridge))))) is fires


@pytest.mark.parametrize(
    "kernels",
    [
        [_dense(0)],
        [_depthwise(ridge=8.9)],  # 2.25 is more than a quarter of 8.9
        [_depthwise(), kernel(1, time_s=0.3)],  # 3 ms of 303 ms
        [_depthwise(time_s=1e-4), _dense()],  # 10 % of the FLOPs in 9 % of the time
    ],
)
def test_must_not_fire(kernels: list[KernelReport]) -> None:
    assert list(check(report([node(0), node(1)], device(*kernels, kind="gpu")))) == []
