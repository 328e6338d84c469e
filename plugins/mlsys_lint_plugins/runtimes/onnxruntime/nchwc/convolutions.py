"""Convolutions of the blocked layout, and what becomes one: constant scales, normalizations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlsys_lint.program import Op, Value
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.layout import Blocked, Layout
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.origins import window_origins
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.sizes import padded, windowed

_ALIGNMENT: Final = 4
"""ReorderInput moves channels by this many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a convolution runs in the blocked layout.

    Attributes:
        filter: Sizes of its padded weights.
        group: Its groups.
        reads_plain: It reads fewer channels than a block holds, in the plain layout.
    """

    filter: tuple[int, ...]
    group: int
    reads_plain: bool = False


def convolution(layout: Layout, op: Op) -> None:
    """Conv or FusedConv over two spatial axes, with constant float weights and bias.

    In a body, constants from around it do not count (observed). A FusedConv that adds a residual
    needs that in the blocked layout.
    """
    data, weight, bias, plain = op.input(0), op.input(1), op.input(2), op.output
    shape, residual = _own_shape(layout, weight), layout.of(op.input(3))
    if data is None or weight is None or data.rank not in (None, 4) or len(shape) != 4:
        return
    if op.input(3) is not None and residual is None:
        return
    form = _form(shape, op.integer("group", 1), layout.block)
    if form is None or (len(op.inputs) > 2 and _own_shape(layout, bias) != shape[:1]):
        return
    inputs = [data, layout.stored(weight, form.filter)]
    if bias is not None:
        inputs.append(layout.stored(bias, form.filter[:1]))
    if residual is not None:
        inputs.append(residual.value)
    attributes = {**op.attributes, "group": form.group}
    made = layout.convert(op, "Conv", inputs, shape[0], attributes)
    source = None if form.reads_plain else layout.read_first(made)
    origins = window_origins(made, source, plain, shape[2:])
    dims = windowed(made.input(0), plain, form.filter[0])
    layout.register(made, plain, shape[0], dims, origins)


def _form(shape: tuple[int, ...], group: int, block: int) -> _Form | None:
    """The form for weights (outputs, inputs of a group, height, width); None where there is none."""
    outputs, inputs, *kernel = shape
    whole = padded(outputs, block)
    if group == 1:
        if inputs < block:
            return _Form(filter=(whole, inputs, *kernel), group=1, reads_plain=True)
        filled = (whole, padded(inputs, block), *kernel)
        return None if inputs % _ALIGNMENT else _Form(filter=filled, group=1)
    if outputs % _ALIGNMENT:
        return None
    if inputs == 1 and outputs == group:
        return _Form(filter=(whole, 1, *kernel), group=whole)
    if inputs % block or outputs % group or outputs // group % block:
        return None
    return _Form(filter=shape, group=group)


def _own_shape(layout: Layout, value: Value | None) -> tuple[int, ...]:
    """Shape of a constant of floats of this graph; empty where it is none."""
    own = value is not None and value.home is layout.program
    return _stored_shape(value) if own else ()


def _stored_shape(value: Value | None) -> tuple[int, ...]:
    """Shape of a constant of floats; empty where it is none."""
    if value is None or not value.constant or value.dtype != "float":
        return ()
    return value.static or ()


def scale(layout: Layout, op: Op, source: Blocked, factor: Value | None) -> None:
    """Mul of a blocked value by a constant per channel: each channel is convolved by itself."""
    channels = source.channels
    shape = _stored_shape(factor)
    if factor is not None and shape in ((channels, 1, 1), (1, channels, 1, 1)):
        weight = layout.stored(factor, (padded(channels, layout.block), 1, 1, 1))
        _per_channel(layout, op, source, [weight])


def normalization(layout: Layout, op: Op) -> None:
    """BatchNormalization of a blocked value, for inference, with constant parameters: likewise."""
    source = layout.of(op.input(0))
    if source is None or len(op.outputs) > 1 or op.integer("spatial", 1) != 1:
        return
    factor, shift = op.input(1), op.input(2)
    if any(_stored_shape(value) != (source.channels,) for value in op.inputs[1:5]):
        return
    if factor is not None and shift is not None:
        whole = padded(source.channels, layout.block)
        weight = layout.program.value(factor, shape=(whole, 1, 1, 1), constant=True)
        bias = layout.program.value(shift, shape=(whole,), constant=True)
        _per_channel(layout, op, source, [weight, bias])


def _per_channel(layout: Layout, op: Op, source: Blocked, constants: list[Value]) -> None:
    plain, channels = op.output, source.channels
    whole = padded(channels, layout.block)
    inputs = [source.value, *constants]
    made = layout.convert(op, "Conv", inputs, channels, {"group": whole})
    layout.register(made, plain, channels, windowed(source.value, plain, whole), source.origins)
