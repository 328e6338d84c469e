"""Counts against nested loops: each loop computes the result, which onnx's reference confirms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from mlsys_lint import OpCost
from mlsys_lint.testing import estimate_text, model_from_text

Array: TypeAlias = npt.NDArray[np.int64]
Counted: TypeAlias = tuple[Array, int]

sizes = st.integers(1, 4)
few = settings(max_examples=40, deadline=None)


def drawn(*shape: int) -> Array:
    """Small integers, so that sums are exact whatever their order."""
    return np.random.default_rng(sum(shape)).integers(-4, 5, shape)


def agrees(call: str, arrays: Sequence[Array], counted: Counted) -> None:
    """The loop's result is the operator's, and its number of multiplications the estimate's."""
    names = "abc"[: len(arrays)]
    inputs = ", ".join(
        f"float[{','.join(map(str, array.shape))}] {name}"
        for array, name in zip(arrays, names, strict=True)
    )
    marks = ",".join("?" * counted[0].ndim)
    result = f"float[{marks}] y" if marks else "float y"
    text = f"g ({inputs}) => ({result}) {{ y = {call}({', '.join(names)}) }}"
    assert np.array_equal(reference(model_from_text(text), arrays), counted[0])
    (found,) = estimate_text(text)
    assert isinstance(found.cost, OpCost), found.reason
    assert found.cost.macs == counted[1]


def reference(model: ModelProto, arrays: Sequence[Array]) -> Array:
    feeds = {
        one.name: array.astype(np.float32)
        for one, array in zip(model.graph.input, arrays, strict=True)
    }
    (found,) = cast("list[Array]", ReferenceEvaluator(model).run(None, feeds))
    return found


def points(*extents: int) -> product[tuple[int, ...]]:
    return product(*map(range, extents))


def matmul(a: Array, b: Array) -> Counted:
    """numpy.matmul: a vector is a row on the left and a column on the right; batches stretch."""
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, (*batch, *left.shape[-2:]))
    right = np.broadcast_to(right, (*batch, *right.shape[-2:]))
    (rows, depth), columns = left.shape[-2:], right.shape[-1]
    y, count = np.zeros((*batch, rows, columns), np.int64), 0
    for *at, m, n, k in points(*batch, rows, columns, depth):
        y[(*at, m, n)] += left[(*at, m, k)] * right[(*at, k, n)]
        count += 1
    y = y[..., 0, :] if a.ndim == 1 else y
    return (y[..., 0] if b.ndim == 1 else y), count


@given(m=sizes, n=sizes, k=sizes, p=sizes, q=sizes)
@few
def test_matmul(m: int, n: int, k: int, p: int, q: int) -> None:
    for left, right in [
        ((m, k), (k, n)),
        ((p, q, m, k), (k, n)),
        ((m, k), (p, k, n)),
        ((p, 1, m, k), (q, k, n)),
        ((k,), (p, k, n)),
        ((p, m, k), (k,)),
        ((k,), (k,)),
    ]:
        a, b = drawn(*left), drawn(*right)
        agrees("MatMul", [a, b], matmul(a, b))


def conv(x: Array, w: Array, *, group: int, stride: int, dilation: int, pad: int) -> Counted:
    """One multiplication for each filter, position, channel of its group and kernel element."""
    padded = np.pad(x, [(0, 0), (0, 0), *[(pad, pad)] * (x.ndim - 2)])
    kernel, each = w.shape[2:], w.shape[0] // group
    out = [
        (size - dilation * (extent - 1) - 1) // stride + 1
        for size, extent in zip(padded.shape[2:], kernel, strict=True)
    ]
    y, count = np.zeros((x.shape[0], w.shape[0], *out), np.int64), 0
    for image, filter_, *position in points(*y.shape):
        for channel, *offset in points(*w.shape[1:]):
            source = [o * stride + k * dilation for o, k in zip(position, offset, strict=True)]
            value = padded[(image, filter_ // each * w.shape[1] + channel, *source)]
            y[(image, filter_, *position)] += value * w[(filter_, channel, *offset)]
            count += 1
    return y, count


def conv_transpose(x: Array, w: Array, group: int, stride: int) -> Counted:
    """One multiplication for each input element, filter of its group and kernel element."""
    each, channels = w.shape[1], x.shape[1] // group
    out = [
        stride * (size - 1) + extent for size, extent in zip(x.shape[2:], w.shape[2:], strict=True)
    ]
    y, count = np.zeros((x.shape[0], each * group, *out), np.int64), 0
    for image, channel, *position in points(*x.shape):
        for filter_, *offset in points(*w.shape[1:]):
            target = [p * stride + k for p, k in zip(position, offset, strict=True)]
            value = x[(image, channel, *position)] * w[(channel, filter_, *offset)]
            y[(image, channel // channels * each + filter_, *target)] += value
            count += 1
    return y, count


small = st.integers(1, 2)


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(
    n=small,
    cin=small,
    cout=small,
    g=small,
    size=st.integers(3, 4),
    kernel=small,
    stride=small,
    pad=st.integers(0, 1),
)
@settings(max_examples=15, deadline=None)
def test_conv(
    *, rank: int, n: int, cin: int, cout: int, g: int, size: int, kernel: int, stride: int, pad: int
) -> None:
    x, w = drawn(n, g * cin, *[size] * rank), drawn(g * cout, cin, *[kernel] * rank)
    attributes = (
        f"group={g}, strides={[stride] * rank}, dilations={[2] * rank}, pads={[pad] * 2 * rank}"
    )
    agrees(f"Conv<{attributes}>", [x, w], conv(x, w, group=g, stride=stride, dilation=2, pad=pad))


@given(
    n=small, cin=small, cout=small, size=st.integers(1, 3), kernel=st.integers(1, 3), stride=small
)
@few
def test_conv_transpose(
    *, n: int, cin: int, cout: int, size: int, kernel: int, stride: int
) -> None:
    x, w = drawn(n, cin, size, size), drawn(cin, cout, kernel, kernel)
    attributes = f"strides={[stride, stride]}, kernel_shape={[kernel, kernel]}"
    agrees(f"ConvTranspose<{attributes}>", [x, w], conv_transpose(x, w, 1, stride))


def test_conv_transpose_in_groups() -> None:
    # onnx's reference evaluator cannot broadcast its own result where groups meet several images.
    x, w = drawn(2, 6, 3, 3), drawn(6, 2, 2, 2)
    text = "g (float[2,6,3,3] a, float[6,2,2,2] b) => (float[?,?,?,?] y) { y = ConvTranspose<group=3>(a, b) }"
    (found,) = estimate_text(text)
    assert found.cost is not None
    assert found.cost.macs == conv_transpose(x, w, 3, 1)[1]
    assert found.node.output().dims == conv_transpose(x, w, 3, 1)[0].shape


def einsum(equation: str, arrays: Sequence[Array], extent: Callable[[str], int]) -> Counted:
    """One multiplication for each point of the product of all labels."""
    left, _, result = equation.partition("->")
    terms = left.split(",")
    labels = sorted(set(left) - {","})
    y, count = np.zeros([extent(label) for label in result], np.int64), 0
    for values in points(*map(extent, labels)):
        at = dict(zip(labels, values, strict=True))
        one, other = (
            array[tuple(at[label] for label in term)]
            for array, term in zip(arrays, terms, strict=True)
        )
        y[tuple(at[label] for label in result)] += one * other
        count += 1
    return y, count


@given(
    left=st.text("ijkl", min_size=1, max_size=3),
    right=st.text("ijkl", min_size=1, max_size=3),
    keep=st.sets(st.sampled_from("ijkl")),
    extents=st.tuples(*[st.integers(2, 3)] * 4),
)
@few
def test_einsum_of_two_operands(
    left: str, right: str, keep: set[str], extents: tuple[int, int, int, int]
) -> None:
    size = dict(zip("ijkl", extents, strict=True))
    result = "".join(sorted(keep & (set(left) | set(right))))
    equation = f"{left},{right}->{result}"
    arrays = [drawn(*[size[label] for label in term]) for term in (left, right)]
    agrees(f'Einsum<equation="{equation}">', arrays, einsum(equation, arrays, size.__getitem__))
