"""Which inputs a run needs, and how each is filled so that the model accepts it.

The graph is asked first: `flow` follows an input to the operators that take its values, and the
first of these rules that applies fills it.

- A string is empty; a category that a OneHotEncoder knows, where it refuses others.
- An index stays inside the smallest table that it reaches, a constant offset and the range of its
  type included; 0 where no table's size is known (`indices`).
- An argument is what its operator asks for: axes, shapes and extents of the data, thresholds inside
  their domain, quantization scales above 0 (`arguments`); lengths are those of the whole sequence,
  past positions included (`lengths`).
- A condition is true. A mask hides nothing: ones, or zeros where it is added or marks what to leave
  out (`masks`).
- A single integer that is compared with constants takes one of them, 16000 if it is among them;
  integers that are compared with a range of them lie in it (`data`).
- Then names: sample rates are 16000 Hz, lengths whole, positions below the sequence's length, sizes
  of images those of the image, scale factors 1 (`names`). Extents that nothing bounds are 1.
- Data: floats and complex numbers are N(0, 1); integers of up to 8 bits cover their type; wider ones
  that are computed with as floats or quantized values lie in 0..255, as pixels do. All others are 1.

No generated value is subnormal: arithmetic with subnormal numbers takes many times longer on some
processors. Each input has a generator of its own; recipes and seeds are part of the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Final

import onnx

from mlsys_lint.errors import ModelError, OptionError
from mlsys_lint.inputs.arguments import argument_recipe, is_count
from mlsys_lint.inputs.constants import Shape
from mlsys_lint.inputs.data import category, compared, data_recipe, is_condition
from mlsys_lint.inputs.flow import Use, ValueFlow
from mlsys_lint.inputs.indices import index_recipe
from mlsys_lint.inputs.masks import mask_recipe
from mlsys_lint.inputs.names import is_mask, named_recipe
from mlsys_lint.inputs.recipes import checked, fits, limits
from mlsys_lint.records.validation import InputPlan

_NO_VALUES: Final[Mapping[str, str]] = MappingProxyType({})


def plan_inputs(
    model: onnx.ModelProto,
    shapes: Mapping[str, Shape],
    values: Mapping[str, str] = _NO_VALUES,
    seed: int = 0,
) -> tuple[InputPlan, ...]:
    """One plan per input that a caller must feed, in the model's order.

    Args:
        model: The model; the data of its large tensors may be dropped.
        shapes: Bound shape of every such input; those of other top-level values help.
        values: Recipes that the user gave by input name, see `recipes.checked`.
        seed: Of the first input's generator; the i-th after it has seed + i.

    Raises:
        ModelError: an input is no tensor, or has no shape or element type.
        OptionError: a recipe is not understood or names no input.
    """
    inputs = tuple(caller_inputs(model))
    unknown = sorted(set(values) - {value.name for value in inputs})
    if unknown:
        known = ", ".join(value.name for value in inputs) or "none"
        raise OptionError(f"{unknown[0]!r} is no input of the model; its inputs: {known}")
    flow = ValueFlow(model, shapes)
    plans = []
    for position, value in enumerate(inputs):
        name, dtype, shape = value.name, _numpy_name(value), _shape(value, shapes)
        recipe = (
            checked(name, values[name], dtype, shape)
            if name in values
            else _by_rule(value, dtype, inputs, shapes, flow.uses(name))
        )
        plans.append(
            InputPlan(name=name, dtype=dtype, shape=shape, recipe=recipe, seed=seed + position)
        )
    return tuple(plans)


def caller_inputs(model: onnx.ModelProto) -> Iterator[onnx.ValueInfoProto]:
    """Graph inputs without those that an initializer already fills (IR versions below 4)."""
    stored = {tensor.name for tensor in model.graph.initializer}
    stored |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    yield from (value for value in model.graph.input if value.name not in stored)


def _numpy_name(value: onnx.ValueInfoProto) -> str:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "value without a type").removesuffix("_type")
        raise ModelError(
            f"input {value.name!r} is a {what}; validate can feed tensors only: "
            "use a model whose inputs are tensors"
        )
    try:
        return onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
    except KeyError:
        raise ModelError(
            f"input {value.name!r} has no known element type; export the model again"
        ) from None


def _shape(value: onnx.ValueInfoProto, shapes: Mapping[str, Shape]) -> Shape:
    if value.name not in shapes:
        raise ModelError(
            f"input {value.name!r} has no shape; give it with --input {value.name}=1,2,..."
        )
    return shapes[value.name]


def _by_rule(
    value: onnx.ValueInfoProto,
    dtype: str,
    inputs: Sequence[onnx.ValueInfoProto],
    shapes: Mapping[str, Shape],
    uses: Sequence[Use],
) -> str:
    """The recipe of the first rule that applies; see the module's docstring."""
    elements = prod(shapes[value.name])
    if dtype == "object":
        return category(uses, text=True) or "empty"
    logical, integer = dtype == "bool", dtype.startswith(("int", "uint"))
    found = (
        (category(uses, text=False) if integer else None)
        or index_recipe(uses, limits(dtype)[1])
        or argument_recipe(uses, elements, integer=integer)
    )
    if found is not None and not fits(found, dtype, shapes[value.name]):
        found = None  # a float's recipe that an integer reaches through a Cast
    if found is None and (logical or is_mask(value.name) or (integer and is_condition(uses))):
        return mask_recipe(uses, logical=logical)
    if found is None and integer:
        found = compared(uses, elements)
    return (
        found
        or named_recipe(value, inputs, shapes, integer=integer)
        or ("1" if is_count(uses) else None)
        or data_recipe(uses, dtype, elements)
    )
