"""Types of a model's top-level values by onnx's whole-model inference: one call serves most nodes.

The walk takes a type from here where every input of a node has the type that the whole-model pass
saw; what depends on evaluated values, plugins or data is inferred node by node.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import shape_inference

from mlsys_lint.schemas import DEFAULTS_MATTER, schema_of, with_defaults
from mlsys_lint.worlds import Dense, dense_of


def model_types(
    proto: onnx.ModelProto, inputs: Mapping[str, onnx.TypeProto], opset: int
) -> dict[str, Dense]:
    """Element type and shape by name, of tensors whose sizes are all known; {} where onnx refuses the model.

    Args:
        proto: The model; it is not changed.
        inputs: Types of the graph inputs, every size bound.
        opset: Version of the default domain.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    # Functions may call each other without end; what the file declares may be wrong.
    bare.ClearField("functions")
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.ClearField("type")
    for value in bare.graph.input:
        if value.name in inputs:
            value.type.CopyFrom(inputs[value.name])
    for node in bare.graph.node:
        if node.op_type in DEFAULTS_MATTER:
            node.CopyFrom(with_defaults(node, schema_of(node.domain, node.op_type, opset)))
    try:
        inferred = shape_inference.infer_shapes(bare, data_prop=True)
    except Exception:  # noqa: BLE001  onnx raises several kinds; the walk infers node by node
        return {}
    dense: dict[bytes, Dense | None] = {}  # most values share a few types
    found = {}
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        key = value.type.SerializeToString()
        if key not in dense:
            dense[key] = dense_of(value.type)
        if (one := dense[key]) is not None:
            found[value.name] = one
    return found
