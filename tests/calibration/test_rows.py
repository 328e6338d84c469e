"""From profiles of micro-networks to rows; times derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint.calibration.rows import joined, rows_of, scatter, steady, without_profiler
from mlsys_lint.records import Kernel, NodeView, OpCost, TensorInfo


def _kernel(op_type: str, *shape: int) -> Kernel:
    output = TensorInfo(name="y", dtype="float", shape=shape)
    return Kernel(
        nodes=(0,),
        op=f"ai.onnx::{op_type}",
        cost=OpCost(),
        kernel_class="elementwise",
        dtype="float",
        view=NodeView(index=0, op_type=op_type, opset=17, outputs=(output,)),
    )


def _event(op_type: str, shape: list[int], *seconds: float) -> dict[str, object]:
    return {"op_type": op_type, "shape": shape, "seconds": list(seconds)}


def test_the_steady_time_is_the_lower_quartile() -> None:
    assert steady([5.0, 1.0, 2.0, 3.0, 4.0]) == 2.0
    assert steady([1.0, 2.0]) == 1.25
    assert steady([3.0]) == 3.0


def test_scatter_is_the_median_over_the_steady_time() -> None:
    assert scatter([1.0, 1.0, 1.0, 9.0]) == 1.0
    assert scatter([1.0, 2.0, 3.0, 4.0, 5.0]) == 1.5


def test_kernels_are_joined_by_operator_and_shape() -> None:
    """Branches ran in another order than expected; equal kernels keep theirs."""
    kernels = [_kernel("Relu", 4), _kernel("Exp", 4), _kernel("Relu", 8), _kernel("Relu", 4)]
    executed = [
        _event("Relu", [8], 3e-6),
        _event("Relu", [4], 1e-6),
        _event("Exp", [4], 2e-6),
        _event("Relu", [4], 4e-6),
    ]
    pairs = joined(kernels, executed)
    assert pairs is not None
    assert [seconds for _, seconds in pairs] == [1e-6, 2e-6, 3e-6, 4e-6]


@pytest.mark.parametrize(
    "executed",
    [
        [_event("Relu", [4], 1e-6)],
        [_event("Relu", [4], 1e-6), _event("Tanh", [4], 1e-6)],
        [_event("Relu", [4], 1e-6), _event("Exp", [4], 1e-6), _event("Exp", [4], 1e-6)],
    ],
)
def test_other_kernels_than_expected_are_no_rows(executed: list[dict[str, object]]) -> None:
    assert joined([_kernel("Relu", 4), _kernel("Exp", 4)], executed) is None


def test_quartiles_that_add_up_to_less_than_the_run_share_the_rest() -> None:
    """10 and 30 us where the run took 44: a tenth more each."""
    assert without_profiler([10e-6, 30e-6], 44e-6) == pytest.approx([11e-6, 33e-6])


def test_the_profiler_is_taken_off_each_kernel_then_off_all_alike() -> None:
    """10 and 30 us in a profile, 36 us without: 2 us each.

    With 20 us without: 2 us each, then 36 us scale to 20.
    """
    assert without_profiler([10e-6, 30e-6], 36e-6) == pytest.approx([8e-6, 28e-6])
    assert without_profiler([10e-6, 30e-6], 20e-6) == pytest.approx([8e-6 / 1.8, 28e-6 / 1.8])


def test_nothing_executed_is_no_time() -> None:
    assert without_profiler([], 1e-6) == []


def test_rows_carry_the_class_and_terms_of_their_kernel() -> None:
    pairs = [(_kernel("Relu", 4), 5e-6)]
    (row,) = rows_of("net", pairs, 4e-6, lambda kernel: (kernel.op, {"kernel": 1.0}))
    assert (row.network, row.kernel_class, row.terms) == ("net", "ai.onnx::Relu", {"kernel": 1.0})
    assert row.seconds == pytest.approx(4e-6)
