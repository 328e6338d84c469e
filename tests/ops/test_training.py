"""Optimizers of ai.onnx.preview.training, counted line by line from their pseudo code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from mlsys_lint import NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text
from runtime_outputs import inferred, node_model

HEAD = '<ir_version: 10, opset_import: ["": 23, "ai.onnx.preview.training": 1]>'
DOMAIN = "ai.onnx.preview.training"


def optimizer(name: str, tensors: int, attributes: str = "", element: str = "float") -> NodeCost:
    """`tensors` lists of a [2,3] and a [4]: 10 elements each."""
    names = [f"{kind}{at}" for at in range(tensors) for kind in "xw"]
    inputs = ", ".join(f"{element}[{'2,3' if name[0] == 'x' else '4'}] {name}" for name in names)
    results = [f"y{at}" for at in range(2 * (tensors - 1))]
    declared = ", ".join(f"{element}[?] {name}" for name in results)
    call = f"{DOMAIN}.{name}{attributes}(r, t, {', '.join(names)})"
    text = f"g ({element} r, int64 t, {inputs}) => ({declared}) {{ {', '.join(results)} = {call} }}"
    (found,) = estimate_text(f"{HEAD} {text}")
    return found


def cost_of(name: str, tensors: int, attributes: str = "") -> OpCost:
    found = optimizer(name, tensors, attributes)
    assert found.cost is not None, found.reason
    assert found.status is NodeStatus.EXACT
    return found.cost


def test_adagrad() -> None:
    # G' G' and its sum, + epsilon, the rate's product, division, difference: 6; a root. The rate 3.
    cost = cost_of("Adagrad", 3)
    assert (cost.vector_ops, cost.transcendentals, cost.macs) == (10 * 6 + 3, 10, 0)
    # X, G, H of 40 bytes with a float and an int64; X and H are written.
    assert (cost.bytes_read, cost.bytes_written) == (120 + 12, 80)
    # norm_coefficient X + G: 2 more.
    assert cost_of("Adagrad", 3, "<norm_coefficient=0.1>").vector_ops == 10 * 8 + 3


def test_adam() -> None:
    # V' 3, H' 4, + epsilon, X 3; a root. For each of two tensors the rate: a comparison, two
    # differences from 1, product, division, selection; two powers and a root.
    cost = cost_of("Adam", 4)
    assert (cost.vector_ops, cost.transcendentals, cost.macs) == (10 * 11 + 12, 10 + 6, 0)
    assert (cost.bytes_read, cost.bytes_written) == (160 + 12, 120)
    # norm_coefficient X + G: 2 more; (1 - norm_coefficient_post) X: 1 more.
    both = "<norm_coefficient=0.1, norm_coefficient_post=0.1>"
    assert cost_of("Adam", 4, both).vector_ops == 10 * 14 + 12


def test_momentum() -> None:
    # V' 3, X 2; beta' a comparison and a selection.
    given = 'alpha=0.9, beta=1.0, norm_coefficient=0.0, mode="standard"'
    cost = cost_of("Momentum", 3, f"<{given}>")
    assert (cost.vector_ops, cost.transcendentals, cost.macs) == (10 * 5 + 2, 0, 0)
    assert (cost.bytes_read, cost.bytes_written) == (120 + 12, 80)
    # alpha V' + G': 2 more. norm_coefficient X + G: 2 more.
    nesterov = given.replace("standard", "nesterov")
    assert cost_of("Momentum", 3, f"<{nesterov}>").vector_ops == 10 * 7 + 2
    decayed = nesterov.replace("norm_coefficient=0.0", "norm_coefficient=0.1")
    assert cost_of("Momentum", 3, f"<{decayed}>").vector_ops == 10 * 9 + 2


@pytest.mark.parametrize(
    ("name", "tensors", "attributes"),
    [
        ("Adagrad", 3, {}),
        ("Adam", 4, {}),
        (
            "Momentum",
            3,
            {"alpha": 0.9, "beta": 1.0, "norm_coefficient": 0.0, "mode": "nesterov"},
        ),
    ],
)
def test_outputs_are_those_of_the_reference(
    name: str, tensors: int, attributes: Mapping[str, object]
) -> None:
    feeds: dict[str, Any] = {"r": np.float32(0.1), "t": np.int64(1)}
    for at in range(tensors):
        feeds |= {f"x{at}": np.ones((2, 3), np.float32), f"w{at}": np.ones(4, np.float32)}
    arrays = {key: np.asarray(value) for key, value in feeds.items()}
    model = node_model(
        name, attributes, arrays, outputs=2 * (tensors - 1), domain=DOMAIN, version=1
    )
    computed = ReferenceEvaluator(model).run(None, arrays)
    found = [(tensor.dtype, tensor.shape) for tensor in inferred(model)]
    assert found == [("float", one.shape) for one in computed if isinstance(one, np.ndarray)]


def test_gradients_have_the_types_of_their_tensors() -> None:
    call = f'{DOMAIN}.Gradient<xs=["w","v"], zs=["x"], y="y">(w, v, x)'
    text = f"g (float[2,3] w, float16[4] v, float[5] x) => (float[?] a, float16[?] b) {{ a, b = {call} }}"
    (found,) = estimate_text(f"{HEAD} {text}")
    # no node writes y, so nothing stands between it and xs
    assert (found.status, found.cost) == (NodeStatus.DECLINED, None)
    assert found.reason == "no value beside it is named 'y'"
    kinds = [(one.dtype, one.shape) for one in found.node.outputs if one is not None]
    assert kinds == [("float", (2, 3)), ("float16", (4,))]
