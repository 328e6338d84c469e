from __future__ import annotations

import pytest

from mlsys_lint import Hit
from mlsys_lint.records import KernelReport, ModelReport, NodeCost, TensorInfo
from mlsys_lint_plugins.rules.channels_off_block import check
from report_values import device, kernel, node, report, tensor


def _conv(weight: TensorInfo, group: int = 1) -> NodeCost:
    return node(0, "Conv", tensor("x", 1, 64, 56, 56), weight, attributes={"group": group})


def _weight(*shape: int, constant: bool = True, dtype: str = "float") -> TensorInfo:
    return tensor("w", *shape, constant=constant, dtype=dtype)


def _kernel(time_s: float | None = 10e-3, bound: str = "matrix") -> KernelReport:
    return kernel(0, kernel_class="conv", time_s=time_s, bound=bound)


def _hits(weight: TensorInfo, group: int = 1, lanes: int | None = 16) -> list[Hit]:
    return list(check(report([_conv(weight, group)], device(_kernel(), vector_lanes=lanes))))


def test_input_and_output_channels_are_padded_to_blocks_of_16() -> None:
    # 20 -> 100 is computed as 32 -> 112: 1 - 20*100 / (32*112) = 1 - 2000/3584 = 0.44196.
    (hit,) = _hits(_weight(100, 20, 3, 3))
    assert (
        hit.message == "20 -> 100 channels; in blocks of 16, 44 % of the computed work is padding"
    )
    assert hit.saving_s == pytest.approx(10e-3 * (1 - 2000 / 3584))
    assert (hit.node, hit.device) == (0, "toy")


def test_blocks_of_8_pad_less() -> None:
    # 20 -> 100 is computed as 24 -> 104: 1 - 2000/2496 = 0.19872.
    (hit,) = _hits(_weight(100, 20, 3, 3), lanes=8)
    assert hit.saving_s == pytest.approx(10e-3 * (1 - 2000 / 2496))


def test_fewer_input_channels_than_a_block_are_read_unblocked() -> None:
    # 3 -> 24 is computed as 3 -> 32: 1 - 24/32 = 0.25.
    (hit,) = _hits(_weight(24, 3, 3, 3))
    assert hit.saving_s == pytest.approx(10e-3 * 0.25)


def test_input_channels_that_are_no_multiple_of_4_stay_outside_the_layout() -> None:
    (hit,) = _hits(_weight(64, 18, 3, 3))
    assert hit.message == "18 input channels, no multiple of 4: kept out of the blocked layout"
    assert hit.saving_s is None


def test_depthwise_channels_are_padded_too() -> None:
    (hit,) = _hits(_weight(24, 1, 3, 3), group=24)  # 24 -> 32: a quarter
    assert hit.saving_s == pytest.approx(10e-3 * 0.25)
    (hit,) = _hits(_weight(30, 1, 3, 3), group=30)
    assert hit.saving_s is None


@pytest.mark.parametrize(
    ("weight", "group"),
    [
        (_weight(64, 3, 7, 7), 1),  # a first layer
        (_weight(128, 64, 3, 3), 1),
        (_weight(255, 64, 1, 1), 1),  # 255 of 256: 0.4 % of padding
        (_weight(64, 4, 3, 3), 16),  # grouped: not judged
        (_weight(100, 20, 3, 3, constant=False), 1),
        (_weight(100, 20, 3, 3, dtype="float16"), 1),
        (_weight(100, 20, 3), 1),  # one-dimensional convolutions are not blocked
    ],
)
def test_must_not_fire(weight: TensorInfo, group: int) -> None:
    assert _hits(weight, group) == []


def _misfit() -> list[NodeCost]:
    return [_conv(_weight(100, 20, 3, 3)), node(1)]


@pytest.mark.parametrize(
    "quiet",
    [
        report(_misfit(), device(_kernel(), vector_lanes=None)),
        report(_misfit(), device(_kernel(), vector_lanes=4)),
        report(_misfit(), device(_kernel(), kind="gpu")),
        report(_misfit(), device(_kernel(), runtime="none")),
        # 44 % of 10 ms is 0.99 % of 446 ms.
        report(_misfit(), device(_kernel(), kernel(1, time_s=436e-3))),
    ],
)
def test_where_blocks_do_not_matter_it_is_quiet(quiet: ModelReport) -> None:
    assert list(check(quiet)) == []


@pytest.mark.parametrize("entry", [_kernel(bound="memory"), _kernel(time_s=None)])
def test_a_saving_is_claimed_only_of_work_whose_time_is_known(entry: KernelReport) -> None:
    (hit,) = check(report(_misfit(), device(entry)))
    assert hit.saving_s is None
