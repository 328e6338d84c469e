"""Composite operators count what the function bodies count by which onnx defines them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import onnx
import onnx.inliner
import pytest
from onnx import defs

from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, analyse, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import NodeStatus
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
    # (call, inputs, constants)
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
    ("MeanVarianceNormalization(x)", "float[2,6,4,5] x", ""),
    ("Bernoulli(x)", X, ""),
    ("CastLike(x, t)", f"{X}, int64[1] t", ""),
    ("ReduceL1(x)", X, ""),
    ("ReduceL2(x, a)", X, "int64[1] a = {-1}"),
    ("ReduceLogSum(x, a)", X, "int64[1] a = {-1}"),
    ("ReduceLogSumExp(x, a)", X, "int64[2] a = {0,1}"),
    ("ReduceSumSquare(x, a)", X, "int64[1] a = {0}"),
    ("DepthToSpace<blocksize=2>(x)", "float[1,8,2,3] x", ""),
    ("SpaceToDepth<blocksize=2>(x)", "float[1,2,4,6] x", ""),
]
WITH_SCALARS: Final = [
    # the body computes scalars too: (call, inputs, constants, operations, transcendentals)
    ("Gelu(x)", X, "", 0, 1),  # sqrt(2)
    ('Gelu<approximate="tanh">(x)', X, "", 0, 1),  # sqrt(2 / pi)
    ("Shrink(x)", X, "", 1, 0),  # -lambda
    # C / groups
    (
        "GroupNormalization<num_groups=3>(x, s, b)",
        "float[2,6,4,5] x, float[6] s, float[6] b",
        "",
        1,
        0,
    ),
    # difference, division, ceil, maximum with 0, two conversions
    ("Range(a, b, d)", "", "float a = {0}, float b = {30}, float d = {1.5}", 6, 0),
    # the sizes of 3 axes: padded, missing, half of it, the rest, too many, half of it, end
    ("CenterCropPad(x, s)", X, "int64[3] s = {3,6,4}", 21, 0),
]


def totals(model: onnx.ModelProto) -> tuple[int, int]:
    host = PluginHost(third_party=False)
    analysis = analyse(prepare(model, Path("text.onnx")), host, Bindings())
    found = report(analysis, host, CheckOptions())
    wanting = [one.reason for one in found.nodes if one.cost is None]
    assert not wanting
    return found.totals.vector_ops, found.totals.transcendentals


def ours_and_theirs(
    call: str, inputs: str, constants: str, opset: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Figures of an operator, and of its body in its place."""
    name = call.partition("<")[0].partition("(")[0]
    stored = f"<{constants}>" if constants else ""
    text = f"g ({inputs}) => (float[?] y) {stored} {{ y = {call} }}"
    model = model_from_text(text, opset)
    inlined = onnx.inliner.inline_selected_functions(
        model, [("", name)], inline_schema_functions=True
    )
    if [node.op_type for node in inlined.graph.node] == [name]:
        pytest.skip(f"{name} has no body at opset {opset}")
    return totals(model), totals(inlined)


def exists(call: str, opset: int) -> bool:
    name = call.partition("<")[0].partition("(")[0]
    try:
        return not defs.get_schema(name, opset, "").deprecated
    except defs.SchemaError:
        return False


@pytest.mark.parametrize(
    ("call", "inputs", "constants", "opset"),
    [(*case, opset) for case in AGREE for opset in OPSETS if exists(case[0], opset)],
)
def test_same_figures(call: str, inputs: str, constants: str, opset: int) -> None:
    ours, theirs = ours_and_theirs(call, inputs, constants, opset)
    assert ours == theirs


@pytest.mark.parametrize(
    ("call", "inputs", "constants", "operations", "transcendentals", "opset"),
    [(*case, opset) for case in WITH_SCALARS for opset in OPSETS if exists(case[0], opset)],
)
def test_same_figures_but_for_scalars(
    call: str, inputs: str, constants: str, operations: int, transcendentals: int, opset: int
) -> None:
    ours, theirs = ours_and_theirs(call, inputs, constants, opset)
    assert theirs == (ours[0] + operations, ours[1] + transcendentals)


def test_dynamic_quantization() -> None:
    model = model_from_text(f"g ({X}) => (uint8[?] y) {{ y, s, z = DynamicQuantizeLinear(x) }}")
    inlined = onnx.inliner.inline_selected_functions(
        model, [("", "DynamicQuantizeLinear")], inline_schema_functions=True
    )
    assert len(inlined.graph.node) > 10
    assert totals(model) == totals(inlined)


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
    ours, theirs = ours_and_theirs(f"{name}(n)", "float u", "int64 n = {100}", 23)
    scalars = theirs[0] - ours[0] - 100 * more
    assert 0 <= scalars <= 10
    assert theirs[1] - ours[1] == 100 * cosines


def test_every_body_is_compared() -> None:
    tested = {call.partition("<")[0].partition("(")[0] for call, *_ in (*AGREE, *WITH_SCALARS)}
    tested |= {"Clip", "LessOrEqual", "GreaterOrEqual", "DynamicQuantizeLinear"}
    tested |= {"BlackmanWindow", "HannWindow", "HammingWindow"}
    names = {spec.op_type for module in MODULES for spec in module.OPERATORS}
    bodies = {
        schema.name
        for schema in defs.get_all_schemas()
        if schema.domain == "" and schema.since_version <= max(OPSETS)
        if schema.has_function or schema.has_context_dependent_function
    }
    assert names & bodies <= tested


def test_losses_cost_what_their_bodies_cost() -> None:
    # No formula of our own: log softmax and the choice of 6 labels are listed as nodes.
    text = "g (float[6,5] x, int64[6] t) => (float y) { y = SoftmaxCrossEntropyLoss(x, t) }"
    model = model_from_text(text, 23)
    host = PluginHost(third_party=False)
    nodes = analyse(prepare(model, Path("text.onnx")), host, Bindings()).costs
    assert nodes[0].status is NodeStatus.EXPANDED
    assert all(one.cost is not None for one in nodes)
    # 6 rows of 5: an exp per element, a logarithm per row (of the body's Log per element: 30).
    assert sum(one.cost.transcendentals for one in nodes if one.cost) >= 30
