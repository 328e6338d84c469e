"""Groups of predicted and executed kernels, derived by hand."""

from __future__ import annotations

from dataclasses import replace

from mlsys_lint.joining import ExecutedKernel
from mlsys_lint.validation.grouping import group_kernels
from mlsys_lint.validation.sides import Side

Kernels = list[tuple[str, set[int]]]


def _sides(kernels: Kernels) -> list[Side]:
    """Operators and nodes; a kernel without nodes was inserted, a Transpose has no key."""
    return [
        Side(
            at=at,
            op=op,
            key=frozenset() if op == "Transpose" else frozenset(nodes),
            members=frozenset(nodes),
        )
        for at, (op, nodes) in enumerate(kernels)
    ]


def _known(kernels: Kernels) -> dict[int, ExecutedKernel]:
    """A chain: every kernel reads what the one before it makes."""
    return {
        at: ExecutedKernel(
            scope="",
            op_type=op,
            domain="",
            name=f"k{at}",
            inputs=(f"t{at}",),
            outputs=(f"t{at + 1}",),
            members=frozenset(nodes),
            core=frozenset(nodes),
            anchor=None,
            side=None,
        )
        for at, (op, nodes) in enumerate(kernels)
    }


def _groups(predicted: Kernels, executed: Kernels) -> list[tuple[list[int], list[int]]]:
    found, lost = group_kernels(_sides(predicted), _sides(executed), _known(executed))
    assert lost == []
    return [([*one.predicted], [*one.executed]) for one in found]


def test_same_nodes_are_one_group_each() -> None:
    both: Kernels = [("Conv", {0, 1}), ("Add", {2}), ("Relu", {3})]
    assert _groups(both, both) == [([0], [0]), ([1], [1]), ([2], [2])]


def test_kernels_fused_differently_are_one_group() -> None:
    # Predicted Conv+Relu, Add; executed Conv, Relu+Add: node 1 links them all.
    predicted: Kernels = [("FusedConv", {0, 1}), ("Add", {2}), ("Exp", {3})]
    executed: Kernels = [("Conv", {0}), ("Add", {1, 2}), ("Exp", {3})]
    assert _groups(predicted, executed) == [([0, 1], [0, 1]), ([2], [2])]


def test_parts_of_one_node_are_partners_by_operator() -> None:
    # HardSwish runs as HardSigmoid and Mul, on both sides.
    parts: Kernels = [("HardSigmoid", {0}), ("Mul", {0})]
    assert _groups(parts, parts) == [([0], [0]), ([1], [1])]
    # One part more on one side: which is which can't be told for all, so they stay together.
    assert _groups(parts[:1], parts) == [([0], [0, 1])]


def test_kernels_that_only_one_side_has() -> None:
    predicted: Kernels = [("Conv", {0}), ("Exp", {1})]
    executed: Kernels = [("Conv", {0}), ("Sin", {2})]
    assert _groups(predicted, executed) == [([0], [0]), ([], [1]), ([1], [])]


def test_inserted_kernels_are_joined_by_their_place() -> None:
    predicted: Kernels = [("ReorderInput", set()), ("Conv", {0}), ("ReorderOutput", set())]
    assert _groups(predicted, predicted) == [([0], [0]), ([1], [1]), ([2], [2])]
    # Of two Reorders the one before the same kernel is meant; the other, before a kernel that
    # has none on the other side, is charged to its reader.
    predicted = [("Conv", {0}), ("Reorder", set()), ("Exp", {1})]
    executed: Kernels = [("Reorder", set()), ("Conv", {0}), ("Reorder", set()), ("Exp", {1})]
    assert _groups(predicted, executed) == [([0], [0, 1]), ([1], [2]), ([2], [3])]


def test_kernel_before_the_same_one_or_behind_it() -> None:
    # The orders differ: behind Conv on both sides, before Exp on one and before Sin on the other.
    predicted: Kernels = [("Conv", {0}), ("Reorder", set()), ("Exp", {1}), ("Sin", {2})]
    executed: Kernels = [("Conv", {0}), ("Reorder", set()), ("Sin", {2}), ("Exp", {1})]
    assert ([1], [1]) in _groups(predicted, executed)


def test_last_inserted_kernel_is_charged_to_its_maker() -> None:
    executed: Kernels = [("Conv", {0}), ("ReorderOutput", set())]
    assert _groups([("Conv", {0})], executed) == [([0], [0, 1])]


def test_inserted_kernel_that_does_not_run_is_charged_to_the_next_one() -> None:
    predicted: Kernels = [("Reorder", set()), ("Conv", {0}), ("Reorder", set())]
    assert _groups(predicted, [("Conv", {0})]) == [([0, 1, 2], [0])]


def test_inserted_kernels_are_joined_by_tensor_first() -> None:
    # By their places, before the same Conv, the first ones would be partners.
    conv = Side(at=2, op="Conv", key=frozenset({0}), members=frozenset({0}))

    def reorders(*tensors: str) -> list[Side]:
        inserted = [
            Side(at=at, op="Reorder", key=frozenset(), members=frozenset(), tensor=tensor)
            for at, tensor in enumerate(tensors)
        ]
        return [*inserted, conv]

    known = _known([("Reorder", set()), ("Reorder", set()), ("Conv", {0})])
    found, _ = group_kernels(reorders("x", "y"), reorders("y", "x"), known)
    assert {(one.predicted, one.executed) for one in found} == {
        *(((0,), (1,)), ((1,), (0,)), ((2,), (2,))),
    }


def test_moved_transposes_are_partners_by_node_then_by_place() -> None:
    predicted: Kernels = [("Transpose", {0}), ("Exp", {1}), ("Transpose", {2}), ("Sin", {3})]
    executed: Kernels = [("Exp", {1}), ("Transpose", {0}), ("Transpose", set()), ("Sin", {3})]
    assert sorted(_groups(predicted, executed)) == [([0], [1]), ([1], [0]), ([2], [2]), ([3], [3])]


def test_kernels_charged_to_the_same_reader_are_partners() -> None:
    # Tensor and place say nothing: another tensor, and on one side Sin comes between.
    predicted = [
        Side(at=0, op="Sin", key=frozenset({1}), members=frozenset({1})),
        Side(at=1, op="Reorder", key=frozenset(), members=frozenset(), tensor="a"),
        Side(at=2, op="Exp", key=frozenset({0}), members=frozenset({0})),
    ]
    executed = [
        Side(at=0, op="Reorder", key=frozenset(), members=frozenset(), tensor="b"),
        Side(at=1, op="Sin", key=frozenset({1}), members=frozenset({1})),
        Side(at=2, op="Exp", key=frozenset({0}), members=frozenset({0})),
    ]
    known = _known([("Reorder", set()), ("Sin", {1}), ("Exp", {0})])
    known[2] = replace(known[2], inputs=known[0].outputs)  # Exp reads what Reorder makes
    known[1] = replace(known[1], inputs=("x",))
    found, _ = group_kernels(predicted, executed, known)
    assert ((1,), (0,)) in {(one.predicted, one.executed) for one in found}


def test_predicted_kernel_beside_no_other_is_a_group() -> None:
    found, lost = group_kernels(_sides([("Reorder", set())]), [], {})
    assert ([(one.predicted, one.executed) for one in found], lost) == ([((0,), ())], [])


def test_kernel_that_touches_no_other_is_lost() -> None:
    executed: Kernels = [("Reorder", set())]
    found, lost = group_kernels([], _sides(executed), _known(executed))
    assert (found, lost) == ([], [0])
