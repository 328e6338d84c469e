"""Operators without a kernel of their own, replaced by the function that defines them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import onnx

from mlsys_lint.program import Op, Program, Step, Sweep
from mlsys_lint_plugins.runtimes.onnxruntime.cpu_kernels import has_kernel_for
from mlsys_lint_plugins.runtimes.onnxruntime.matching import never


def inline_functions(program: Program, elsewhere: Callable[[Op], bool] = never) -> bool:
    """Inline every operator that has no kernel, neither on the CPU nor `elsewhere`, but a function.

    The level repeats this: a body may hold such operators again. Nothing folds what becomes
    constant here (observed).
    """
    changed = False
    for op in sorted(program.ops.values(), key=lambda op: op.index):
        version = None if op.domain else _version_with_function(op.op_type, program.opset)
        if version is not None and not (_has_kernel(op, version) or elsewhere(op)):
            changed |= program.inline(op)
    return changed


def _has_kernel(op: Op, version: int) -> bool:
    inputs = [None if value is None else value.dtype for value in op.inputs]
    outputs = [None if value is None else value.dtype for value in op.outputs]
    return has_kernel_for("", op.op_type, version, inputs, outputs)


@lru_cache(maxsize=4096)
def _version_with_function(op_type: str, opset: int) -> int | None:
    """Version of the operator's schema, where its function can be used at this opset.

    A function that depends on the call always can. A plain one can where no operator in it has
    changed between the opset that it was written for and this one: so half-precision Relu is
    Max in opset 18 and stays Relu in 19, whose Constant is a newer one (observed).
    """
    try:
        schema: Any = onnx.defs.get_schema(op_type, opset, "")  # stubs lack what functions need
    except onnx.defs.SchemaError:
        return None
    if schema.has_context_dependent_function:
        versions = schema.context_dependent_function_opset_versions
        return int(schema.since_version) if min(versions) <= opset else None
    written = [one for one in schema.function_opset_versions if one <= opset]
    if not written:
        return None
    content = schema.get_function_with_opset_version(max(written))
    body = onnx.FunctionProto.FromString(content)
    same = all(_since(one, opset) == _since(one, max(written)) for one in body.node)
    return int(schema.since_version) if same else None


def _since(node: onnx.NodeProto, opset: int) -> int:
    return onnx.defs.get_schema(node.op_type, opset, node.domain).since_version


STEPS: Final[tuple[Step, ...]] = (Sweep(name="InlineNodes", run=inline_functions),)
