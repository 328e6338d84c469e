"""Files that hold a training step: Gradient and the optimizers are costed as they stand."""

from __future__ import annotations

import pytest

from mlsys_lint import NodeCost, NodeStatus
from mlsys_lint.errors import ModelError
from mlsys_lint.testing import check_text
from training.steps import train

DOMAIN = "ai.onnx.preview.training"
HEAD = f'<ir_version: 10, opset_import: ["": 23, "{DOMAIN}": 1]>'

# Mean squared error of x w against t for 5 samples of 4 inputs and 3 outputs; w is an input, as in
# the schema's examples, and its new value an output.
FORWARD = "p = MatMul(x, w) e = Sub(p, t) s = Mul(e, e) y = ReduceMean<keepdims=0>(s)"
GRADIENT = f'dw = {DOMAIN}.Gradient<xs=["w"], zs=["x"], y="y">(w, x)'
INPUTS = "float[5,4] x, float[5,3] t, float[4,3] w"


def costs(body: str, inputs: str = INPUTS, outputs: str = "float y") -> dict[str, NodeCost]:
    report = check_text(f"{HEAD} g ({inputs}) => ({outputs}) {{ {body} }}")
    assert report.totals.nodes == len(report.nodes)
    return {one.node.op_type: one for one in report.nodes}


def test_gradient_is_the_backward_pass_between_its_values() -> None:
    found = costs(f"{FORWARD} {GRADIENT}", outputs="float y, float[4,3] dw")["Gradient"]
    assert found.status is NodeStatus.EXACT
    assert found.cost is not None
    # dw = x' de: 60 MACs; x and t are fed.
    assert found.cost.macs == 60
    # The mean's share 1; e e: a product for each side, 30, and the sum of the two, 15.
    assert found.cost.vector_ops == 1 + 30 + 15
    # w and x, its inputs; e, which the square keeps.
    assert found.cost.bytes_read == 4 * (12 + 20 + 15)
    assert found.cost.bytes_written == 4 * 12


def test_gradients_of_several_values() -> None:
    both = f'dx, dw = {DOMAIN}.Gradient<xs=["x","w"], y="y">(x, w)'
    found = costs(f"{FORWARD} {both}", outputs="float[5,4] dx, float[4,3] dw")["Gradient"]
    assert found.cost is not None
    assert found.cost.macs == 2 * 60
    assert found.cost.bytes_written == 4 * (20 + 12)


def test_a_whole_step() -> None:
    # The loss, its gradient, and Adam on w: 11 operations a weight and 6, a root a weight and 3.
    adam = f"nw, nv, nh = {DOMAIN}.Adam(r, k, w, dw, v, h)"
    inputs = f"{INPUTS}, float r, int64 k, float[4,3] v, float[4,3] h"
    outputs = "float y, float[4,3] nw, float[4,3] nv, float[4,3] nh"
    report = check_text(f"{HEAD} g ({inputs}) => ({outputs}) {{ {FORWARD} {GRADIENT} {adam} }}")
    totals = report.totals
    assert totals.coverage.fraction_of_nodes == 1.0
    assert totals.macs == 60 + 60
    # Difference 15, square 15, mean 15; 46 back; Adam.
    assert totals.vector_ops == 45 + 46 + 11 * 12 + 6
    assert totals.transcendentals == 12 + 3


def test_values_that_are_not_there() -> None:
    unknown = f'dw = {DOMAIN}.Gradient<xs=["w"], y="loss">(w)'
    found = costs(f"{FORWARD} {unknown}", outputs="float[4,3] dw")["Gradient"]
    assert (found.status, found.cost) == (NodeStatus.DECLINED, None)
    assert found.reason == "no value beside it is named 'loss'"


def test_a_node_without_cost_in_between() -> None:
    body = f"m = com.acme.Mystery(w) y = Identity(m) {GRADIENT}"
    text = (
        f'<ir_version: 10, opset_import: ["": 23, "{DOMAIN}": 1, "com.acme": 1]> '
        f"g ({INPUTS}) => (float[4,3] dw) {{ {body} }}"
    )
    (found,) = (one for one in check_text(text).nodes if one.node.op_type == "Gradient")
    assert (found.status, found.cost) == (NodeStatus.DECLINED, None)
    assert found.reason == "no gradient of 'y' reaches xs through nodes of known type"


def test_a_training_step_is_not_put_on_top_of_one() -> None:
    with pytest.raises(ModelError, match="holds a training step already"):
        train(f"{HEAD} g ({INPUTS}) => (float[4,3] dw) {{ {FORWARD} {GRADIENT} }}")
