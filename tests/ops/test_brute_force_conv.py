"""Convolutions against nested loops, whose results onnx's reference or ONNX Runtime confirms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from brute_force import Array, Counted, agrees, drawn, points

small = st.integers(1, 2)
few = settings(max_examples=15, deadline=None)


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How a kernel lies on its input: per axis, pads before and after."""

    group: int = 1
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: Sequence[int]

    @property
    def attributes(self) -> str:
        return (
            f"group={self.group}, strides={list(self.strides)}, "
            f"dilations={list(self.dilations)}, pads={list(self.pads)}"
        )

    def padded(self, x: Array, *, with_value: int = 0) -> Array:
        rank = x.ndim - 2
        sides = list(zip(self.pads[:rank], self.pads[rank:], strict=True))
        return np.pad(x, [(0, 0), (0, 0), *sides], constant_values=with_value)

    def place(self, position: Sequence[int], offset: Sequence[int]) -> tuple[int, ...]:
        return tuple(
            p * stride + k * dilation
            for p, stride, k, dilation in zip(
                position, self.strides, offset, self.dilations, strict=True
            )
        )


def conv(x: Array, w: Array, shape: Geometry) -> Counted:
    """One multiplication for each filter, position, channel of its group and kernel element.

    x is padded; padding counts.
    """
    kernel, each = w.shape[2:], w.shape[0] // shape.group
    out = [
        (size - dilation * (extent - 1) - 1) // stride + 1
        for size, extent, stride, dilation in zip(
            x.shape[2:], kernel, shape.strides, shape.dilations, strict=True
        )
    ]
    y, count = np.zeros((x.shape[0], w.shape[0], *out), np.result_type(x)), 0
    for image, filter_, *position in points(*y.shape):
        for channel, *offset in points(*w.shape[1:]):
            source = filter_ // each * w.shape[1] + channel
            value = x[(image, source, *shape.place(position, offset))]
            y[(image, filter_, *position)] += value * w[(filter_, channel, *offset)]
            count += 1
    return y, count


def conv_transpose(x: Array, w: Array, shape: Geometry, output_padding: Sequence[int]) -> Counted:
    """One multiplication for each input element, filter of its group and kernel element.

    The result is that of all products, less what pads crop.
    """
    each, channels, rank = w.shape[1], x.shape[1] // shape.group, x.ndim - 2
    last = shape.place([size - 1 for size in x.shape[2:]], [size - 1 for size in w.shape[2:]])
    out = [end + 1 + more for end, more in zip(last, output_padding, strict=True)]
    y, count = np.zeros((x.shape[0], each * shape.group, *out), np.float32), 0
    for image, channel, *position in points(*x.shape):
        for filter_, *offset in points(*w.shape[1:]):
            target = shape.place(position, offset)
            value = x[(image, channel, *position)] * w[(channel, filter_, *offset)]
            y[(image, channel // channels * each + filter_, *target)] += value
            count += 1
    crop = [
        slice(before, size - after)
        for before, after, size in zip(shape.pads[:rank], shape.pads[rank:], out, strict=True)
    ]
    return y[(slice(None), slice(None), *crop)], count


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(
    n=small,
    cin=small,
    cout=small,
    group=small,
    size=st.integers(3, 4),
    kernel=small,
    stride=small,
    dilation=small,
    pads=st.tuples(*[st.integers(0, 1)] * 2),
)
@few
def test_conv(
    *,
    rank: int,
    n: int,
    cin: int,
    cout: int,
    group: int,
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    pads: tuple[int, int],
) -> None:
    x = drawn(n, group * cin, *[size] * rank)
    w = drawn(group * cout, cin, *[kernel] * rank)
    shape = Geometry(
        group=group,
        strides=[stride] * rank,
        dilations=[dilation] * rank,
        pads=[pads[0]] * rank + [pads[1]] * rank,
    )
    agrees(f"Conv<{shape.attributes}>", [x, w], conv(shape.padded(x), w, shape))


@pytest.mark.ort
@pytest.mark.parametrize("rank", [1, 2])
@given(
    n=small,
    cin=small,
    cout=small,
    group=small,
    size=small,
    kernel=st.integers(2, 3),
    stride=small,
    dilation=small,
    pads=st.tuples(*[st.integers(0, 1)] * 2),
    more=st.integers(0, 1),
)
@few
def test_conv_transpose(
    *,
    rank: int,
    n: int,
    cin: int,
    cout: int,
    group: int,
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    pads: tuple[int, int],
    more: int,
) -> None:
    x, w = drawn(n, group * cin, *[size] * rank), drawn(group * cin, cout, *[kernel] * rank)
    more = min(more, stride - 1)
    shape = Geometry(
        group=group,
        strides=[stride] * rank,
        dilations=[dilation] * rank,
        pads=[pads[0]] * rank + [pads[1]] * rank,
    )
    assume(stride * (size - 1) + dilation * (kernel - 1) + 1 + more > sum(pads))
    counted = conv_transpose(x, w, shape, [more] * rank)
    call = f"ConvTranspose<{shape.attributes}, output_padding={[more] * rank}>"
    agrees(call, [x, w], counted, opset=22, runtime=True)


def unsigned(*shape: int) -> Array:
    return drawn(*shape, low=0, high=9).astype(np.uint8)


@pytest.mark.ort
@pytest.mark.parametrize("group", [1, 2])
@given(n=small, cin=small, cout=small, pad=st.integers(0, 1), stride=small)
@few
def test_integer_convolutions(
    *, group: int, n: int, cin: int, cout: int, pad: int, stride: int
) -> None:
    # Padding has the value of the zero point.
    x, w = unsigned(n, group * cin, 3, 4), unsigned(group * cout, cin, 2, 3)
    zero_x, zero_w, zero_y = (np.array(value, np.uint8) for value in (3, 4, 100))
    shape = Geometry(group=group, strides=[stride] * 2, dilations=[1, 1], pads=[pad] * 4)
    padded = shape.padded(x, with_value=3).astype(np.int32) - 3
    product, count = conv(padded, w.astype(np.int32) - 4, shape)
    agrees(
        f"ConvInteger<{shape.attributes}>",
        [x, w, zero_x, zero_w],
        (product, count),
        opset=10,
        runtime=True,
    )
    one, half = np.array(1, np.float32), np.array(2, np.float32)
    result = np.clip(np.rint(product / 2) + 100, 0, 255).astype(np.uint8)
    agrees(
        f"QLinearConv<{shape.attributes}>",
        [x, one, zero_x, w, one, zero_w, half, zero_y],
        (result, count),
        opset=10,
        runtime=True,
    )


def sampled(plane: Array, row: float, column: float) -> float:
    """Bilinear interpolation, 0 outside."""
    top, left = int(np.floor(row)), int(np.floor(column))
    value = 0.0
    for down, right in points(2, 2):
        at = top + down, left + right
        weight = (1 - abs(row - at[0])) * (1 - abs(column - at[1]))
        if 0 <= at[0] < plane.shape[0] and 0 <= at[1] < plane.shape[1]:
            value += weight * float(plane[at])
    return value


def deformed(x: Array, w: Array, offsets: Array, groups: int) -> Counted:
    """Conv's products, of values sampled beside their places; offsets are (row, column) pairs."""
    n, channels, height, width = x.shape
    taps = list(points(*w.shape[2:]))
    out = (n, w.shape[0], height - w.shape[2] + 1, width - w.shape[3] + 1)
    y, count = np.zeros(out, np.float32), 0
    for image, filter_, row, column in points(*out):
        for channel, (tap, (down, right)) in (
            (channel, one) for channel in range(channels) for one in enumerate(taps)
        ):
            first = 2 * (channel // (channels // groups) * len(taps) + tap)
            moved = offsets[image, first : first + 2, row, column]
            value = sampled(x[image, channel], row + down + moved[0], column + right + moved[1])
            y[image, filter_, row, column] += value * w[filter_, channel, down, right]
            count += 1
    return y, count


@given(n=small, cout=small, groups=small)
@few
def test_deformable_convolution(n: int, cout: int, groups: int) -> None:
    x, w = drawn(n, 2, 3, 4), drawn(cout, 2, 2, 2)
    offsets = drawn(n, 8 * groups, 2, 3, low=-3, high=3) / np.float32(4)
    call = f"DeformConv<kernel_shape=[2,2], offset_group={groups}>"
    agrees(call, [x, w, offsets], deformed(x, w, offsets, groups))


@given(n=small, channels=small, length=st.integers(1, 4), taps=st.integers(2, 3))
@few
def test_causal_convolution(n: int, channels: int, length: int, taps: int) -> None:
    # Every channel has its own kernel, which sees the state of taps - 1 values, then the sequence.
    x, w, state = drawn(n, channels, length), drawn(channels, 1, taps), drawn(n, channels, taps - 1)
    longer = np.concatenate([state, x], axis=2)
    shape = Geometry(group=channels, strides=[1], dilations=[1], pads=[0, 0])
    agrees("CausalConvWithState", [x, w, None, state], conv(longer, w, shape), opset=27)
