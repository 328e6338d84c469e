"""Operator schemas: onnx's own, and those that let a plugin's `infer` take part in its inference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import onnx
from onnx import defs, shape_inference

from mlsys_lint import dtypes
from mlsys_lint.records import OperatorSpec

DEFAULTS_MATTER: Final = frozenset({"STFT"})
"""onnx 1.23 infers STFT's output as if `onesided` were 0 where it is absent; the default is 1."""


def schemas_for(
    node: onnx.NodeProto, spec: OperatorSpec | None, opset: int
) -> Iterator[defs.OpSchema]:
    """Onnx's schema, then the plugin's inference function (for what onnx leaves open)."""
    with suppress(defs.SchemaError):
        yield schema_of(node.domain, node.op_type, opset)
    if spec is not None and spec.infer is not None:
        attributes = tuple([(one.name, one.type) for one in node.attribute])
        yield _schema_with(spec, spec.infer, node.domain, node.op_type, attributes)


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


@lru_cache(maxsize=4096)
def _schema_with(
    spec: OperatorSpec,
    function: Callable[[shape_inference.InferenceContext], None],
    domain: str,
    op_type: str,
    attributes: tuple[tuple[str, int], ...],
) -> defs.OpSchema:
    """A schema that lets any inputs and the node's own attributes pass, with a plugin's `infer`."""
    schema = defs.OpSchema
    variadic: Any = {
        "param_option": schema.FormalParameterOption.Variadic,
        "is_homogeneous": False,
        "min_arity": 0,
    }
    built = schema(
        op_type,
        domain or "ai.onnx.any",
        spec.since_version,
        inputs=[schema.FormalParameter("inputs", "T", **variadic)],
        outputs=[schema.FormalParameter("outputs", "T", **variadic)],
        type_constraints=[("T", _any_type(), "any type")],
        attributes=[
            schema.Attribute(name, _attribute_type(kind), "", required=False)
            for name, kind in attributes
        ],
    )
    built.set_type_and_shape_inference_function(function)
    return built


def _attribute_type(kind: int) -> Any:
    make: Any = defs.OpSchema.AttrType  # typed without its constructor
    return make(kind)


@lru_cache(maxsize=1)
def _any_type() -> list[str]:
    names = [name for number in dtypes.NUMBERS.values() if (name := dtypes.name_of(number))]
    tensors = [f"tensor({name})" for name in names]
    sequences = [f"seq({one})" for one in tensors]
    optionals = [f"optional({one})" for one in (*tensors, *sequences)]
    sparse = [f"sparse_tensor({name})" for name in names]
    maps = [f"map({key},tensor({name}))" for key in ("int64", "string") for name in names]
    return [*tensors, *sequences, *optionals, *sparse, *maps, *(f"seq({one})" for one in maps)]


@lru_cache(maxsize=64)
def imports_of(opsets: tuple[tuple[str, int], ...]) -> list[onnx.OperatorSetIdProto]:
    """Opset imports as onnx wants them."""
    return [onnx.helper.make_opsetid(domain, version) for domain, version in opsets]
