"""com.microsoft.nchwc: float kernels of ONNX Runtime's CPU provider, channels in blocks.

A tensor keeps the shape [N, C, H, W] with C rounded up to a block (8 or 16 channels, as the machine
has them that wrote the file); the stored weights are rounded up as well. What fills a block is
computed, moved and counted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops import pooling, resampling
from mlsys_lint_plugins.ops.inference import (
    Infer,
    Sizes,
    element_type,
    integer,
    put,
    sizes,
)
from mlsys_lint_plugins.ops.msft import fused_conv
from mlsys_lint_plugins.ops.msft_nhwc import Formula, infer_as

_BLOCK: Final = 8
_WIDEST_BLOCK: Final = 16
_WIDER: Final = (
    "at most: the file does not say whether a block has 8 or 16 channels; 16 are counted"
)


def conv(node: NodeView) -> OpCost | Declined:
    """FusedConv: bias, residual sum and activation are part of it.

    The channels of X are those of W, also where the file does not tell the width of X's blocks.
    """
    x, w = node.input(0), node.input(1)
    if x.shape is not None and len(x.shape) > 1 and (x.shape[1] is None or 1 in x.bounded):
        channels = w.dims[1] * node.integer("group", 1)
        blocked = replace(x, shape=(x.shape[0], channels, *x.shape[2:]), bounded=x.bounded - {1})
        node = replace(node, inputs=(blocked, *node.inputs[1:]))
    return fused_conv(node)


def reorder_input(node: NodeView) -> OpCost:
    """A copy into blocks; what fills the last one is written too.

    Where blocks of 8 and of 16 channels would differ, the wider ones count: an upper bound.
    """
    unknown = 1 in node.output().bounded
    return cost(node, kernel_class="transpose", assumptions=(_WIDER,) if unknown else ())


def reorder_output(node: NodeView) -> OpCost:
    """A copy out of blocks; what fills the last one is not read."""
    return cost(node, kernel_class="transpose", bytes_read=node.output().nbytes)


def _channels_second(context: InferenceContext) -> Sizes | None:
    shape = sizes(context, 0)
    if shape is None or len(shape) < 2 or not integer(context, "channels_last"):
        return shape
    return (shape[0], shape[-1], *shape[1:-1])


def infer_reorder_input(context: InferenceContext) -> None:
    """[N, C, positions...] in blocks: of 16, at most, where those of 8 are filled with fewer."""
    shape = _channels_second(context)
    if shape is None or len(shape) < 2:
        return
    channels: int | str | None = None
    if shape[1] is not None:
        narrow, wide = (-(-shape[1] // width) * width for width in (_BLOCK, _WIDEST_BLOCK))
        channels = wide if narrow == wide else f"max:{wide}"
    put(context, 0, element_type(context, 0), (shape[0], channels, *shape[2:]))


def infer_reorder_output(context: InferenceContext) -> None:
    """The channels that the attribute names, second or last."""
    shape, channels = sizes(context, 0), integer(context, "channels")
    if shape is None:
        return
    last = bool(integer(context, "channels_last"))
    found = (shape[0], *shape[2:], channels) if last else (shape[0], channels, *shape[2:])
    put(context, 0, element_type(context, 0), found)


def infer_upsample(context: InferenceContext) -> None:
    """Every size times its scale."""
    shape, scales = sizes(context, 0), context.get_attribute("scales")
    if shape is None or scales is None or len(scales.ints) != len(shape):
        return
    grown = [
        None if size is None else size * scale
        for size, scale in zip(shape, scales.ints, strict=True)
    ]
    put(context, 0, element_type(context, 0), grown)


_TABLE: Final[tuple[tuple[str, Formula, Infer], ...]] = (
    ("Conv", conv, infer_as("Conv", (0, 1))),
    ("MaxPool", pooling.max_pool, infer_as("MaxPool")),
    ("AveragePool", pooling.average_pool, infer_as("AveragePool")),
    ("GlobalMaxPool", pooling.global_max_pool, infer_as("GlobalMaxPool")),
    ("GlobalAveragePool", pooling.global_average_pool, infer_as("GlobalAveragePool")),
    ("ReorderInput", reorder_input, infer_reorder_input),
    ("ReorderOutput", reorder_output, infer_reorder_output),
    ("Upsample", resampling.resize, infer_upsample),
)

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(
        domain="com.microsoft.nchwc",
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
    )
    for name, estimate, infer in _TABLE
)
