"""Element-wise arithmetic: one operation per result, and a list that misses no operator."""

from __future__ import annotations

from typing import Final

import onnx
import pytest
from onnx import defs, shape_inference

from mlsys_lint.testing import check_text
from mlsys_lint_plugins.ops import activation, elementwise
from node_costs import cost_of, counts, moved, node_of, text_of

ARITHMETIC: Final = (
    *("Abs", "Neg", "Ceil", "Floor", "Round", "Sign", "Reciprocal"),
    *("IsInf", "IsNaN", "Not", "BitwiseNot"),
)
BINARY: Final = (
    *("Add", "Sub", "Mul", "Div", "Mod", "Equal", "Less", "Greater", "LessOrEqual"),
    *("GreaterOrEqual", "And", "Or", "Xor", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor"),
)
FUNCTIONS: Final = (
    *("Exp", "Log", "Sqrt", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan"),
    *("Sinh", "Cosh", "Asinh", "Acosh", "Atanh"),
)
VARIADIC: Final = ("Min", "Max", "Sum", "Mean")
NOT_ELEMENTWISE: Final = {
    # operators of one or two tensors that give a result of their shape, and are something else
    *("Softmax", "LogSoftmax", "Hardmax", "LayerNormalization", "LpNormalization"),
    *("RMSNormalization", "QuantizeLinear", "Dropout", "Bernoulli", "Trilu", "TensorScatter"),
    *("Identity", "Squeeze", "OptionalGetElement", "RandomNormalLike", "RandomUniformLike"),
}
NEWEST_OPSET: Final = 28
"""The lists above were made for this one; later operators are not looked for."""


def kind_of(name: str) -> str:
    if name.startswith("Bit"):
        return "uint8"
    return "bool" if name in ("And", "Or", "Xor", "Not") else "float"


@pytest.mark.parametrize("name", ARITHMETIC)
def test_one_operation_per_element(name: str) -> None:
    assert counts(f"{name}(x)", f"{kind_of(name)}[3,4] x") == (12, 0)


@pytest.mark.parametrize("name", BINARY)
def test_one_operation_per_result(name: str) -> None:
    # [3,1] with [4] stretch to 12 results; 3 + 4 elements are read.
    kind = kind_of(name)
    call = 'BitShift<direction="LEFT">(a, b)' if name == "BitShift" else f"{name}(a, b)"
    cost = cost_of(call, f"{kind}[3,1] a, {kind}[4] b")
    width = 4 if kind == "float" else 1
    assert (cost.vector_ops, cost.transcendentals) == (12, 0)
    assert cost.bytes_read == 7 * width
    assert cost.kernel_class == "elementwise"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_transcendental_per_element(name: str) -> None:
    cost = cost_of(f"{name}(x)", "float[3,4] x")
    assert (cost.vector_ops, cost.transcendentals) == (0, 12)
    assert cost.kernel_class == f"unary:{name.lower()}"


def test_powers_are_transcendental() -> None:
    assert counts("Pow(x, e)", "float[3,4] x, float e") == (0, 12)


@pytest.mark.parametrize("name", VARIADIC)
def test_n_inputs_take_n_less_one(name: str) -> None:
    # 12 results of 3 inputs: 2 operations each, a mean divides once more.
    inputs = "float[3,4] a, float[4] b, float[3,1] c"
    mean = 12 if name == "Mean" else 0
    assert counts(f"{name}(a, b, c)", inputs) == (24 + mean, 0)
    assert moved(f"{name}(a, b, c)", inputs) == (4 * (12 + 4 + 3), 48)
    assert counts(f"{name}(a)", inputs) == (mean, 0)


def test_an_input_that_occurs_twice_is_read_once() -> None:
    assert moved("Mul(x, x)", "float[3,4] x") == (48, 48)


def test_where_selects() -> None:
    # A bool per element of [3,4], 4 floats and a scalar are read.
    inputs = "bool[3,4] c, float[4] a, float b"
    assert counts("Where(c, a, b)", inputs) == (12, 0)
    assert moved("Where(c, a, b)", inputs) == (12 + 16 + 4, 48)


def test_comparisons_write_a_byte() -> None:
    assert moved("Less(a, b)", "float[3,4] a, float[3,4] b") == (96, 12)


def test_conversions_count_where_the_type_changes() -> None:
    assert counts("Cast<to=10>(x)", "float[3,4] x") == (12, 0)
    assert counts("Cast<to=1>(x)", "float[3,4] x") == (0, 0)
    assert moved("Cast<to=10>(x)", "float[3,4] x") == (48, 24)
    # Only the type of the second input matters.
    assert counts("CastLike(x, t)", "float[3,4] x, int64[7] t") == (12, 0)
    assert moved("CastLike(x, t)", "float[3,4] x, int64[7] t") == (48, 96)
    # int4 packs two to a byte: ceil(15 / 2).
    assert moved("Cast<to=22>(x)", "float[3,5] x") == (60, 8)


def test_bits_are_copied() -> None:
    assert counts("BitCast<to=6>(x)", "float[3,4] x", opset=26) == (0, 0)
    assert moved("BitCast<to=6>(x)", "float[3,4] x", opset=26) == (48, 48)


def test_dropout_by_mode() -> None:
    assert counts("Dropout(x)", "float[3,4] x") == (0, 0)
    assert moved("Dropout(x)", "float[3,4] x") == (48, 48)
    for opset in (7, 10):
        assert counts("Dropout(x)", "float[3,4] x", opset=opset) == (0, 0)
    # A mask that is asked for is written: floats before opset 10, then bools.
    for opset, width in ((7, 4), (9, 4), (10, 1), (13, 1)):
        masked = moved("Dropout(x)", "float[3,4] x", opset=opset, outputs="y, mask")
        assert masked == (48, 48 + 12 * width)
    # In training: comparison with the ratio, mask, scale.
    assert counts("Dropout(x)", "float[3,4] x", opset=6) == (36, 0)
    assert counts("Dropout<is_test=1>(x)", "float[3,4] x", opset=6) == (0, 0)
    trained = text_of("Dropout(x, , mode)", "float[3,4] x").replace("{ ", "<bool mode = {1}> { ", 1)
    (known,) = check_text(trained).nodes
    assert known.cost is not None
    assert (known.cost.vector_ops, known.cost.assumptions) == (36, ())
    unknown = cost_of("Dropout(x, , mode)", "float[3,4] x, bool mode")
    assert unknown.vector_ops == 36
    assert unknown.assumptions == (
        "data-dependent: training_mode is not known, counted as training",
    )


def test_scalars_have_one_element() -> None:
    assert counts("Add(a, b)", "float a, float b") == (1, 0)
    assert moved("Add(a, b)", "float a, float b") == (8, 4)


def test_an_unknown_rank_is_declined() -> None:
    found = node_of("Exp(x)", "float[] x")
    assert (found.cost, found.status.value) == (None, "declined")
    assert found.reason == "'x' has no static shape" or "no static shape" in str(found.reason)


@pytest.mark.parametrize(
    "call",
    [
        *(f"{name}(x)" for name in (*ARITHMETIC, *FUNCTIONS)),
        *(f"{name}(x, x)" for name in (*BINARY, *VARIADIC) if name != "BitShift"),
        *("Relu(x)", "Gelu(x)", "Elu(x)", "Mish(x)", "Cast<to=7>(x)", "Where(x, x, x)"),
    ],
)
def test_figures_double_with_the_elements(call: str) -> None:
    kind = "bool" if call.startswith("Where") else kind_of(call.partition("(")[0])
    one, two = (cost_of(call, f"{kind}[{rows},5] x") for rows in (3, 6))
    assert two.vector_ops == 2 * one.vector_ops
    assert two.transcendentals == 2 * one.transcendentals
    assert two.bytes_read == 2 * one.bytes_read
    assert two.bytes_written == 2 * one.bytes_written
    assert one.vector_ops + one.transcendentals >= 15


def looks_elementwise(schema: defs.OpSchema) -> bool:
    """One or two tensors of one shape give one result of that shape, without any attribute."""
    required = [
        one for one in schema.inputs if one.option != defs.OpSchema.FormalParameterOption.Optional
    ]
    mandatory = [one.name for one in schema.attributes.values() if one.required]
    if len(schema.outputs) < 1 or not 1 <= len(required) <= 2 or mandatory:
        return False
    names = [f"i{at}" for at in range(len(required))]
    node = onnx.helper.make_node(schema.name, names, ["y"])
    for kind in (1, 2, 9):
        types = {name: onnx.helper.make_tensor_type_proto(kind, (2, 3, 4)) for name in names}
        try:
            found = shape_inference.infer_node_outputs(schema, node, types)
        except Exception:  # noqa: BLE001, S112  inference says in many ways that inputs do not fit
            continue
        dims = found["y"].tensor_type.shape.dim if "y" in found else ()
        if [dim.dim_value for dim in dims] == [2, 3, 4]:
            return True
    return False


def test_every_elementwise_operator_is_listed() -> None:
    listed = {*ARITHMETIC, *BINARY, *FUNCTIONS, *VARIADIC, *activation.ACTIVATIONS}
    listed |= {"Pow", "Where", "Cast", "CastLike"}
    found = {
        schema.name
        for schema in defs.get_all_schemas()
        if schema.domain == "" and schema.since_version <= NEWEST_OPSET and not schema.deprecated
        if looks_elementwise(schema)
    }
    assert found - NOT_ELEMENTWISE <= listed
    assert NOT_ELEMENTWISE - found == set()
    modelled = {spec.op_type for spec in (*elementwise.OPERATORS, *activation.OPERATORS)}
    contrib = {"FastGelu", "QuickGelu"}
    assert listed - contrib <= modelled
