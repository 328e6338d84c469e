"""Maxima of extents that depend on data: `infer` functions that set a dimension to `max:N`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import onnx
from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint_plugins.ops.inference import (
    element_type,
    given,
    integer,
    integers,
    put,
    scalar_value,
    sizes,
)


def _known(shape: tuple[int | None, ...] | None) -> tuple[int, ...] | None:
    if shape is None or any(size is None for size in shape):
        return None
    return tuple(size for size in shape if size is not None)


def infer_nonzero(context: InferenceContext) -> None:
    """int64 [rank, at most every element]."""
    shape = _known(sizes(context, 0))
    if shape is not None:
        put(context, 0, TensorProto.INT64, (max(1, len(shape)), f"max:{prod(shape)}"))


def infer_compress(context: InferenceContext) -> None:
    """At most all entries along the axis, or all elements without one; at most the condition's length."""
    shape, condition = _known(sizes(context, 0)), _known(sizes(context, 1))
    if shape is None:
        return
    limit = condition[0] if condition else None
    attribute: onnx.AttributeProto | None = context.get_attribute("axis")
    if attribute is None:
        count = prod(shape) if limit is None else min(prod(shape), limit)
        put(context, 0, element_type(context, 0), (f"max:{count}",))
        return
    axis = attribute.i % len(shape)
    count = shape[axis] if limit is None else min(shape[axis], limit)
    bound = [f"max:{count}" if at == axis else size for at, size in enumerate(shape)]
    put(context, 0, element_type(context, 0), bound)


def infer_unique(context: InferenceContext) -> None:
    """At most all elements (or all entries along the axis); the inverse has exactly as many."""
    shape = _known(sizes(context, 0))
    if shape is None:
        return
    attribute: onnx.AttributeProto | None = context.get_attribute("axis")
    axis = attribute.i % len(shape) if attribute is not None and shape else None
    count = prod(shape) if axis is None else shape[axis]
    bound: list[int | str | None] = [f"max:{count}"]
    if axis is not None:
        bound = [f"max:{count}" if at == axis else size for at, size in enumerate(shape)]
    put(context, 0, element_type(context, 0), bound)
    put(context, 1, TensorProto.INT64, (f"max:{count}",))
    put(context, 2, TensorProto.INT64, (count,))
    put(context, 3, TensorProto.INT64, (f"max:{count}",))


def infer_non_max_suppression(context: InferenceContext) -> None:
    """int64 [at most N * classes * min(max_output_boxes_per_class, boxes), 3]."""
    boxes, scores = _known(sizes(context, 0)), _known(sizes(context, 1))
    if boxes is None or scores is None:
        return
    each = scalar_value(context, 2)
    per_class = boxes[1] if given(context, 2) else 0  # the default selects none
    if each is not None:
        per_class = max(0, min(boxes[1], each))
    put(context, 0, TensorProto.INT64, (f"max:{boxes[0] * scores[1] * per_class}", 3))


def infer_top_k(context: InferenceContext) -> None:
    """K is at most the size of the axis."""
    shape = _known(sizes(context, 0))
    if not shape:
        return
    axis = integer(context, "axis", -1) % len(shape)
    bound = [f"max:{size}" if at == axis else size for at, size in enumerate(shape)]
    put(context, 0, element_type(context, 0), bound)
    put(context, 1, TensorProto.INT64, bound)


def infer_slice(context: InferenceContext) -> None:
    """Where starts or ends are computed from data, a sliced axis keeps at most what is between them.

    What is not known counts as the end of the axis; a step of s leaves one in |s|. Where the axes
    are not known, every axis keeps at most what it has.
    """
    shape = _known(sizes(context, 0))
    if shape is None:
        partly = sizes(context, 0)
        unknown = None if partly is None else [None] * len(partly)
        put(context, 0, element_type(context, 0), unknown)
        return
    axes = _sliced_axes(context, len(shape))
    if axes is None:
        put(context, 0, element_type(context, 0), [f"max:{size}" for size in shape])
        return
    starts, ends, steps = (integers(context, position) for position in (1, 2, 4))
    bound: list[int | str | None] = list(shape)
    for at, axis in enumerate(axes):
        start, end = (None if values is None else values[at] for values in (starts, ends))
        step = steps[at] if steps is not None else None if given(context, 4) else 1
        bound[axis] = f"max:{_kept(shape[axis], start, end, step)}"
    put(context, 0, element_type(context, 0), bound)


def _sliced_axes(context: InferenceContext, rank: int) -> Sequence[int] | None:
    if given(context, 3):
        known = integers(context, 3)
        return None if known is None else [axis % rank for axis in known]
    starts = _known(sizes(context, 1))
    return range(starts[0] if starts else rank)


def _kept(size: int, start: int | None, end: int | None, step: int | None) -> int:
    """Elements of an axis between start and end; the most, where one of them is not known."""
    if not step:
        return size
    first, last = (0, size) if step > 0 else (size - 1, -1)
    begin = first if start is None else slice(start, None, step).indices(size)[0]
    stop = last if end is None else slice(None, end, step).indices(size)[1]
    return len(range(begin, stop, step))


def infer_normalized_strings(context: InferenceContext) -> None:
    """StringNormalizer keeps at most all strings, and one where it drops all; all without stopwords."""
    shape = _known(sizes(context, 0))
    if not shape:
        return
    words: onnx.AttributeProto | None = context.get_attribute("stopwords")
    drops = words is not None and len(words.strings) > 0
    kept = f"max:{max(1, shape[-1])}" if drops else max(1, shape[-1])
    put(context, 0, TensorProto.STRING, (*shape[:-1], kept))


def infer_split_strings(context: InferenceContext) -> None:
    """StringSplit: at most maxsplit + 1 parts of each string; without `maxsplit` there is no bound."""
    shape = sizes(context, 0)
    if shape is None:
        return
    limit: onnx.AttributeProto | None = context.get_attribute("maxsplit")
    parts = None if limit is None else f"max:{limit.i + 1}"
    put(context, 0, TensorProto.STRING, (*shape, parts))
    put(context, 1, TensorProto.INT64, shape)
