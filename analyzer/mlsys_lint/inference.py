"""Types of a node's outputs: onnx's per-node inference, plugins' `infer`, small values."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias, cast

import onnx
from onnx import shape_inference

from mlsys_lint.intervals import facing, interval
from mlsys_lint.maxima import differing, marked_like, settle_maxima
from mlsys_lint.onnx_types import Dense, merged, resized, tensor_type
from mlsys_lint.records import OperatorSpec
from mlsys_lint.schemas import DEFAULTS_MATTER, imports_of, schemas_for, with_defaults
from mlsys_lint.symbols import name_sizes
from mlsys_lint.values import evaluate, is_direct
from mlsys_lint.worlds import Array, World, named, shape_value

_SHRINKING: Final = frozenset({"NonZero", "Compress", "Unique"})
"""Operators that never give more elements than they take, whatever their output's extent."""


_MOST_REMEMBERED: Final = 8192
_NAMES_SIZES: Final = "com.microsoft"
"""Domains whose operators keep the names of open sizes in ONNX Runtime, as onnx's own do."""
FAILED: Final = "type inference failed"
"""How a note begins that says that onnx found a contradiction."""
Memo: TypeAlias = dict[tuple[Hashable, ...], tuple[Dense, ...]]
"""Output types of the nodes that were met, by all that they depend on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known besides a node: its entry, the opsets in force, earlier nodes' types."""

    spec: OperatorSpec | None
    opset: int
    opsets: Mapping[str, int]
    memo: Memo
    """networks repeat their blocks"""


@dataclass(slots=True)
class Inferred:
    """Outputs of a node in the world of maxima, and in the other one where it differs."""

    main: list[World]
    alt: list[World] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """The notes that say that onnx found a contradiction."""
        return [note for note in self.notes if note.startswith(FAILED)]


def infer(
    node: onnx.NodeProto,
    mains: Sequence[World | None],
    alts: Sequence[World | None] | None,
    known: Known,
    extents: Mapping[tuple[str, int], int],
) -> Inferred:
    """Types and small values of a node's outputs.

    `alts` are the inputs in the other world, None when no input depends on data; `extents` are the
    sizes, by (value, axis), that the user gave for data-dependent extents.
    """
    if alts is not None:
        return _infer_both(node, mains, alts, known, extents)
    outputs, notes = _infer_world(node, mains, known)
    twins = settle_maxima(node, outputs, extents)
    if not twins:
        return Inferred(main=outputs, notes=notes)
    others = [twins.get(position, world) for position, world in enumerate(outputs)]
    return Inferred(main=outputs, alt=others, notes=notes)


def _infer_both(
    node: onnx.NodeProto,
    mains: Sequence[World | None],
    alts: Sequence[World | None],
    known: Known,
    extents: Mapping[tuple[str, int], int],
) -> Inferred:
    """Outputs of a node that reads data-dependent sizes or values, in both worlds."""
    if _loses_axes_by_chance(node, mains, alts):
        unknown = World(type=resized(mains[0].type, None) if mains[0] is not None else None)
        return Inferred(main=[unknown], notes=["data-dependent: an axis of 1 would be taken away"])
    values = interval(node, mains, alts, known.opset)
    outputs, notes = _by_schemas(node, facing(node, mains, alts), known)
    twins = settle_maxima(node, outputs, extents)
    others, failed = _by_schemas(node, facing(node, alts, mains), known)
    settle_maxima(node, others, extents)
    if failed or any(world.type is None for world in others):
        others = [marked_like(world, mains, alts) for world in outputs]
    for position, twin in twins.items():
        others[position] = differing(others[position], outputs[position], twin)
    for position, (greatest, least) in enumerate(values or ()):
        outputs[position].set_array(greatest)
        others[position].set_array(least)
    return Inferred(main=outputs, alt=others, notes=notes)


def _loses_axes_by_chance(
    node: onnx.NodeProto, mains: Sequence[World | None], alts: Sequence[World | None]
) -> bool:
    """True for a Squeeze of all axes of 1, one of which may be 1 or not as data will have it."""
    if node.op_type != "Squeeze" or len(node.output) != 1 or mains[0] is None or alts[0] is None:
        return False
    stated = len(mains) > 1 and mains[1] is not None
    stated = stated or any(one.name == "axes" for one in node.attribute)
    return not stated and mains[0].shape != alts[0].shape


def _infer_world(
    node: onnx.NodeProto,
    inputs: Sequence[World | None],
    known: Known,
) -> tuple[list[World], list[str]]:
    opset, memo = known.opset, known.memo
    computed = _computed(node, inputs, opset)
    if computed is not None:
        return computed, []
    key = _memo_key(node, inputs, opset)
    if key in memo:
        outputs = [World(dense=dense) for dense in memo[key]]
        evaluate_outputs(node, inputs, outputs, opset)
        return outputs, []
    outputs, notes = _by_schemas(node, inputs, known)
    dense = [one.as_dense for one in outputs if one.is_static]
    if not notes and len(dense) == len(outputs) and None not in dense:
        if len(memo) > _MOST_REMEMBERED:
            memo.clear()
        memo[key] = cast("tuple[Dense, ...]", tuple(dense))
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
    known: Known,
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
    imports = imports_of(tuple(known.opsets.items()))
    for schema in schemas_for(node, known.spec, known.opset):
        asked = with_defaults(node, schema) if node.op_type in DEFAULTS_MATTER else node
        ask = partial(_ask, schema, asked, data, imports)
        try:
            found = ask(types)
            if node.domain.startswith(_NAMES_SIZES):
                name_sizes(ask, types, found)
        except Exception as error:  # noqa: BLE001  onnx raises several kinds; all mean "unknown"
            notes = [f"{FAILED}: {_first_line(error)}"]
            continue
        _merge(node, outputs, found)
        if all(world.is_static for _, world in named(node, outputs)):
            notes = []
            break
    return outputs, notes


def _ask(
    schema: onnx.defs.OpSchema,
    node: onnx.NodeProto,
    data: Mapping[str, onnx.TensorProto],
    imports: Sequence[onnx.OperatorSetIdProto],
    types: Mapping[str, onnx.TypeProto],
) -> Mapping[str, onnx.TypeProto]:
    return shape_inference.infer_node_outputs(
        schema, node, dict(types), dict(data), opset_imports=list(imports)
    )


def _merge(node: onnx.NodeProto, outputs: list[World], found: Mapping[str, onnx.TypeProto]) -> None:
    """Take what is new: types where there are none, sizes (or their names) where they are open."""
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
            world.type = kind if world.type is None else merged(kind, world.type)


def evaluate_outputs(
    node: onnx.NodeProto,
    inputs: Sequence[World | None],
    outputs: list[World],
    opset: int,
) -> None:
    """Fill in the elements of small outputs whose inputs are all known."""
    if not _worth_evaluating(node, inputs, outputs):
        return
    arrays = [None if world is None else world.array for world in inputs]
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
