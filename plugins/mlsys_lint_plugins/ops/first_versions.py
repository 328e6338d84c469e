"""First versions of operators that onnx infers no types for: a later version's inference serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import onnx
from onnx import AttributeProto, defs, shape_inference
from onnx.helper import make_attribute
from onnx.shape_inference import InferenceContext

from mlsys_lint import OperatorSpec
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    given,
    integers,
    put,
    scalar_value,
    sizes,
)

Changes = Callable[[InferenceContext], list[AttributeProto]]


def first_version(
    spec: OperatorSpec, later: int, changes: Changes | None = None
) -> tuple[OperatorSpec, OperatorSpec]:
    """The spec up to opset `later` - 1, with that version's inference, and the spec from then on.

    `changes` says in the later version's attributes what the first one says otherwise.
    """
    infer = _as_version(spec.op_type, later, changes or (lambda _: []))
    return replace(spec, infer=infer), replace(spec, since_version=later)


def _as_version(name: str, version: int, changes: Changes) -> Infer:
    def infer(context: InferenceContext) -> None:
        schema = defs.get_schema(name, version, "")
        positions = range(context.get_num_inputs())
        inputs = {f"i{at}": context.get_input_type(at) for at in positions if given(context, at)}
        outputs = [f"o{at}" for at in range(context.get_num_outputs())]
        names = [f"i{at}" if given(context, at) else "" for at in positions]
        node = onnx.helper.make_node(name, names[: schema.max_input], outputs)
        node.attribute.extend(changes(context))
        node.attribute.extend(_attributes(context, schema, {one.name for one in node.attribute}))
        found = shape_inference.infer_node_outputs(schema, node, inputs)
        for at, output in enumerate(outputs):
            if output in found:
                context.set_output_type(at, found[output])

    return infer


def _attributes(
    context: InferenceContext, schema: defs.OpSchema, changed: set[str]
) -> list[AttributeProto]:
    asked: list[AttributeProto | None] = [
        context.get_attribute(name) for name in schema.attributes if name not in changed
    ]
    return [one for one in asked if one is not None and one.type]


def concat_changes(context: InferenceContext) -> list[AttributeProto]:
    """Before opset 4 the axis is 1 unless it is given."""
    axis: AttributeProto | None = context.get_attribute("axis")
    return [] if axis is not None and axis.type else [make_attribute("axis", 1)]


def split_changes(context: InferenceContext) -> list[AttributeProto]:
    """Before opset 2 the sizes may be an input."""
    parts = integers(context, 1)
    return [make_attribute("split", parts)] if parts else []


def pad_changes(context: InferenceContext) -> list[AttributeProto]:
    """Before opset 2 pads are called paddings."""
    paddings: AttributeProto | None = context.get_attribute("paddings")
    return [make_attribute("pads", list(paddings.ints))] if paddings is not None else []


def upsample_changes(context: InferenceContext) -> list[AttributeProto]:
    """Before opset 7 an image has a scale for its height, and one for its width."""
    height, width = (context.get_attribute(f"{side}_scale") for side in ("height", "width"))
    return [make_attribute("scales", [1.0, 1.0, height.f, width.f])]


def power_changes(_: InferenceContext) -> list[AttributeProto]:
    """Before opset 2 the power is a float; shapes do not depend on it."""
    return [make_attribute("p", 2)]


def infer_reshape(context: InferenceContext) -> None:
    """Before opset 5 the shape is an attribute: 0 keeps a size, -1 is what the others leave over."""
    shape: AttributeProto | None = context.get_attribute("shape")
    before = sizes(context, 0)
    if shape is None or before is None or None in before:
        return
    known = [size for size in before if size is not None]
    after = [size or known[at] for at, size in enumerate(shape.ints)]
    others = prod(size for size in after if size > 0)
    left = prod(known) // max(1, others)
    put(context, 0, element_type(context, 0), [left if size < 0 else size for size in after])


def infer_tile(context: InferenceContext) -> None:
    """Before opset 6 one axis is repeated: how often, and which one, are numbers of any type."""
    shape, times, axis = sizes(context, 0), scalar_value(context, 1), scalar_value(context, 2)
    if shape and times is not None and axis is not None and -len(shape) <= axis < len(shape):
        repeated = list(shape)
        before = shape[axis]
        repeated[axis] = None if before is None else before * times
        put(context, 0, element_type(context, 0), repeated)
