"""Types of a model's top-level values by onnx's whole-model inference: one call serves most nodes.

The walk takes a type from here where every input of a node has the type that the whole-model pass
saw; what depends on evaluated values, plugins or data is inferred node by node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import onnx
from onnx import shape_inference

from mlsys_lint.onnx_types import Dense, dense_of
from mlsys_lint.schemas import DEFAULTS_MATTER, schema_of, with_defaults

_BLOCK: Final = 8192
"""Nodes that are inferred at once: onnx's time for a node doubles with ten times as many."""


def model_types(
    proto: onnx.ModelProto, inputs: Mapping[str, onnx.TypeProto], opset: int
) -> dict[str, Dense]:
    """Element type and shape by name, of tensors whose sizes are all known; {} where onnx refuses.

    Args:
        proto: The model; it is not changed.
        inputs: Types of the graph inputs, every size bound.
        opset: Version of the default domain.
    """
    found: dict[str, Dense] = {}
    whole = len(proto.graph.node) <= _BLOCK
    for part in [_bare(proto, inputs)] if whole else _blocks(proto, inputs, found):
        for node in part.graph.node:
            if node.op_type in DEFAULTS_MATTER:
                node.CopyFrom(with_defaults(node, schema_of(node.domain, node.op_type, opset)))
        try:
            inferred = shape_inference.infer_shapes(part, data_prop=True)
        except Exception:  # noqa: BLE001, S112  several kinds; the walk infers node by node
            continue
        for value in (*inferred.graph.value_info, *inferred.graph.output):
            dense = _dense(value.type.SerializeToString())
            if dense is not None:
                found[value.name] = dense
    return found


def _bare(proto: onnx.ModelProto, inputs: Mapping[str, onnx.TypeProto]) -> onnx.ModelProto:
    """A copy with bound inputs that declares nothing else: what the file declares may be wrong."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    bare.ClearField("functions")  # they may call each other without end
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.ClearField("type")
    for value in bare.graph.input:
        if value.name in inputs:
            value.type.CopyFrom(inputs[value.name])
    return bare


def _blocks(
    proto: onnx.ModelProto, inputs: Mapping[str, onnx.TypeProto], found: Mapping[str, Dense]
) -> Iterator[onnx.ModelProto]:
    """A large model in parts; each knows what was found in those before it."""
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    for first in range(0, len(proto.graph.node), _BLOCK):
        part = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
        part.graph.name = proto.graph.name
        part.graph.node.extend(proto.graph.node[first : first + _BLOCK])
        for name in {name for node in part.graph.node for name in node.input}:
            if name in stored:
                part.graph.initializer.append(stored[name])
            elif name in inputs:
                part.graph.input.add(name=name, type=inputs[name])
            elif name in found:
                part.graph.input.append(onnx.helper.make_tensor_value_info(name, *found[name]))
        yield part


@lru_cache(maxsize=4096)
def _dense(content: bytes) -> Dense | None:
    """Most values share a few types: to serialize one and look it up is quicker than to read it."""
    return dense_of(onnx.TypeProto.FromString(content))
