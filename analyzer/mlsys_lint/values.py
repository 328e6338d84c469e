"""Evaluation of small values: the shape arithmetic that exporters leave in graphs.

numpy serves the operators of shape arithmetic; onnx's own reference evaluator serves the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from mlsys_lint import dtypes
from mlsys_lint.loading import LARGEST_VALUE

Array: TypeAlias = npt.NDArray[np.generic]
Arrays: TypeAlias = Sequence[Any]
Attributes: TypeAlias = Mapping[str, Any]

_RANDOM: Final = frozenset(
    [
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Bernoulli",
        "Multinomial",
    ]
)


_SATURATING: Final = frozenset(
    number for name, number in dtypes.NUMBERS.items() if name.startswith(("float8", "float4"))
)


def _axes(arrays: Arrays, attributes: Attributes, position: int = 1) -> tuple[int, ...] | None:
    """Axes given as an input (newer opsets) or as an attribute (older ones)."""
    if len(arrays) > position and arrays[position] is not None:
        return tuple(int(axis) for axis in np.atleast_1d(arrays[position]))
    axes = attributes.get("axes")
    return tuple(axes) if axes is not None else None


def _squeeze(arrays: Arrays, attributes: Attributes) -> Any:
    return np.squeeze(arrays[0], axis=_axes(arrays, attributes))


def _unsqueeze(arrays: Arrays, attributes: Attributes) -> Any:
    return np.expand_dims(arrays[0], axis=_axes(arrays, attributes) or ())


def _slice(arrays: Arrays, attributes: Attributes) -> Any:
    data = arrays[0]
    if len(arrays) < 3:  # opset 1: attributes
        starts, ends = attributes["starts"], attributes["ends"]
        axes, steps = attributes.get("axes"), None
    else:
        starts, ends = arrays[1], arrays[2]
        axes = arrays[3] if len(arrays) > 3 else None
        steps = arrays[4] if len(arrays) > 4 else None
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    index = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # numpy reads a negative end as counted from the back, as ONNX does, but an end below
        # -size with a negative step means "to the very first element" in both.
        index[int(axis)] = slice(int(start), int(end), int(step))
    return data[tuple(index)]


def _reduce(function: Callable[..., Any]) -> Callable[[Arrays, Attributes], Any]:
    def reduce(arrays: Arrays, attributes: Attributes) -> Any:
        axes = _axes(arrays, attributes)
        if not axes and attributes.get("noop_with_empty_axes"):
            return arrays[0]
        keep = bool(attributes.get("keepdims", 1))
        return function(arrays[0], axis=axes or None, keepdims=keep)

    return reduce


def _div(arrays: Arrays, _: Attributes) -> Any:
    first, second = arrays
    if np.issubdtype(first.dtype, np.integer):  # ONNX truncates towards zero
        quotient = np.abs(first) // np.abs(second)
        return (np.sign(first) * np.sign(second) * quotient).astype(first.dtype)
    return first / second


def _mod(arrays: Arrays, attributes: Attributes) -> Any:
    return np.fmod(*arrays) if attributes.get("fmod") else np.mod(*arrays)


def _cast(arrays: Arrays, attributes: Attributes) -> Any:
    if attributes["to"] in _SATURATING:
        return None  # values too large become the largest one, which numpy does not do
    return arrays[0].astype(helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _range(arrays: Arrays, _: Attributes) -> Any:
    # counted in double, as onnx's inference and ONNX Runtime do: 0.3 / 0.1 is 4 in float32
    dtype = arrays[0].dtype
    start, limit, delta = (array.reshape(()).item() for array in arrays)
    count = math.ceil((limit - start) / delta)
    if count > LARGEST_VALUE:
        return None
    return (start + np.arange(max(count, 0)) * delta).astype(dtype)


def _constant_of_shape(arrays: Arrays, attributes: Attributes) -> Any:
    fill = attributes.get("value")
    if np.prod(arrays[0], dtype=np.float64) > LARGEST_VALUE:
        return None
    value = np.zeros(1, np.float32) if fill is None else onnx.numpy_helper.to_array(fill)
    return np.full(tuple(arrays[0].astype(int)), value.reshape(-1)[0], dtype=value.dtype)


def _reshape(arrays: Arrays, attributes: Attributes) -> Any:
    data, target = arrays
    keep_zero = attributes.get("allowzero", 0)
    shape = [
        data.shape[axis] if size == 0 and not keep_zero else int(size)
        for axis, size in enumerate(target)
    ]
    return data.reshape(shape)


def _split(arrays: Arrays, attributes: Attributes) -> Any:
    data, axis = arrays[0], attributes.get("axis", 0)
    parts = arrays[1] if len(arrays) > 1 else attributes.get("split")
    if parts is None:
        count = attributes.get("num_outputs", attributes["__outputs__"])
        chunk = -(-data.shape[axis] // count)
        return tuple(np.split(data, range(chunk, data.shape[axis], chunk), axis=axis))
    return tuple(np.split(data, np.cumsum(parts)[:-1], axis=axis))


def _expand(arrays: Arrays, _: Attributes) -> Any:
    data, shape = arrays
    target = np.broadcast_shapes(data.shape, tuple(int(size) for size in shape))
    if np.prod(target, dtype=np.float64) > LARGEST_VALUE:
        return None
    return np.broadcast_to(data, target)


def _tile(arrays: Arrays, _: Attributes) -> Any:
    data, repeats = arrays
    if data.size * np.prod(repeats, dtype=np.float64) > LARGEST_VALUE:
        return None
    return np.tile(data, tuple(int(count) for count in repeats))


def _transpose(arrays: Arrays, attributes: Attributes) -> Any:
    return np.transpose(arrays[0], attributes.get("perm"))


def _concat(arrays: Arrays, attributes: Attributes) -> Any:
    return np.concatenate(arrays, axis=attributes.get("axis", 1))


def _gather(arrays: Arrays, attributes: Attributes) -> Any:
    return np.take(arrays[0], arrays[1].astype(np.int64), axis=attributes.get("axis", 0))


def _flatten(arrays: Arrays, attributes: Attributes) -> Any:
    axis = attributes.get("axis", 1)
    rows = int(np.prod(arrays[0].shape[:axis]))
    return arrays[0].reshape(rows, -1)


def _variadic(function: Callable[[Any, Any], Any]) -> Callable[[Arrays, Attributes], Any]:
    def fold(arrays: Arrays, _: Attributes) -> Any:
        result = arrays[0]
        for array in arrays[1:]:
            result = function(result, array)
        return result

    return fold


def _plain(function: Callable[..., Any]) -> Callable[[Arrays, Attributes], Any]:
    return lambda arrays, _: function(*arrays)


_NUMPY: Final[Mapping[str, Callable[[Arrays, Attributes], Any]]] = {
    "Abs": _plain(np.abs),
    "Add": _plain(np.add),
    "And": _plain(np.logical_and),
    "Cast": _cast,
    "Ceil": _plain(np.ceil),
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Div": _div,
    "Equal": _plain(np.equal),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _plain(np.floor),
    "Gather": _gather,
    "Greater": _plain(np.greater),
    "GreaterOrEqual": _plain(np.greater_equal),
    "Identity": lambda arrays, _: arrays[0],
    "Less": _plain(np.less),
    "LessOrEqual": _plain(np.less_equal),
    "Max": _variadic(np.maximum),
    "Min": _variadic(np.minimum),
    "Mod": _mod,
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "Not": _plain(np.logical_not),
    "Or": _plain(np.logical_or),
    "Range": _range,
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _plain(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _plain(np.where),
    "Xor": _plain(np.logical_xor),
}


def is_direct(op_type: str) -> bool:
    """True for operators whose numpy result has exactly the type that ONNX gives it."""
    return op_type in _NUMPY


def evaluate(
    node: onnx.NodeProto, arrays: Sequence[Array | None], opset: int
) -> list[Array | None]:
    """Output values of an ai.onnx node whose inputs are all known; None where not evaluated.

    A value that can't be computed is no error here: it stays unknown. Overflow and the like are no
    error either: the walk turns numpy's warnings off as a whole.
    """
    nothing: list[Array | None] = [None] * len(node.output)
    if node.op_type in _RANDOM or node.domain not in ("", "ai.onnx"):
        return nothing
    try:
        results = _results(node, arrays, opset)
    except Exception:  # noqa: BLE001  numpy and the evaluator may raise anything on odd models
        return nothing
    known = [_small(result) for result in results]
    return (known + nothing)[: len(nothing)]


def _results(node: onnx.NodeProto, arrays: Sequence[Array | None], opset: int) -> Sequence[Any]:
    function = _NUMPY.get(node.op_type)
    if function is None:
        return _by_reference(node, arrays, opset)
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    attributes["__outputs__"] = len(node.output)
    result = function(arrays, attributes)
    results = result if isinstance(result, tuple) else (result,)
    first = arrays[0] if arrays else None
    if node.op_type.startswith("Reduce") and first is not None:
        # numpy widens small integers when it reduces; ONNX keeps the type
        results = tuple(np.asarray(one).astype(first.dtype) for one in results)
    return results


def _by_reference(
    node: onnx.NodeProto, arrays: Sequence[Array | None], opset: int
) -> Sequence[Any]:
    from onnx.reference import ReferenceEvaluator

    feeds = {name: array for name, array in zip(node.input, arrays, strict=True) if name}
    graph = helper.make_graph(
        [node],
        "small_value",
        [onnx.ValueInfoProto(name=name) for name in feeds],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    computed = iter(ReferenceEvaluator(model).run(None, feeds))
    return [next(computed) if name else None for name in node.output]


def _small(result: object) -> Array | None:
    if isinstance(result, (np.ndarray, np.generic)) and result.size <= LARGEST_VALUE:
        return np.asarray(result)
    return None
