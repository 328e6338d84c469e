"""Kernels made by hand, for tests of their terms."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np

from mlsys_lint.records import Kernel, NodeView, OpCost, TensorInfo, Touch
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

KIB: Final = 1024
_SIZES: Final = {
    "float": 4,
    "double": 8,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "uint8": 1,
    "bool": 1,
}


def machine(threads: int = 1) -> Machine:
    """16 lanes; 32 KiB, 1 MiB and 32 MiB of cache."""
    caches = {"l1": 32 * KIB, "l2": KIB * KIB, "l3": 32 * KIB * KIB}
    return Machine(threads=threads, lanes=16, caches=caches)


def tensor(*shape: int, dtype: str = "float", value: Any = None) -> TensorInfo:
    held = None if value is None else np.asarray(value)
    return TensorInfo(name="t", dtype=dtype, shape=shape, value=held)


def kernel(
    op_type: str,
    inputs: Sequence[TensorInfo | None],
    *outputs: TensorInfo,
    domain: str = "",
    since_version: int | None = None,
    **attributes: Any,
) -> Kernel:
    """A kernel that finds all that it reads where the kernel before it left it."""
    view = NodeView(
        index=0,
        op_type=op_type,
        opset=20,
        domain=domain,
        since_version=since_version,
        inputs=tuple(inputs),
        outputs=outputs,
        attributes=attributes,
    )
    read = [_touch("read", one) for one in inputs if one is not None]
    written = [_touch("written", one) for one in outputs]
    return Kernel(
        nodes=(0,),
        op=view.op,
        cost=OpCost(),
        kernel_class="any",
        dtype="float",
        view=view,
        touches=(*read, *written),
    )


def _touch(kind: str, one: TensorInfo) -> Touch:
    return Touch(kind=kind, nbytes=prod(one.dims) * _SIZES[one.type_name], distance=0)
