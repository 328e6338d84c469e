"""Figures of merit, baselines and causes, derived by hand."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from mlsys_lint.records import (
    Coverage,
    DeviceProfile,
    DeviceReport,
    Efficiency,
    Figure,
    Interval,
    Kernel,
    KernelReport,
    MemoryLevel,
    ModelInfo,
    ModelReport,
    NodeCost,
    NodeStatus,
    NodeView,
    OpCost,
    Placement,
    Totals,
)
from mlsys_lint.records.kernel_groups import Cause, KernelGroup
from mlsys_lint.records.validation import Spread
from mlsys_lint.validation.baselines import baselines_of, constant_efficiency_s
from mlsys_lint.validation.causes import worst_of
from mlsys_lint.validation.groups import Grouped
from mlsys_lint.validation.statistics import beats_floor, spearman, summary_of

MICRO = 1e-6


def _interval(expected: float, low: float, high: float, floor: float = 0.0) -> Interval:
    """Microseconds."""
    return Interval(
        floor=floor * MICRO, low=low * MICRO, expected=expected * MICRO, high=high * MICRO
    )


def _group(
    measured: float,
    predicted: Interval | None,
    *,
    executed: int = 1,
    nodes: tuple[int, ...] = (0,),
    ops: tuple[tuple[str, ...], tuple[str, ...]] = (("ai.onnx::Relu",), ("ai.onnx::Relu",)),
) -> KernelGroup:
    return KernelGroup(
        label="k",
        nodes=nodes,
        executed=("k",) * executed,
        executed_ops=ops[0],
        predicted_ops=ops[1],
        kernel_class="elementwise",
        predicted=predicted,
        measured_s=measured * MICRO,
    )


_MODEL = _interval(expected=200, low=100, high=300, floor=50)
_RUNS = Spread(min=180e-6, p10=190e-6, median=200e-6, p90=210e-6)


def test_summary_by_hand() -> None:
    groups = (
        _group(100, _interval(80, 60, 120)),  # missed by 20, 20 %, inside
        _group(40, _interval(50, 42, 60), executed=2),  # missed by 10, 25 %, outside
        _group(10, _interval(40, 20, 50)),  # too short to be judged; missed by 30
        _group(0, _interval(20, 10, 30), executed=0),  # predicted, did not run: missed by 20
        _group(30, None),  # nothing was predicted
    )
    found = summary_of(_MODEL, _RUNS, groups, 20e-6, quiet=True)
    assert found.time_weighted_error == pytest.approx((20 + 10 + 30 + 20) / 150)
    assert found.median_error_over_20us == pytest.approx((0.20 + 0.25) / 2)
    # Expected 80, 50, 40 against measured 100, 40, 10: the same order.
    assert found.spearman == pytest.approx(1.0)
    assert found.mapped_time_fraction == pytest.approx(180 / 200)
    assert found.single_kernel_time_fraction == pytest.approx(140 / 180)
    assert found.interval_coverage == pytest.approx(1 / 2)
    assert found.floor_tightness == pytest.approx(50 / 200)
    assert found.floor_violations == 0


def test_floors_of_groups_count_from_20_us_and_on_a_quiet_machine() -> None:
    beaten = _group(25, _interval(60, 40, 90, floor=30))
    short = _group(19, _interval(60, 40, 90, floor=30))
    assert (beats_floor(beaten), beats_floor(short)) == (True, False)
    groups = (beaten, short)
    assert summary_of(_MODEL, _RUNS, groups, 0.0, quiet=True).floor_violations == 1
    assert summary_of(_MODEL, _RUNS, groups, 0.0, quiet=False).floor_violations == 0
    fast = Spread(min=40e-6, p10=190e-6, median=200e-6, p90=210e-6)  # the model's floor is 50 us
    assert summary_of(_MODEL, fast, groups, 0.0, quiet=True).floor_violations == 2


def test_model_stands_for_groups_that_were_not_measured() -> None:
    found = summary_of(_MODEL, _RUNS, None, 0.0, quiet=True)
    assert (found.interval_coverage, found.mapped_time_fraction, found.spearman) == (
        1.0,
        None,
        None,
    )
    assert (found.time_weighted_error, found.median_error_over_20us) == (None, None)


def test_mapping_is_known_without_a_prediction() -> None:
    found = summary_of(None, _RUNS, (_group(30, None),), 10e-6, quiet=True)
    assert found.mapped_time_fraction == pytest.approx(0.75)
    assert (found.floor_violations, found.interval_coverage) == (None, None)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3], [10, 20, 90], 1.0),
        ([1, 2, 3], [9, 5, 1], -1.0),
        # Ranks 0, 1, 2, 3 against 1, 0, 3, 2: 1 - 6 * 4 / (4 * 15).
        ([1, 2, 3, 4], [2, 1, 4, 3], 0.6),
        # Ranks 0.5, 0.5, 2 against 0, 1, 2: covariance 1.5, variances 1.5 and 2.
        ([1, 1, 2], [1, 2, 3], 1.5 / (1.5 * 2) ** 0.5),
        ([1], [1], None),
        ([1, 1], [1, 2], None),
    ],
)
def test_spearman(first: list[float], second: list[float], expected: float | None) -> None:
    found = spearman(first, second)
    assert found == (None if expected is None else pytest.approx(expected))


def _figure(value: float) -> Figure:
    return Figure(value=value, low=value, high=value, source="test", status="spec")


def _kernel(cost: OpCost, **changes: Any) -> KernelReport:
    return KernelReport(
        kernel=Kernel(
            nodes=(0,), cost=cost, kernel_class="gemm", dtype="float", **{"repeat": 1, **changes}
        ),
        placement=Placement(
            engine="vector",
            dtype="fp32",
            intensity=None,
            ridge=None,
            attainable_flop_per_s=None,
            bound="memory",
        ),
        time_s=_MODEL,
        bound="memory",
    )


def _device(*kernels: KernelReport, **changes: Any) -> DeviceReport:
    profile = DeviceProfile(
        id="d",
        name="d",
        vendor="test",
        kind="cpu",
        peaks={},
        memory=(
            MemoryLevel(level="l3", capacity_bytes=1000),
            MemoryLevel(level="dram", bandwidth=_figure(1e9)),
        ),
        efficiency={"gemm": Efficiency(low=0.4, typ=0.5, high=0.9, source="test")},
    )
    given = {
        "profile": profile,
        "runtime": "onnxruntime-cpu",
        "runtime_version": None,
        "precision": "as-is",
        "ridge": 8.0,
        "latency_s": _MODEL,
        "throughput_per_s": None,
        "bound_time_s": {},
        "memory_bytes": None,
        "memory_items": {},
        "peak_activation_bytes": None,
        "capacity_bytes": None,
        "fits": None,
        "unplaced": (),
        "kernels": kernels,
        **changes,
    }
    return DeviceReport(**given)


def test_constant_efficiency() -> None:
    # A ridge of 8 FLOPs a byte at 1e9 B/s is a peak of 8e9 FLOP/s, half of it 4e9; the FLOPs are
    # 1e9 three times and 1e9 once: 4e9 / 4e9.
    work = OpCost(vector_ops=1_000_000_000)
    device = _device(_kernel(work, repeat=3), _kernel(work))
    assert constant_efficiency_s(device, 0.5) == pytest.approx(1.0)
    found = baselines_of(device, 0.25)
    assert found.constant_efficiency_s == pytest.approx(1.0)
    assert found.constant_efficiency == 0.5
    assert found.profile_replay_s == 0.25
    assert baselines_of(_device(ridge=None), None).constant_efficiency_s is None
    assert baselines_of(_device(latency_s=None), None).constant_efficiency_s is None


def _model(device: DeviceReport, *nodes: NodeView) -> ModelReport:
    counts = MappingProxyType(dict.fromkeys(map(str, NodeStatus), 0))
    zeros: dict[str, Any] = dict.fromkeys(
        [
            *("nodes", "macs", "macs_masked", "flops", "vector_ops", "transcendentals"),
            *("bytes_read", "bytes_written", "weight_bytes"),
        ],
        0,
    )
    info = ModelInfo(
        path="m.onnx",
        opset_imports={},
        inputs=(),
        outputs=(),
        parameters=0,
        parameter_bytes=0,
        parameter_dtypes={},
        dims=(),
        ir_version=9,
        producer="",
    )
    return ModelReport(
        schema_version="1",
        tool_version="0",
        model=info,
        nodes=tuple(NodeCost(node=node, status=NodeStatus.EXACT) for node in nodes),
        totals=Totals(
            **zeros,
            peak_activation_bytes=None,
            peak_node=None,
            coverage=Coverage(nodes=0, counts=counts),
            is_lower_bound=False,
            is_upper_bound=False,
        ),
        devices=(device,),
    )


def _cause(
    group: KernelGroup, kernel: KernelReport | None = None, **node: Any
) -> tuple[Cause, str]:
    kernels = (kernel or _kernel(OpCost()),)
    report = _model(_device(*kernels), NodeView(index=0, op_type="Relu", opset=17, **node))
    grouped = Grouped(groups=(group,), kernels=(kernels,), unmapped=(), replay_s=0.0)
    (miss,) = worst_of(report, grouped)
    return miss.cause, miss.evidence


_SLOW = _interval(80, 60, 120)


def test_causes_rest_on_evidence() -> None:
    assert _cause(_group(100, _SLOW))[0] is Cause.UNKNOWN
    assert _cause(_group(100, None))[0] is Cause.UNPREDICTED
    assert _cause(_group(10, _interval(11.9, 6, 15)))[0] is Cause.RESOLUTION
    assert _cause(_group(10, _interval(12.1, 6, 15)))[0] is Cause.UNKNOWN  # more than 2 us
    assert _cause(_group(100, _interval(80, 20, 120)))[0] is Cause.CLASS  # a factor of 6
    loop = _group(100, _interval(0, 0, 0), ops=(("ai.onnx::Loop",), ()))
    assert _cause(loop)[0] is Cause.UNPREDICTED
    for known in ({"upper_bound": True}, {"lower_bound": True}, {"repeat": 0}):
        assert _cause(_group(100, _SLOW), **known)[0] is Cause.DATA


def test_both_sides_of_another_fusion_are_named() -> None:
    ops = (("ai.onnx::Conv", "ai.onnx::Relu", "ai.onnx::Relu"), ("com.microsoft::FusedConv",))
    cause, evidence = _cause(_group(100, _SLOW, ops=ops))
    assert cause is Cause.FUSED_DIFFERENTLY
    assert evidence == "predicted FusedConv, executed Conv, 2 Relu"
    _, evidence = _cause(_group(100, _SLOW, ops=(("ai.onnx::Conv",), ())))
    assert evidence == "predicted no kernel, executed Conv"


def test_cold_weights_need_more_weights_than_cache_and_too_fast_a_prediction() -> None:
    heavy = _kernel(OpCost(bytes_read=3000, bytes_written=100), weights=(("w", 2000),))
    assert _cause(_group(100, _SLOW), heavy)[0] is Cause.COLD_WEIGHTS  # 2000 > 1000 bytes
    assert _cause(_group(60, _SLOW), heavy)[0] is Cause.UNKNOWN  # predicted too slow
    light = _kernel(OpCost(bytes_read=3000, bytes_written=100), weights=(("w", 900),))
    assert _cause(_group(100, _SLOW), light)[0] is Cause.UNKNOWN


def test_worst_are_ten_by_time_missed() -> None:
    report = _model(_device(), NodeView(index=0, op_type="Relu", opset=17))
    groups = (*(_group(100 + at, _SLOW) for at in range(12)), _group(80, _SLOW))
    found = worst_of(
        report,
        Grouped(groups=groups, kernels=((),) * 13, unmapped=(), replay_s=0.0),
    )
    assert [miss.group for miss in found] == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
