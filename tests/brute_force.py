"""Nested loops that compute an operator's result and count their multiplications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pytest
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from mlsys_lint.testing import estimate_text, model_from_text

Array: TypeAlias = npt.NDArray[Any]
Counted: TypeAlias = tuple[Array, int]
"""A result, and the number of multiplications that it took."""

_KINDS: Final = {"float32": "float", "float64": "double", "bool": "bool"}


def points(*extents: int) -> product[tuple[int, ...]]:
    """Every index of an array of these sizes."""
    return product(*map(range, extents))


def drawn(*shape: int, low: int = -4, high: int = 4) -> Array:
    """Small integers as floats, so that sums are exact whatever their order."""
    return np.random.default_rng(sum(shape)).integers(low, high + 1, shape).astype(np.float32)


def agrees(
    call: str,
    arrays: Sequence[Array | None],
    counted: Counted,
    *,
    opset: int = 23,
    runtime: bool = False,
    hidden: int = 0,
) -> None:
    """The loop's result is the operator's, and its number of multiplications the estimate's.

    `call` lacks its operands, which are the arrays (None: omitted). The result is onnx's reference's
    or ONNX Runtime's, which knows more. `hidden` multiplications are masked.
    """
    given = {f"i{at}": array for at, array in enumerate(arrays) if array is not None}
    operands = ", ".join("" if array is None else f"i{at}" for at, array in enumerate(arrays))
    inputs = ", ".join(_declared(name, array) for name, array in given.items())
    result = _declared("y", counted[0], known=False)
    text = f"g ({inputs}) => ({result}) {{ y = {call}({operands}) }}"
    run = _run_in_runtime if runtime else _run_in_reference
    found = run(model_from_text(text, opset), given)
    assert found.shape == counted[0].shape
    np.testing.assert_allclose(found, counted[0], rtol=1e-4, atol=1e-4)
    assert multiplications(text, opset) == (counted[1], hidden)


def multiplications(text: str, opset: int = 23) -> tuple[int, int]:
    """MACs of all nodes of a graph, and those of them that a mask makes unnecessary."""
    nodes = estimate_text(text, opset=opset)
    costs = [(one.cost, one.node.repeat) for one in nodes if one.node.repeat]
    assert not [one.reason for one in nodes if one.cost is None and one.node.repeat]
    return (
        sum(cost.macs * repeat for cost, repeat in costs if cost is not None),
        sum(cost.macs_masked * repeat for cost, repeat in costs if cost is not None),
    )


def _declared(name: str, array: Array, *, known: bool = True) -> str:
    kind = _KINDS.get(array.dtype.name, array.dtype.name)
    sizes = ",".join(str(size) if known else "?" for size in array.shape)
    return f"{kind}[{sizes}] {name}" if sizes else f"{kind} {name}"


def _run_in_reference(model: ModelProto, feeds: dict[str, Array]) -> Array:
    return _first(ReferenceEvaluator(model).run(None, cast("dict[str, Any]", feeds)))


def _run_in_runtime(model: ModelProto, feeds: dict[str, Array]) -> Array:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return _first(session.run(None, feeds))


def _first(results: Iterable[Any]) -> Array:
    return cast("Array", next(iter(results)))
