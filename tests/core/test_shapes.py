"""Binding of input sizes: given, derived, assumed, contradicted."""

from __future__ import annotations

import onnx
import pytest

from mlsys_lint.errors import OptionError
from mlsys_lint.onnx_types import shape_of
from mlsys_lint.records import Dimension
from mlsys_lint.shapes import Bindings, BoundInputs, bind
from mlsys_lint.testing import model_from_text


def model(inputs: str) -> onnx.ModelProto:
    return model_from_text(f"g ({inputs}) => (float[?] y) {{ y = Identity(x) }}")


def shapes(bound: BoundInputs) -> dict[str, object]:
    return {name: shape_of(kind) for name, kind in bound.types.items()}


def test_unbound_dimensions_are_one_and_said() -> None:
    bound = bind(model("float[N,3,?] x"), Bindings())
    assert shapes(bound) == {"x": (1, 3, 1)}
    assert bound.dims == (
        Dimension(name="N", value=1, source="assumed"),
        Dimension(name="x:2", value=1, source="assumed"),
    )


def test_minus_one_and_question_mark_are_dynamic() -> None:
    proto = model("float[N,3] x")
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_param = "?"
    dims[1].dim_value = -1
    bound = bind(proto, Bindings(dims={"x:0": 4, "x:1": 5}))
    assert shapes(bound) == {"x": (4, 5)}


def test_a_name_binds_every_place_it_stands_at() -> None:
    bound = bind(model("float[N,S] x, float[S,N] z"), Bindings(dims={"N": 2, "S": 7}))
    assert shapes(bound) == {"x": (2, 7), "z": (7, 2)}
    assert {one.source for one in bound.dims} == {"given"}


def test_position_binds_the_symbol_that_stands_there() -> None:
    bound = bind(model("float[N,S] x, float[N] z"), Bindings(dims={"x:0": 6}))
    assert shapes(bound) == {"x": (6, 1), "z": (6,)}


def test_batch_binds_axis_zero_where_dynamic() -> None:
    bound = bind(model("float[N,3] x, int64[2] k"), Bindings(batch=8))
    assert shapes(bound) == {"x": (8, 3), "k": (2,)}
    assert bound.dims[0].source == "batch"


def test_batch_without_a_dynamic_axis_zero() -> None:
    with pytest.raises(OptionError, match="--batch: no input has a dynamic axis 0"):
        bind(model("float[4,N] x"), Bindings(batch=8))


def test_sums_of_other_dimensions_follow() -> None:
    proto = model("float[P,T] x")
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "P + 1"
    bound = bind(proto, Bindings(dims={"P": 12}))
    assert shapes(bound) == {"x": (12, 13)}
    assert bound.dims[1] == Dimension(name="P + 1", value=13, source="derived")


def test_a_whole_shape_binds_its_symbols() -> None:
    bound = bind(model("float[N,3,H,H] x, float[H] z"), Bindings(inputs={"x": (2, 3, 48, 48)}))
    assert shapes(bound) == {"x": (2, 3, 48, 48), "z": (48,)}


@pytest.mark.parametrize(
    ("bindings", "message"),
    [
        (Bindings(inputs={"q": (1,)}), "no such input; inputs: x"),
        (Bindings(inputs={"x": (1, 3)}), "has 3 axes in the file, 2 were given"),
        (Bindings(inputs={"x": (1, 4, 5)}), "axis 1 is fixed at 3"),
        (Bindings(inputs={"x": (1, 3, 5)}, dims={"H": 6}), "given twice"),
        (Bindings(dims={"x:1": 9}), "fixed at 3"),
    ],
)
def test_contradictions_are_errors(bindings: Bindings, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        bind(model("float[N,3,H] x"), bindings)


def test_initializers_listed_as_inputs_are_no_inputs() -> None:
    proto = model("float[N,3] x, float[3,3] w")
    proto.graph.initializer.add(name="w", data_type=1, dims=[3, 3])
    assert list(bind(proto, Bindings()).types) == ["x"]
