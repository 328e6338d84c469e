"""com.microsoft: causal convolutions with a carried state, and the Mamba 2 mixer."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.conv import per_output
from mlsys_lint_plugins.ops.inference import Sizes, element_type, integer, put, same_as, sizes
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.rows import with_rows


def _taps(output: TensorInfo, channels: int, weight: TensorInfo, dtype: str) -> Contraction:
    """A kernel of prod(k) taps per channel: one product of [positions, taps] by [taps] each."""
    positions = output.numel // channels if channels else 0
    return Contraction(batch=channels, m=positions, n=1, k=prod(weight.dims[2:]), dtype=dtype)


def _activated(node: NodeView, dtype: str) -> tuple[int, int] | Declined:
    """(operations, transcendentals) per output: SiLU in float, as onnx's body computes it."""
    name = node.text("activation", "none").lower()
    if name in ("none", ""):
        return 0, 0
    if name not in ("silu", "swish"):
        return Declined(f"activation {name!r} has no formula")
    return (1 if dtype == "float" else 3), 1


def causal_conv(node: NodeView) -> OpCost | Declined:
    """Depthwise: outputs * prod(kernel) MACs; a bias 1 per output, SiLU a product and a sigmoid.

    The operator of ai.onnx with the same name has a body; a test compares the two: what is not of
    type float is converted for SiLU, and back. With a state_window the last slot of the past is
    read and every slot of the present written; of a wider input the selected channels are read.
    """
    x, w, y, past = node.input(0), node.input(1), node.output(0), node.optional_input(3)
    activated = _activated(node, x.type_name)
    if isinstance(activated, Declined):
        return activated
    window = node.integer("state_window", 0)
    base = cost(
        node,
        kernel_class="conv_depthwise",
        contractions=(_taps(y, w.dims[0], w, x.type_name),),
        vector_ops=per_output(node, 2) + activated[0] * y.numel,
        transcendentals=activated[1] * y.numel,
        read=(0, 1, 2) if window else (0, 1, 2, past),
    )
    unread = x.nbytes - x.nbytes * y.numel // x.numel if x.numel else 0
    base = replace(base, bytes_read=base.bytes_read - unread)
    return with_rows(base, [(past, 1)]) if past is not None and window else base


def infer_causal_conv(context: InferenceContext) -> None:
    """The input's shape; states hold (k - 1) * dilation positions of the last axis.

    State [B, C, .., S], or [B, S, C..] with channels last, after a window axis, if there is one.
    """
    x, w = sizes(context, 0), sizes(context, 1)
    if x is None or w is None or len(x) < 3 or len(w) < 3:
        return
    kind, capacity = element_type(context, 0), integer(context, "state_update_capacity")
    selected = integer(context, "input_channels")
    y = (*x[:-1], selected) if selected else x
    put(context, 0, kind, y)
    put(context, 1, kind, _state(context, y, w[-1]))
    put(context, 2, kind, (x[0], capacity, w[0]))


def _state(context: InferenceContext, y: Sizes, taps: int | None) -> Sizes:
    reach = None if taps is None else (taps - 1) * integer(context, "dilation", 1)
    length = integer(context, "state_length") or reach
    last = bool(integer(context, "channels_last"))
    kept = integer(context, "state_channels_last", -1)
    channels = y[2:] if last else y[1:-1]
    state = (y[0], length, *channels) if (last if kept < 0 else kept) else (y[0], *channels, length)
    window = integer(context, "state_window")
    return (window, *state) if window else state


def varlen_causal_conv(node: NodeView) -> OpCost | Declined:
    """Causal convolution of packed sequences [N, C]: N * C * k MACs whatever their lengths.

    Bias and SiLU as CausalConvWithState. In the dynamic form per output two taps are shifted by a
    projected delta, and the product with the previous token is masked (3); two of the projected
    taps are read.
    """
    x, w, y = node.input(0), node.input(1), node.output(0)
    delta = node.optional_input(6)
    activated = _activated(node, x.type_name)
    if isinstance(activated, Declined):
        return activated
    base = cost(
        node,
        kernel_class="conv_depthwise",
        contractions=(_taps(y, w.dims[0], w, x.type_name),),
        vector_ops=per_output(node, 3) + (activated[0] + 3 * (delta is not None)) * y.numel,
        transcendentals=activated[1] * y.numel,
        read=(0, 1, 2, 3, 4, 5, 7),
    )
    if delta is None:
        return base
    taps = delta.dims[1]
    read = delta.nbytes * min(2, taps) // taps if taps else 0
    return replace(base, bytes_read=base.bytes_read + read)


def infer_varlen(context: InferenceContext) -> None:
    """The input's shape, the initial state's, and [B, C captured tokens, channels]."""
    x, state = sizes(context, 0), sizes(context, 4)
    if x is None or state is None:
        return
    kind = element_type(context, 0)
    put(context, 0, kind, x)
    put(context, 1, kind, state)
    capacity = integer(context, "state_update_capacity")
    put(context, 2, kind, (state[0], capacity, x[1]))


def conv_replay(node: NodeView) -> OpCost | Declined:
    """Copies: every element of the destination state comes from the source or the captured inputs."""
    metadata = node.input(3)
    if metadata.value is None or metadata.value.size != 8:
        return Declined("the geometry stands in metadata, which is not known before the run")
    state = prod(int(one) for one in metadata.value.reshape(-1)[3:6])
    moved = state * (2 if node.input(0).dtype == "float16" else 4)
    return cost(
        node,
        kernel_class="copy",
        bytes_read=moved + metadata.nbytes,
        bytes_written=moved,
        weight_bytes=0,
        aliases=((2, 0),),
    )


def mamba2(node: NodeView) -> OpCost | Declined:
    """Mamba 2 for R tokens: heads H of D elements (di = H * D), states of N, G groups.

    Convolution of di + 2 G N channels: 4 MACs, bias, SiLU (1 and a sigmoid). Per token and head:
    dt = max(softplus(dt + bias), minimum), dt * A (4 operations, 2 transcendentals), exp. Per element
    of the state: decay and sum, MACs for (dt x) (x) B and for C S. Per element of di: dt * x, D * x
    and its sum (3), SiLU of the gate and its product (2 and a sigmoid), RMS normalization in groups
    (4; epsilon and a root a group). bfloat16 enters and leaves the float part: dt, gate, convolved
    channels and result are converted.
    """
    projection, state = node.input(0), node.input(2)
    slots, heads, depth, size = state.dims
    rows, inner = projection.dims[0], heads * size
    groups = node.integer("n_groups", 0)
    if not groups:
        return Declined("n_groups is required")
    channels = inner + 2 * groups * depth
    taps = Contraction(batch=channels, m=rows, n=1, k=4, dtype=projection.type_name)
    outer = Contraction(batch=rows * heads, m=depth, n=size, k=1, dtype="float")
    readout = Contraction(batch=rows * heads, m=1, n=size, k=depth, dtype="float")
    elements, notes = rows * inner, _kept(rows, slots)
    work = 2 * rows * channels + 4 * rows * heads + 2 * rows * state.numel // max(1, slots)
    conversions = rows * (channels + heads) + 2 * elements
    base = cost(
        node,
        kernel_class="recurrent",
        contractions=(taps, outer, readout),
        vector_ops=work + (3 + 2 + 4) * elements + rows * groups + conversions,
        transcendentals=rows * channels + 3 * rows * heads + elements + rows * groups,
        read=(0, 3, 4, 5, 6, 7, 8, 9),
        dtype="float",
        assumptions=notes,
    )
    untouched = max(0, slots - rows)
    read = min(slots, untouched + 1)
    return with_rows(base, [(node.input(1), read), (state, read)])


def _kept(rows: int, slots: int) -> tuple[str, ...]:
    """The starting snapshot may be one of those that are copied anyway."""
    if rows >= slots:
        return ()
    return ("data-dependent: the starting snapshot is none of those that stay as they are",)


def infer_mamba2(context: InferenceContext) -> None:
    """[R, di]; states like the inputs; [R, channels] and [R, di] for what serves debugging."""
    projection, conv, state = (sizes(context, position) for position in range(3))
    if projection is None or conv is None or state is None:
        return
    kind, precise = element_type(context, 0), element_type(context, 2)
    inner = None if state[1] is None or state[3] is None else state[1] * state[3]
    put(context, 0, kind, (projection[0], inner))
    put(context, 1, kind, conv)
    put(context, 2, precise, state)
    put(context, 3, kind, (projection[0], conv[1]))
    put(context, 4, precise, (projection[0], inner))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("CausalConvWithState", causal_conv, infer_causal_conv),
    contrib("VarlenCausalConvWithState", varlen_causal_conv, infer_varlen, shape_inputs=(2, 5)),
    contrib("ConvStateReplay", conv_replay, same_as(2), shape_inputs=(3,)),
    contrib("Mamba2Verify", mamba2, infer_mamba2, shape_inputs=(9,)),
)
