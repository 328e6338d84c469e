"""Shape arithmetic against onnx's reference evaluator (an independent implementation)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from mlsys_lint.values import evaluate

A = np.array([7, -3, 12, 5], np.int64)
B = np.array([2, 2, -5, 3], np.int64)
M = np.arange(12, dtype=np.float32).reshape(3, 4)
TWO, ONE = np.array([2], np.int64), np.array([1], np.int64)

CASES: list[tuple[str, list[Any], dict[str, Any], int]] = [
    *((op, [A, B], {}, 1) for op in ("Add", "Sub", "Mul", "Div", "Mod", "Min", "Max")),
    *((op, [A, B], {}, 1) for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")),
    ("Mod", [A, B], {"fmod": 1}, 1),
    *((op, [A > 0, B > 0], {}, 1) for op in ("And", "Or", "Xor")),
    ("Not", [A > 0], {}, 1),
    *((op, [A], {}, 1) for op in ("Abs", "Neg", "Identity")),
    *((op, [M / 3], {}, 1) for op in ("Ceil", "Floor", "Sqrt")),
    ("Cast", [M / 3], {"to": 7}, 1),
    ("Concat", [A, B], {"axis": 0}, 1),
    ("ConstantOfShape", [np.array([2, 3], np.int64)], {}, 1),
    ("Expand", [ONE, np.array([3, 1], np.int64)], {}, 1),
    ("Flatten", [M], {"axis": 1}, 1),
    ("Gather", [A, np.array([-1, 0], np.int64)], {"axis": 0}, 1),
    ("Range", [np.array(2), np.array(11), np.array(3)], {}, 1),
    *((f"Reduce{op}", [M, ONE], {"keepdims": 0}, 1) for op in ("Max", "Min", "Prod", "Sum")),
    ("ReduceProd", [A], {"keepdims": 1}, 1),
    ("Reshape", [M, np.array([0, 2, -1], np.int64)], {}, 1),
    ("Slice", [M, ONE, np.array([-1], np.int64), ONE], {}, 1),
    ("Slice", [A, np.array([3], np.int64), np.array([-100], np.int64), ONE - 1, -ONE], {}, 1),
    ("Split", [A], {"num_outputs": 2}, 2),
    ("Split", [A, np.array([1, 3], np.int64)], {}, 2),
    ("Squeeze", [A.reshape(1, 4, 1), np.array([0, 2], np.int64)], {}, 1),
    ("Tile", [M, np.array([2, 1], np.int64)], {}, 1),
    ("Transpose", [M], {"perm": [1, 0]}, 1),
    ("Unsqueeze", [A, np.array([0, 2], np.int64)], {}, 1),
    ("Where", [A > 0, A, B], {}, 1),
    ("TopK", [A, TWO], {}, 2),  # through the reference evaluator
    ("CumSum", [A, np.array(0, np.int64)], {}, 1),
]


@pytest.mark.parametrize(("op", "arrays", "attributes", "outputs"), CASES)
def test_same_as_the_reference(
    op: str, arrays: list[Any], attributes: dict[str, Any], outputs: int
) -> None:
    names = [f"i{position}" for position in range(len(arrays))]
    results = [f"o{position}" for position in range(outputs)]
    node = helper.make_node(op, names, results, **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [onnx.ValueInfoProto(name=name) for name in names],
        [onnx.ValueInfoProto(name=name) for name in results],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    expected = ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True)))
    got = evaluate(node, arrays, 23)
    for one, other in zip(got, expected, strict=True):
        assert one is not None
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_random_results_and_other_domains_stay_unknown() -> None:
    random = helper.make_node("RandomNormalLike", ["x"], ["y"])
    foreign = helper.make_node("Add", ["x", "x"], ["y"], domain="com.acme")
    assert evaluate(random, [M], 23) == [None]
    assert evaluate(foreign, [M, M], 23) == [None]


def test_impossible_values_stay_unknown() -> None:
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    assert evaluate(node, [M, np.array([5, 5], np.int64)], 23) == [None]
