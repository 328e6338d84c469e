"""Types of a node's outputs: onnx's per-node inference, plugins' `infer`, small values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

import onnx
from onnx import defs, shape_inference

from mlsys_lint import dtypes
from mlsys_lint.records import OperatorSpec
from mlsys_lint.values import evaluate, is_direct
from mlsys_lint.worlds import (
    Array,
    Dense,
    World,
    doubled_like,
    named,
    settle_maxima,
    shape_value,
    tensor_type,
)

DEFAULTS_MATTER: Final = frozenset({"STFT"})
"""onnx 1.23 infers STFT's output as if `onesided` were 0 where it is absent; the default is 1."""
_SHRINKING: Final = frozenset({"NonZero", "Compress", "Unique"})
"""Operators that never give more elements than they take, whatever their output's extent."""


Memo: TypeAlias = dict[tuple[Hashable, ...], tuple[Dense, ...]]
"""Output types of the nodes that were met, by all that they depend on."""


@dataclass(slots=True)
class Inferred:
    """Outputs of a node in the world of maxima, and in the other one where it differs."""

    main: list[World]
    alt: list[World] | None = None
    notes: list[str] = field(default_factory=list)


def infer(
    node: onnx.NodeProto,
    mains: Sequence[World | None],
    alts: Sequence[World | None] | None,
    *,
    spec: OperatorSpec | None,
    opset: int,
    opsets: Mapping[str, int],
    extents: Mapping[tuple[str, int], int],
    memo: Memo,
) -> Inferred:
    """Types and small values of a node's outputs.

    `alts` are the inputs in the other world, None when no input depends on data; `extents` are the
    sizes, by (value, axis), that the user gave for data-dependent extents. `memo` keeps the types
    of the model's earlier nodes: networks repeat their blocks.
    """
    outputs, notes = _infer_world(node, mains, spec, opset, opsets, memo)
    doubled = settle_maxima(node, outputs, extents)
    if not doubled and alts is None:
        return Inferred(main=outputs, notes=notes)
    if alts is None:
        others = [doubled.get(position, world) for position, world in enumerate(outputs)]
        return Inferred(main=outputs, alt=others, notes=notes)
    others, failed = _infer_world(node, alts, spec, opset, opsets, memo)
    settle_maxima(node, others, extents)
    if failed or any(world.type is None for world in others):
        others = [doubled_like(world, mains, alts) for world in outputs]
    return Inferred(main=outputs, alt=others, notes=notes)


def _infer_world(
    node: onnx.NodeProto,
    inputs: Sequence[World | None],
    spec: OperatorSpec | None,
    opset: int,
    opsets: Mapping[str, int],
    memo: Memo,
) -> tuple[list[World], list[str]]:
    computed = _computed(node, inputs, opset)
    if computed is not None:
        return computed, []
    key = _memo_key(node, inputs, opset)
    if key in memo:
        outputs = [World(dense=dense) for dense in memo[key]]
        evaluate_outputs(node, inputs, outputs, opset)
        return outputs, []
    outputs, notes = _by_schemas(node, inputs, spec, opset, opsets)
    if not notes:
        settled = [one.as_dense if one.is_static else None for one in outputs]
        if dense := [one for one in settled if one is not None]:
            if len(dense) == len(outputs):
                memo[key] = tuple(dense)
    evaluate_outputs(node, inputs, outputs, opset)
    return outputs, notes


def _computed(
    node: onnx.NodeProto, inputs: Sequence[World | None], opset: int
) -> list[World] | None:
    """Outputs of shape arithmetic on known values: a type follows from the elements."""
    if node.domain not in ("", "ai.onnx") or not inputs or len(node.output) != 1:
        return None
    if node.op_type in ("Shape", "Size"):
        result = None if inputs[0] is None else shape_value(node, inputs[0])
    elif is_direct(node.op_type) and _all_known(node, inputs):
        arrays = [None if world is None else world.array for world in inputs]
        (result,) = evaluate(node, arrays, opset)
    else:
        return None
    if result is None:
        return None
    world = World()
    world.set_array(result)
    return [world]


def _memo_key(
    node: onnx.NodeProto, inputs: Sequence[World | None], opset: int
) -> tuple[Hashable, ...]:
    """What the types of a node's outputs depend on: everything but names."""
    return (
        *(node.domain, node.op_type, opset, len(node.output)),
        *[one.SerializeToString(deterministic=True) for one in node.attribute],
        *[None if world is None else world.key for world in inputs],
    )


def _by_schemas(
    node: onnx.NodeProto,
    inputs: Sequence[World | None],
    spec: OperatorSpec | None,
    opset: int,
    opsets: Mapping[str, int],
) -> tuple[list[World], list[str]]:
    types = {
        name: kind
        for name, world in zip(node.input, inputs, strict=True)
        if name and world is not None and (kind := world.type) is not None
    }
    data = {
        name: data
        for name, world in zip(node.input, inputs, strict=True)
        if name and world is not None and (data := world.data) is not None
    }
    outputs = [World() for _ in node.output]
    if len(types) < len({name for name in node.input if name}):
        return outputs, ["an input has no known type"]
    notes: list[str] = []
    for schema in _schemas(node, spec, opset):
        asked = with_defaults(node, schema) if node.op_type in DEFAULTS_MATTER else node
        try:
            found = shape_inference.infer_node_outputs(
                schema, asked, types, data, opset_imports=_imports(tuple(opsets.items()))
            )
        except Exception as error:  # noqa: BLE001  onnx raises several kinds; all mean "unknown"
            notes = [f"type inference failed: {_first_line(error)}"]
            continue
        _merge(node, outputs, found)
        if all(world.is_static for _, world in named(node, outputs)):
            notes = []
            break
    return outputs, notes


def _schemas(
    node: onnx.NodeProto, spec: OperatorSpec | None, opset: int
) -> Iterator[defs.OpSchema]:
    """Onnx's schema, then the plugin's inference function (for what onnx leaves open)."""
    with suppress(defs.SchemaError):
        yield schema_of(node.domain, node.op_type, opset)
    if spec is not None and spec.infer is not None:
        yield _schema_with(spec.infer, spec.since_version, node)


@lru_cache(maxsize=4096)
def schema_of(domain: str, op_type: str, opset: int) -> defs.OpSchema:
    """Onnx's schema in force; onnx.defs.SchemaError when it has none."""
    return defs.get_schema(op_type, opset, domain)


def with_defaults(node: onnx.NodeProto, schema: defs.OpSchema) -> onnx.NodeProto:
    """A copy of a node with the attributes that it leaves at the schema's defaults written out."""
    given = {one.name for one in node.attribute}
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.type:
            copy.attribute.add().CopyFrom(attribute.default_value)
    return copy


def _schema_with(
    function: Callable[[shape_inference.InferenceContext], None],
    since_version: int,
    node: onnx.NodeProto,
) -> defs.OpSchema:
    """A schema that lets any inputs and the node's own attributes pass, with a plugin's `infer`."""
    schema = defs.OpSchema
    variadic: Any = {
        "param_option": schema.FormalParameterOption.Variadic,
        "is_homogeneous": False,
        "min_arity": 0,
    }
    built = schema(
        node.op_type,
        node.domain or "ai.onnx.any",
        since_version,
        inputs=[schema.FormalParameter("inputs", "T", **variadic)],
        outputs=[schema.FormalParameter("outputs", "T", **variadic)],
        type_constraints=[("T", _any_type(), "any type")],
        attributes=[
            schema.Attribute(one.name, _attribute_type(one), "", required=False)
            for one in node.attribute
        ],
    )
    built.set_type_and_shape_inference_function(function)
    return built


def _attribute_type(attribute: onnx.AttributeProto) -> Any:
    make: Any = defs.OpSchema.AttrType  # typed without its constructor
    return make(attribute.type)


@lru_cache(maxsize=1)
def _any_type() -> list[str]:
    names = [name for number in dtypes.NUMBERS.values() if (name := dtypes.name_of(number))]
    tensors = [f"tensor({name})" for name in names]
    return tensors + [f"seq({one})" for one in tensors] + [f"optional({one})" for one in tensors]


@lru_cache(maxsize=64)
def _imports(opsets: tuple[tuple[str, int], ...]) -> list[onnx.OperatorSetIdProto]:
    return [onnx.helper.make_opsetid(domain, version) for domain, version in opsets]


def _merge(node: onnx.NodeProto, outputs: list[World], found: Mapping[str, onnx.TypeProto]) -> None:
    """Take what is new: types where there are none, sizes where they are unknown."""
    for name, world in named(node, outputs):
        kind = found.get(name)
        tensor = tensor_type(kind)
        if (
            kind is None
            or kind.WhichOneof("value") is None
            or (tensor is not None and tensor.elem_type == 0)
        ):
            continue
        if not world.is_static:
            world.type = kind


def evaluate_outputs(
    node: onnx.NodeProto,
    inputs: Sequence[World | None],
    outputs: list[World],
    opset: int,
) -> None:
    """Fill in the elements of small outputs whose inputs are all known."""
    if node.op_type in ("Shape", "Size") and node.input and inputs[0] is not None:
        sizes = shape_value(node, inputs[0])
        if sizes is not None and outputs:
            outputs[0].set_array(sizes)
        return
    if not _worth_evaluating(node, inputs, outputs):
        return
    arrays = [None if world is None else world.array for world in inputs]
    if any(array is None and name for array, name in zip(arrays, node.input, strict=True)):
        return
    for (_, world), array in zip(
        named(node, outputs), _named_values(node, evaluate(node, arrays, opset)), strict=True
    ):
        if array is not None:
            world.set_array(array)


def _named_values(node: onnx.NodeProto, arrays: Sequence[Array | None]) -> Iterator[Array | None]:
    return (array for name, array in zip(node.output, arrays, strict=True) if name)


def _worth_evaluating(
    node: onnx.NodeProto, inputs: Sequence[World | None], outputs: Sequence[World]
) -> bool:
    """True when every input is known and every output is known to be small."""
    if not inputs or not _all_known(node, inputs):
        return False
    if any(one.HasField("g") for one in node.attribute):
        return False
    return node.op_type in _SHRINKING or all(world.is_small for _, world in named(node, outputs))


def _all_known(node: onnx.NodeProto, inputs: Sequence[World | None]) -> bool:
    for world, name in zip(inputs, node.input, strict=True):
        if name and (world is None or not world.is_known):
            return False
    return True


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
