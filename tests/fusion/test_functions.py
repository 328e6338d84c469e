"""Operators that ONNX Runtime replaces by the function that defines them."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators, optimized, runtimes_graph
from mlsys_lint.testing import check_text


def _unary(op: str, kind: str = "float") -> str:
    return f"g ({kind}[N,4,3,3] x) => ({kind}[N,4,3,3] y) {{ a = Sin(x) b = {op}(a) y = Cos(b) }}"


@pytest.mark.parametrize(
    ("op", "opset", "parts"),
    [
        ("HardSwish", 14, ["HardSigmoid", "Mul"]),
        ("HardSwish", 22, ["HardSigmoid", "Mul"]),
        ("Mish", 18, ["Softplus", "Tanh", "Mul"]),
        ("Mish", 22, ["Softplus", "Tanh", "Mul"]),
        # the factor is a Cast of a constant, which nothing folds any more: so no QuickGelu
        ("Swish", 24, ["Cast", "Mul", "Sigmoid", "Mul"]),
    ],
)
def test_activations_without_a_kernel(op: str, opset: int, parts: list[str]) -> None:
    program = assert_same(_unary(op), opset=opset)
    expected = [("Sin", [0]), *((part, [1]) for part in parts), ("Cos", [2])]
    assert sorted(members(program)) == sorted(expected)
    inner = [one for one in program.ops.values() if one.op_type != "Cast"]
    assert {one.output.dims for one in inner} == {("N", 4, 3, 3)}


@pytest.mark.parametrize("op", ["Relu", "Elu", "Selu", "Softplus", "Gelu", "HardSigmoid"])
def test_activations_with_one_stay(op: str) -> None:
    assert operators(assert_same(_unary(op), opset=21)) == ["Sin", op, "Cos"]


@pytest.mark.parametrize("sizes", ["2,4,3,3", "N,4,H,3"])
@pytest.mark.parametrize("opset", [18, 21])
def test_group_normalization(sizes: str, opset: int) -> None:
    count = 2 if opset == 18 else 4  # scales: one for each group, from opset 21 for each channel
    text = f"""g (float[{sizes}] x) => (float[{sizes}] y) <float[{count}] s, float[{count}] b>
               {{ y = GroupNormalization<num_groups = 2>(x, s, b) }}"""
    program = assert_same(text, opset=opset)
    assert {tuple(op.members) for op in program.ops.values()} == {(0,)}


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,4,3,3] x) => (float y) <int64[4] s = {2,4,5,2}> { y = CenterCropPad(x, s) }",
        "g (float[2,4] x, int64[2] t) => (float y) { y = NegativeLogLikelihoodLoss(x, t) }",
        "g (float[2,4] x) => (float[2,4] y) { y = Bernoulli(x) }",
        # a function within a function: CastLike in PRelu
        "g (int32[2,4] x, int32[4] s) => (int32[2,4] y) { y = PRelu(x, s) }",
    ],
)
def test_other_functions(text: str) -> None:
    assert_same(text, opset=18)


def test_operators_that_onnx_does_not_know() -> None:
    text = """g (float[2,4] x) => (float[2,4] y) <float[4] w>
              { y = SimplifiedLayerNormalization(x, w) }"""
    assert operators(assert_same(text)) == ["SimplifiedLayerNormalization"]


def test_inputs_of_unknown_type_and_rank() -> None:
    # no runtime has the operator before: a plain function needs no types, one by context does
    text = """g (float[2,4] x) => (float[2,4] y, float[2,4] z) <float[2] w>
              { a = com.acme.Foo(x) y = HardSwish(a) z = GroupNormalization<num_groups = 2>(a, w, w) }"""
    assert sorted(operators(optimized(text, opset=18))) == sorted(
        ["com.acme::Foo", "HardSigmoid", "Mul", "GroupNormalization"]
    )


def test_sizes_that_only_the_run_tells() -> None:
    text = """g (float[8] x, int64[K] s) => (float y) { a = Reshape(x, s) y = HardSwish(a) }"""
    program = assert_same(text, opset=18, ordered=False)
    assert operators(program) == ["Reshape", "HardSigmoid", "Mul"]
    assert [op.output.dims for op in program.order()][:2] == [None] * 2


def test_a_function_with_a_body_of_its_own() -> None:
    text = """g (seq(float[4]) x) => (seq(float[4]) y)
              { y = SequenceMap <body = b (float[4] e) => (float[4] f) { f = Neg(e) }> (x) }"""
    program = assert_same(text, opset=18, ordered=False)
    assert operators(program) == ["SequenceEmpty", "SequenceLength", "Loop"]


def test_the_newest_attention() -> None:
    text = "g (float[2,4,8,16] x) => (float[2,4,8,16] y) { y = Attention(x, x, x) }"
    assert operators(assert_same(text, opset=23)) == ["Attention"]
    assert len(assert_same(text, opset=25).ops) > 50


@pytest.mark.parametrize("opset", [17, 18, 19, 21])
@pytest.mark.parametrize("op", ["Relu", "LeakyRelu", "Elu", "Softmax", "LogSoftmax"])
def test_half_precision(op: str, opset: int) -> None:
    """Plain functions serve the opsets in which none of their operators changed, others all."""
    text = f"g (float16[2,4] x) => (float16[2,4] y) {{ y = {op}(x) }}"
    observed = [node.op_type for node in runtimes_graph(text, opset=opset).graph.node]
    program = optimized(text, opset=opset)
    ours = [op.op_type for op in program.order()]
    assert [one for one in ours if one != "Cast"] == [one for one in observed if one != "Cast"]


def test_parts_cost_what_the_whole_costs() -> None:
    text = "g (float[2,4] x) => (float[2,4] y) { y = HardSwish(x) }"
    report = check_text(text, opset=22, device="xeon-8480plus")
    (device,) = report.devices
    # HardSigmoid: a * x + b and two comparisons, 4 an element; Mul: 1
    assert [(one.kernel.op, one.kernel.cost.flops) for one in device.kernels] == [
        ("ai.onnx::HardSigmoid", 8 * 4),
        ("ai.onnx::Mul", 8),
    ]
