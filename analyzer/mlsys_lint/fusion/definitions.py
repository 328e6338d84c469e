"""Operators replaced by the function by which onnx defines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import onnx

from mlsys_lint import dtypes
from mlsys_lint.graph.calls import call_of
from mlsys_lint.graph.functions import Body, schema_body, without_inputs
from mlsys_lint.graph.store import constant_world
from mlsys_lint.inference import Known, infer
from mlsys_lint.onnx_types import symbols_of
from mlsys_lint.program import Dim, Op, Program, Value
from mlsys_lint.worlds import World

_Worlds: TypeAlias = dict[str, World]


def inline(program: Program, op: Op) -> bool:
    """Put the body of an operator's function in its place, its nodes at the end of the list.

    Each part has the members of the whole. Constants of the body are stored; sizes and small
    elements are inferred from those of the operator's inputs, as executed and as known at load.
    """
    body = _body(program, op)
    if body is None:
        return False
    executed = _infer(body, op, program.opset, _as_executed)
    known = _infer(body, op, program.opset, _as_known)
    values: dict[str, Value | None] = dict(zip(body.inputs, op.inputs, strict=False))
    values |= dict(zip(body.outputs, op.outputs, strict=False))
    program.remove(op)
    for node in body.nodes:
        for name in node.output:
            written = values.get(name)
            if name and written is None:
                stored = node.op_type == "Constant"
                values[name] = _value(program, name, executed[name], known[name], stored=stored)
            elif written is not None and None in (written.dims or (None,)):
                # not every operator has an inference of its own: the body may tell more
                written.dims = _dims(known[name]) or written.dims
        if node.op_type != "Constant":
            call = call_of(node)
            program.add(
                call.op_type,
                [values.get(name) for name in call.inputs],
                [values.get(name) for name in call.outputs],
                domain=call.domain,
                attributes=call.attributes,
                members=op.members,
                folded=op.folded,
            )
    return True


def _body(program: Program, op: Op) -> Body | None:
    names = [f"i{at}" if value is not None else "" for at, value in enumerate(op.inputs)]
    attributes: dict[str, Any] = {name: one for name, one in op.attributes.items() if one != ()}
    node = onnx.helper.make_node(
        op.op_type,
        names,
        [f"o{at}" for at in range(len(op.outputs))],
        domain=op.domain,
        **attributes,
    )
    types = [None if value is None else _as_known(value).type for value in op.inputs]
    body = schema_body(node, program.opset, types)
    if body is None:
        return None
    read = dict(zip(body.inputs, op.inputs, strict=False))
    omitted = frozenset(name for name in body.inputs if read.get(name) is None)
    return Body(
        name=body.name,
        nodes=without_inputs(body.nodes, omitted),
        inputs=body.inputs,
        outputs=body.outputs,
        imports=body.imports,
    )


def _infer(body: Body, op: Op, opset: int, world_of: Callable[[Value], World]) -> _Worlds:
    """Types and small elements of all values of the body."""
    worlds = {
        name: world_of(value)
        for name, value in zip(body.inputs, op.inputs, strict=False)
        if value is not None
    }
    known = Known(spec=None, opset=opset, opsets={"": opset}, memo={})
    for node in body.nodes:
        if node.op_type == "Constant":
            worlds[node.output[0]] = constant_world(node)[0]
        else:
            inputs = [worlds.get(name) for name in node.input]
            found = infer(node, inputs, None, known, {}).main
            worlds |= dict(zip(node.output, found, strict=True))
    return worlds


def _as_executed(value: Value) -> World:
    return _world(value, value.shape)


def _as_known(value: Value) -> World:
    return _world(value, value.dims)


def _world(value: Value, sizes: tuple[Dim, ...] | None) -> World:
    if value.dtype is None:
        return World()
    number = dtypes.NUMBERS[value.dtype]
    world = World(type=onnx.helper.make_tensor_type_proto(number, sizes))
    if value.array is not None:
        world.set_array(value.array)
    return world


def _value(program: Program, name: str, executed: World, known: World, *, stored: bool) -> Value:
    shape = executed.shape
    made = Value(
        name,
        dtypes.name_of(executed.elem_type or known.elem_type or 0),
        None if shape is None or None in shape else tuple(size or 0 for size in shape),
        _dims(known),
        constant=stored,
        array=known.array,
    )
    made.home = program
    return made


def _dims(world: World) -> tuple[Dim, ...] | None:
    shape = world.shape
    if shape is None:
        return None
    symbols = symbols_of(world.type) or ("",) * len(shape)
    return tuple(
        (name or None) if size is None else size for size, name in zip(shape, symbols, strict=True)
    )
