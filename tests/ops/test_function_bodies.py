"""Composite operators count what the function bodies count by which onnx defines them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import onnx
import onnx.inliner
import pytest
from onnx import defs

from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import analyse
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import NodeCost, NodeStatus
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text
from mlsys_lint_plugins.ops import (
    activation,
    elementwise,
    indexing,
    movement,
    normalization,
    quantization,
    reduction,
    spectral,
)

MODULES: Final = (
    *(activation, elementwise, indexing, movement),
    *(normalization, quantization, reduction, spectral),
)
OPSETS: Final = (18, 23, 28)
# 4 * 5 * 7 = 140 elements, 20 rows of 7.
X: Final = "float[4,5,7] x"
LOW: Final = "float16[4,5,7] x"

AGREE: Final = [
    # an operator, what it reads, and what is stored
    ("Relu(x)", X, ""),
    ("LeakyRelu(x)", X, ""),
    ("PRelu(x, s)", f"{X}, float[7] s", ""),
    ("ThresholdedRelu(x)", X, ""),
    ("Elu(x)", X, ""),
    ("Selu(x)", X, ""),
    ("Celu(x)", X, ""),
    ("HardSigmoid(x)", X, ""),
    ("HardSwish(x)", X, ""),
    ("Softplus(x)", X, ""),
    ("Softsign(x)", X, ""),
    ("Mish(x)", X, ""),
    ("Swish<alpha=1.5>(x)", X, ""),
    ("SwiGLU(x, v)", f"{X}, float[4,5,7] v", ""),
    ("Softmax(x)", X, ""),
    ("Softmax<axis=1>(x)", X, ""),
    ("LogSoftmax(x)", X, ""),
    ("LayerNormalization(x, s)", f"{X}, float[7] s", ""),
    ("LayerNormalization(x, s, b)", f"{X}, float[7] s, float[7] b", ""),
    ("LayerNormalization<axis=1>(x, s)", f"{X}, float[5,7] s", ""),
    ("LayerNormalization(x, s)", f"{LOW}, float16[7] s", ""),
    ("RMSNormalization<axis=1>(x, s)", f"{X}, float[5,7] s", ""),
    ("RMSNormalization(x, s)", f"{LOW}, float16[7] s", ""),
    ("GroupNormalization<num_groups=3>(x, s, b)", "float[2,6,4,5] x, float[6] s, float[6] b", ""),
    ("CenterCropPad(x, s)", X, "int64[3] s = {3,6,4}"),
    ("MeanVarianceNormalization(x)", "float[2,6,4,5] x", ""),
    ("Bernoulli(x)", X, ""),
    ("CastLike(x, t)", f"{X}, int64[1] t", ""),
    ("ReduceL1(x)", X, ""),
    ("ReduceL2(x, a)", X, "int64[1] a = {-1}"),
    ("ReduceLogSum(x, a)", X, "int64[1] a = {-1}"),
    ("ReduceSumSquare(x, a)", X, "int64[1] a = {0}"),
    ("DepthToSpace<blocksize=2>(x)", "float[1,8,2,3] x", ""),
    ("SpaceToDepth<blocksize=2>(x)", "float[1,2,4,6] x", ""),
]
WITH_SCALARS: Final = [
    # likewise, and the operations and transcendentals that the body spends on scalars
    ("Gelu(x)", X, "", 0, 1),  # sqrt(2)
    ('Gelu<approximate="tanh">(x)', X, "", 0, 1),  # sqrt(2 / pi)
    ("Shrink(x)", X, "", 1, 0),  # -lambda
    # difference, division, ceil, maximum with 0, two conversions
    ("Range(a, b, d)", "", "float a = {0}, float b = {30}, float d = {1.5}", 6, 0),
]


def totals(model: onnx.ModelProto, *, constants: bool = False) -> tuple[int, int]:
    """Operations and transcendentals of the nodes whose results are not known before the run."""
    host = PluginHost(third_party=False)
    found = analyse(prepare(model, Path("text.onnx")), host, Bindings()).costs
    assert not [one.reason for one in found if one.cost is None]
    counted = [one for one in found if constants or not is_constant(one)]
    costs = [(one.cost, one.node.repeat) for one in counted if one.cost is not None]
    return (
        sum(cost.vector_ops * repeat for cost, repeat in costs),
        sum(cost.transcendentals * repeat for cost, repeat in costs),
    )


def is_constant(found: NodeCost) -> bool:
    results = [one for one in found.node.outputs if one is not None]
    return all(one.constant or one.value is not None for one in results)


def inlined(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with the body in the operator's place; defaults are spelled out for the body."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    (opset,) = [one.version for one in model.opset_import if not one.domain]
    for tensor in copy.graph.initializer:  # the inliner asks for their types
        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        copy.graph.value_info.append(info)
    for node in copy.graph.node:
        known = {one.name for one in node.attribute}
        for attribute in defs.get_schema(name, opset, "").attributes.values():
            if attribute.name not in known and attribute.default_value.type:
                node.attribute.append(attribute.default_value)
    return onnx.inliner.inline_selected_functions(copy, [("", name)], inline_schema_functions=True)


def ours_and_theirs(
    call: str, inputs: str, stored: str, opset: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Figures of an operator, and of its body in its place."""
    name = name_of(call)
    weights = f"<{stored}>" if stored else ""
    model = model_from_text(f"g ({inputs}) => (float[?] y) {weights} {{ y = {call} }}", opset)
    body = inlined(model, name)
    assert name not in {node.op_type for node in body.graph.node}
    return totals(model, constants=not inputs), totals(body, constants=not inputs)


def name_of(call: str) -> str:
    return call.partition("(")[0].partition("<")[0]


def has_body(name: str, opset: int) -> bool:
    try:
        schema: Any = defs.get_schema(name, opset, "")  # the stubs lack what follows
    except defs.SchemaError:
        return False
    versions = [
        *schema.function_opset_versions,
        *schema.context_dependent_function_opset_versions,
    ]
    return not schema.deprecated and any(one <= opset for one in versions)


@pytest.mark.parametrize(
    ("call", "inputs", "stored", "opset"),
    [(*case, opset) for case in AGREE for opset in OPSETS if has_body(name_of(case[0]), opset)],
)
def test_same_figures(call: str, inputs: str, stored: str, opset: int) -> None:
    ours, theirs = ours_and_theirs(call, inputs, stored, opset)
    assert ours == theirs


@pytest.mark.parametrize(
    ("case", "opset"),
    [
        (case, opset)
        for case in WITH_SCALARS
        for opset in OPSETS
        if has_body(name_of(case[0]), opset)
    ],
)
def test_same_figures_but_for_scalars(case: tuple[str, str, str, int, int], opset: int) -> None:
    call, inputs, stored, operations, transcendentals = case
    ours, theirs = ours_and_theirs(call, inputs, stored, opset)
    assert theirs == (ours[0] + operations, ours[1] + transcendentals)


def test_dynamic_quantization() -> None:
    model = model_from_text(f"g ({X}) => (uint8[?] y) {{ y, s, z = DynamicQuantizeLinear(x) }}")
    body = inlined(model, "DynamicQuantizeLinear")
    assert len(body.graph.node) > 10
    assert totals(model) == totals(body)


@pytest.mark.parametrize(
    ("call", "inputs", "per_element"),
    [
        # A bound is a maximum or minimum for us, a comparison and a selection for the body.
        ("Clip(x, l, h)", f"{X}, float l, float h", (2, 4)),
        ("Clip(x, l)", f"{X}, float l", (1, 2)),
        # One comparison for us, two and an "or" for the body.
        ("LessOrEqual(x, x)", X, (1, 3)),
        ("GreaterOrEqual(x, x)", X, (1, 3)),
    ],
)
def test_bodies_that_are_no_measure(call: str, inputs: str, per_element: tuple[int, int]) -> None:
    ours, theirs = ours_and_theirs(call, inputs, "", 23)
    assert (ours, theirs) == ((140 * per_element[0], 0), (140 * per_element[1], 0))


@pytest.mark.parametrize(
    ("name", "more", "cosines"),
    # The second cosine of Hann and Hamming has factor 0: angle, product, sum, cosine for nothing.
    [("BlackmanWindow", 0, 0), ("HannWindow", 3, 1), ("HammingWindow", 3, 1)],
)
def test_windows(name: str, more: int, cosines: int) -> None:
    ours, theirs = ours_and_theirs(f"{name}(n)", "", "int64 n = {100}", 23)
    # Conversion of the size, the size less 1, two choices and their sum, the angle's step, and what
    # chooses (conversion, difference).
    assert theirs[0] - ours[0] - 100 * more == 8
    assert theirs[1] - ours[1] == 100 * cosines


def test_sums_of_exponentials_are_not_converted() -> None:
    # 7 sums of 20. The body computes in double: 140 conversions there and 7 back; kernels do not.
    ours, theirs = ours_and_theirs("ReduceLogSumExp(x, a)", X, "int64[2] a = {0,1}", 23)
    assert ours == (133, 147)
    assert theirs == (133 + 147, 147)


def test_every_body_is_compared() -> None:
    tested = {name_of(call) for call, *_ in AGREE} | {name_of(case[0]) for case in WITH_SCALARS}
    tested |= {"Clip", "LessOrEqual", "GreaterOrEqual", "DynamicQuantizeLinear"}
    tested |= {"AffineGrid"}  # its body makes positions in three axes, whatever their number
    tested |= {"ReduceLogSumExp", "BlackmanWindow", "HannWindow", "HammingWindow"}
    names = {spec.op_type for module in MODULES for spec in module.OPERATORS}
    assert {name for name in names if has_body(name, max(OPSETS))} <= tested


def test_losses_cost_what_their_bodies_cost() -> None:
    # No formula of our own: the nodes of the body are listed, log softmax (6 rows of 5) among them.
    text = "g (float[6,5] x, int64[6] t) => (float y) { y = SoftmaxCrossEntropyLoss(x, t) }"
    host = PluginHost(third_party=False)
    model = prepare(model_from_text(text), Path("text.onnx"))
    nodes = analyse(model, host, Bindings()).costs
    assert nodes[0].status is NodeStatus.EXPANDED
    assert all(one.cost is not None for one in nodes)
    (found,) = [one.cost for one in nodes if one.node.op_type == "LogSoftmax"]
    assert found is not None
    assert (found.vector_ops, found.transcendentals) == (4 * 30 - 2 * 6, 30 + 6)
