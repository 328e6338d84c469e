"""The walk: order, types, values, bodies, repeat counts, data-dependent sizes."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mlsys_lint.errors import ModelError, OptionError
from mlsys_lint.graph import Graph, build
from mlsys_lint.loading import prepare
from mlsys_lint.operators import OperatorTable
from mlsys_lint.records import NodeView
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

LOOP = (
    "Loop(trip, go, x)<body = step (int64 i, bool on, float[2,2] h) => (bool more, float[2,2] n)"
    " { more = Identity(on) n = MatMul(h, x) }>"
)


def walk(source: str | onnx.ModelProto, bindings: Bindings | None = None, opset: int = 23) -> Graph:
    proto = model_from_text(source, opset) if isinstance(source, str) else source
    return build(prepare(proto, Path("m.onnx")), bindings or Bindings(), OperatorTable())


def writer(graph: Graph, name: str) -> NodeView:
    return next(
        node for node in graph.nodes for out in node.outputs if out is not None and out.name == name
    )


def shape(graph: Graph, name: str) -> object:
    return next(
        out.shape
        for node in graph.nodes
        for out in node.outputs
        if out is not None and out.name == name
    )


def test_nodes_out_of_order_keep_their_file_positions() -> None:
    graph = walk("g (float[2,3] x) => (float[2,3] y) { y = Relu(a) a = Exp(x) }")
    assert [node.op_type for node in graph.nodes if not node.scope] == ["Relu", "Exp"]
    assert graph.frames[""].order == (1, 0)
    assert shape(graph, "y") == (2, 3)


def test_cycle() -> None:
    with pytest.raises(ModelError, match="cycle"):
        walk("g (float[2] x) => (float[2] y) { y = Add(a, x) a = Relu(y) }")


def test_dangling_value() -> None:
    with pytest.raises(ModelError, match="reads 'nowhere', which nothing writes"):
        walk("g (float[2] x) => (float[2] y) { y = Add(x, nowhere) }")


def test_value_written_twice() -> None:
    with pytest.raises(ModelError, match="written by two nodes"):
        walk("g (float[2] x) => (float[2] y) { y = Relu(x) y = Exp(x) }")


def test_output_that_nothing_writes() -> None:
    with pytest.raises(ModelError, match="nothing writes the graph output"):
        walk("g (float[2] x) => (float[2] z) { y = Relu(x) }")


def test_shape_arithmetic_is_evaluated() -> None:
    # [B, 12] with B = 5: Shape -> first element -> concat with [-1] -> reshape to [5, -1] of 60
    graph = walk(
        "g (float[B,3,4] x) => (float[?,?] y) <int64 zero = {0}, int64[1] rest = {-1}, "
        "int64[1] axis = {0}> { s = Shape(x) b = Gather(s, zero) u = Unsqueeze(b, axis) "
        "t = Concat<axis=0>(u, rest) y = Reshape(x, t) }",
        Bindings(dims={"B": 5}),
    )
    assert shape(graph, "y") == (5, 12)


def test_contradicting_declared_types_are_ignored() -> None:
    graph = walk("g (float[2,3] x) => (float[9,9] y) { y = Relu(x) }")
    assert shape(graph, "y") == (2, 3)


def test_unknown_operators_fall_back_on_declared_types() -> None:
    graph = walk("g (float[N,3] x) => (float[N,7] y) { y = acme.Fft(x) }", Bindings(dims={"N": 4}))
    node = writer(graph, "y")
    assert node.outputs[0] is not None
    assert node.outputs[0].shape == (4, 7)
    assert "declared in the file" in node.assumptions[0]


def test_known_condition_runs_one_branch() -> None:
    graph = walk(
        "g (float[2] x) => (float[?] y) <bool c = {1}> { y = If(c)<"
        "then_branch = a () => (float[2] u) { u = Relu(x) }, "
        "else_branch = b () => (float[4] v) { v = Concat<axis=0>(x, x) }> }"
    )
    assert (writer(graph, "u").repeat, writer(graph, "v").repeat) == (1, 0)
    assert shape(graph, "y") == (2,)
    assert writer(graph, "y").implicit[0].name == "x"


def test_unknown_condition_gives_the_larger_size_as_a_bound() -> None:
    graph = walk(
        "g (float[2] x, bool c) => (float[?] y) { y = If(c)<"
        "then_branch = a () => (float[2] u) { u = Relu(x) }, "
        "else_branch = b () => (float[4] v) { v = Concat<axis=0>(x, x) }> }"
    )
    y = writer(graph, "y").outputs[0]
    assert y is not None
    assert y.shape == (4,)
    assert y.bounded == {0}
    assert writer(graph, "y").upper_bound


def test_loop_trips_multiply_through_nested_loops() -> None:
    text = LOOP.replace("step", "inner").replace("n = ", "nn = ").replace(" n)", " nn)")
    outer = (
        "y = Loop(outer, go, x)<body = around (int64 ii, bool oo, float[2,2] hh) => (bool mm, "
        f"float[2,2] n) {{ mm = Identity(oo) n = {text.replace('n = MatMul', 'n = MatMul')} }}>"
    )
    graph = walk(
        "g (float[2,2] x) => (float[2,2] y) <int64 outer = {3}, int64 trip = {5}, bool go = {1}> "
        f"{{ {outer} }}"
    )
    product = next(node for node in graph.nodes if node.op_type == "MatMul")
    assert product.repeat == 3 * 5
    assert not product.lower_bound


def test_trip_count_from_the_command_line() -> None:
    text = f"g (float[2,2] x, int64 trip) => (float[2,2] y) <bool go = {{1}}> {{ y = {LOOP} }}"
    unknown = walk(text)
    assert (writer(unknown, "y").lower_bound, writer(unknown, "n").repeat) == (True, 1)
    given = walk(text, Bindings(trips={"0": 9}))
    assert (writer(given, "y").lower_bound, writer(given, "n").repeat) == (False, 9)
    with pytest.raises(OptionError, match="--trip-count 5"):
        walk(text, Bindings(trips={"5": 9}))


def test_growing_loop_state_loses_the_axis_that_grows() -> None:
    graph = walk(
        "g (float[1,2] x) => (float[?,?] y) <int64 trip = {4}, bool go = {1}> "
        "{ y = Loop(trip, go, x)<body = step (int64 i, bool on, float[?,2] h) => (bool more, "
        "float[?,2] n) { more = Identity(on) n = Concat<axis=0>(h, x) }> }"
    )
    assert shape(graph, "y") == (None, 2)
    assert len(graph.nodes) == 3  # walked twice, listed once


def test_scan_stacks_along_the_scanned_axis() -> None:
    graph = walk(
        "g (float[2] x, float[6,2] xs) => (float[2] last, float[?,?] y) { last, y = "
        "Scan<num_scan_inputs=1, body = step (float[2] h, float[2] s) => (float[2] n, float[2] o) "
        "{ o = Relu(s) n = Add(h, o) }>(x, xs) }"
    )
    assert shape(graph, "y") == (6, 2)
    assert writer(graph, "o").repeat == 6


def test_functions_resolve_attribute_references_and_nest() -> None:
    graph = walk(
        '<ir_version: 10, opset_import: ["": 23, "local": 1]> g (float[2,3] x, float[5,3] w) => '
        "(float[?,?] y) { y = local.outer<turned=1>(x, w) } "
        '<domain: "local", opset_import: ["": 23, "local": 1]> outer <turned> (p, q) => (r) '
        "{ r = local.inner<turned: int = @turned>(p, q) } "
        '<domain: "local", opset_import: ["": 23]> inner <turned> (p, q) => (r) '
        "{ r = Gemm<transB: int = @turned>(p, q) }"
    )
    assert shape(graph, "y") == (2, 5)
    gemm = next(node for node in graph.nodes if node.op_type == "Gemm")
    assert (gemm.integer("transB", 0), gemm.scope) == (1, "0.outer/1.inner")


def test_function_that_calls_itself() -> None:
    with pytest.raises(ModelError, match="calls itself"):
        walk(
            '<ir_version: 10, opset_import: ["": 23, "local": 1]> g (float[2] x) => (float[2] y) '
            '{ y = local.f(x) } <domain: "local", opset_import: ["local": 1]> f (p) => (r) '
            "{ r = local.f(p) }"
        )


def test_schema_functions_stand_for_operators_without_formula() -> None:
    # no operator is registered here, so HardSwish is taken through onnx's body
    graph = walk("g (float[4] x) => (float[4] y) { y = HardSwish(x) }")
    assert graph.nodes[0].container
    body = [node.op_type for node in graph.nodes if node.scope == "0.HardSwish"]
    assert body == ["HardSigmoid", "Mul"]


def test_equal_numbers_mean_equal_values_in_every_scope() -> None:
    graph = walk(
        '<ir_version: 10, opset_import: ["": 23, "local": 1]> g (float[2] x) => (float[2] y) '
        '{ y = local.f(x) } <domain: "local", opset_import: ["": 23]> f (p) => (r) { r = Exp(p) }'
    )
    call, inner = graph.nodes
    assert call.input(0).uid == inner.input(0).uid


def test_sixty_five_calls_deep_is_a_damaged_file() -> None:
    # functions nest without nesting messages, which protobuf stops at 100 levels
    local = '<domain: "local", opset_import: ["": 23, "local": 1]>'
    calls = " ".join(
        f"{local} f{level} (p) => (r) {{ r = local.f{level + 1}(p) }}" for level in range(66)
    )
    with pytest.raises(ModelError, match="nested more than 64 deep"):
        walk(
            '<ir_version: 10, opset_import: ["": 23, "local": 1]> g (float[2] x) => (float[2] y) '
            f"{{ y = local.f0(x) }} {calls} {local} f66 (p) => (r) {{ r = Relu(p) }}"
        )


def test_an_omitted_function_input_is_omitted_inside() -> None:
    # ReduceSum without axes sums everything
    graph = walk(
        '<ir_version: 10, opset_import: ["": 23, "local": 1]> g (float[2,3] x) => (float[?,?] y) '
        '{ y = local.f(x) } <domain: "local", opset_import: ["": 23]> '
        "f (a, axes) => (r) { r = ReduceSum(a, axes) }"
    )
    assert shape(graph, "y") == (1, 1)
    assert [tensor and tensor.name for tensor in graph.nodes[1].inputs] == ["x"]


def test_defaults_of_the_schema_hold_where_onnx_forgets_them() -> None:
    # onesided defaults to 1: 16 // 2 + 1 = 9 of 16 bins; (64 - 16) // 8 + 1 = 7 frames
    graph = walk(
        "g (float[1,64,1] x) => (float[?,?,?,?] y) <int64 step = {8}, int64 length = {16}> "
        "{ y = STFT(x, step, , length) }"
    )
    assert shape(graph, "y") == (1, 7, 9, 2)


def test_schema_defaults_reach_the_body_of_an_operator() -> None:
    # no formula is registered here: Elu's body takes alpha from the schema, 1.0
    graph = walk("g (float[4] x) => (float[4] y) { y = Elu(x) }")
    assert graph.nodes[0].container
    assert shape(graph, "y") == (4,)
    assert all(node.op_type != "Elu" for node in graph.nodes[1:])
