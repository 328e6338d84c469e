"""Which inputs a run needs, and how each is filled so that the model accepts it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import onnx

from mlsys_lint.errors import ModelError, OptionError
from mlsys_lint.index_bounds import IndexBounds
from mlsys_lint.records.validation import InputPlan

SEED: Final = 0
SAMPLE_RATE: Final = 16_000
"""Hz; what speech models are trained for, and a branch that models with several rates have."""

_MASK_NAME: Final = re.compile(r"mask", re.IGNORECASE)
_RATE_NAME: Final = re.compile(r"^sr$|sample_?rate|sampling_?rate", re.IGNORECASE)
_LENGTH_NAME: Final = re.compile(r"len(gth)?s?$", re.IGNORECASE)
_SEQUENCE_DIM: Final = re.compile(r"seq|time|frame|token|len", re.IGNORECASE)
_RANGE: Final = re.compile(r"(-?\d+)\.\.(-?\d+)")


def plan_inputs(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, str]
) -> tuple[InputPlan, ...]:
    """One plan per input that a caller must feed, in the model's order.

    Args:
        model: The model; the data of its tensors may be dropped.
        shapes: Bound shape of every such input.
        values: Recipes that the user gave by input name: a number, or LOW..HIGH for integers.

    Raises:
        ModelError: an input is no tensor, or has no shape or element type.
        OptionError: a recipe is not understood or names no input.
    """
    inputs = tuple(caller_inputs(model))
    unknown = sorted(set(values) - {value.name for value in inputs})
    if unknown:
        known = ", ".join(value.name for value in inputs) or "none"
        raise OptionError(f"{unknown[0]!r} is no input of the model; its inputs: {known}")
    bounds = IndexBounds(model, shapes)
    plans = []
    for position, value in enumerate(inputs):
        dtype, shape = _numpy_name(value), _shape(value, shapes)
        recipe = _given(value.name, values, dtype) or _by_rule(value, dtype, inputs, shapes, bounds)
        plans.append(
            InputPlan(
                name=value.name, dtype=dtype, shape=shape, recipe=recipe, seed=SEED + position
            )
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


def _shape(value: onnx.ValueInfoProto, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    if value.name not in shapes:
        raise ModelError(
            f"input {value.name!r} has no shape; give it with --input {value.name}=1,2,..."
        )
    return shapes[value.name]


def _given(name: str, values: Mapping[str, str], dtype: str) -> str | None:
    """The user's recipe, checked."""
    recipe = values.get(name)
    if recipe is None:
        return None
    if match := _RANGE.fullmatch(recipe):
        if int(match[1]) < int(match[2]):
            return recipe
    elif dtype != "object" and _is_number(recipe):
        return recipe
    raise OptionError(
        f"input {name!r}: {recipe!r} is no recipe for {dtype}; write a number, "
        "or LOW..HIGH with LOW below HIGH"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _by_rule(
    value: onnx.ValueInfoProto,
    dtype: str,
    inputs: tuple[onnx.ValueInfoProto, ...],
    shapes: Mapping[str, tuple[int, ...]],
    bounds: IndexBounds,
) -> str:
    """The recipe that the name, the type and the readers of an input suggest."""
    if dtype == "object":
        return "empty"
    if dtype == "bool":
        return "1"
    if _RATE_NAME.search(value.name):
        return str(SAMPLE_RATE)
    if dtype.startswith(("int", "uint")):
        return _integers(value, inputs, shapes, bounds)
    return "1" if _MASK_NAME.search(value.name) else "normal"


def _integers(
    value: onnx.ValueInfoProto,
    inputs: tuple[onnx.ValueInfoProto, ...],
    shapes: Mapping[str, tuple[int, ...]],
    bounds: IndexBounds,
) -> str:
    tables = bounds.tables(value.name)
    rows = [size for size in tables if size]
    if rows:
        return f"0..{min(rows)}"
    if tables:  # an index into a table of unknown size: only 0 is safe
        return "0"
    if _LENGTH_NAME.search(value.name):
        return str(_full_length(value.name, inputs, shapes))
    return "1"


def _full_length(
    name: str, inputs: tuple[onnx.ValueInfoProto, ...], shapes: Mapping[str, tuple[int, ...]]
) -> int:
    """Size of the axis that lengths count: one named like a sequence, else axis 1 of an input."""
    others = [value for value in inputs if value.name != name and value.name in shapes]
    named = [
        size
        for value in others
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=False)
        if _SEQUENCE_DIM.search(dim.dim_param)
    ]
    second = [shapes[value.name][1] for value in others if len(shapes[value.name]) > 1]
    return max(named) if named else (second or [1])[0]
