"""com.microsoft: hyper-connections - several residual streams that are normalized and mixed."""

from __future__ import annotations

from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.inference import Sizes, element_type, integer, put, same_as, sizes
from mlsys_lint_plugins.ops.linear import contraction_class
from mlsys_lint_plugins.ops.msft_spec import contrib, factor, float_conversions
from mlsys_lint_plugins.ops.normalization import rms_ops


def _streams(node: NodeView, x: TensorInfo) -> tuple[int, int, int]:
    """(rows, C streams, H features) of [.., C, H], or of [.., C * H] with num_branches."""
    count = node.integer("num_branches", 0)
    branches, width = (count, x.dims[-1] // count) if count else x.dims[-2:]
    each = branches * width
    return (x.numel // each if each else 0), branches, width


def pre_mix(node: NodeView) -> OpCost:
    """Y[h] = scale * sum over c of X[c, h] gate[c or c, h]: C * H MACs a row, the scale unless 1."""
    x, gates = node.input(0), node.input(1)
    rows, branches, width = _streams(node, x)
    shared = gates.numel == rows * branches
    product = Contraction(
        batch=rows if shared else rows * width,
        m=1,
        n=width if shared else 1,
        k=branches,
        dtype=x.type_name,
    )
    scaled = factor(node, "reduction_scale") != 1.0
    return cost(
        node,
        kernel_class="reduction",
        contractions=(product,),
        vector_ops=scaled * node.output().numel,
    )


def infer_pre_mix(context: InferenceContext) -> None:
    """[.., H]."""
    shape = sizes(context, 0)
    if shape:
        put(context, 0, element_type(context, 0), _features(context, shape))


def _features(context: InferenceContext, shape: Sizes) -> Sizes:
    count = integer(context, "num_branches")
    if not count:
        return (*shape[:-2], shape[-1])
    return (*shape[:-1], None if shape[-1] is None else shape[-1] // count)


def post_mix(node: NodeView) -> OpCost:
    """Y[k, h] = sum over c of M[c, k] X[c, h] + gate[k] block[h]: product and sum (2) per element.

    C * C * H MACs a row where there is a stream_mix; without one the streams stay as they are.
    """
    x = node.input(0)
    rows, branches, width = _streams(node, x)
    mix = Contraction(batch=rows, m=branches, n=width, k=branches, dtype=x.type_name)
    mixed = node.optional_input(3) is not None
    return cost(
        node,
        kernel_class="batched_matmul" if mixed else "elementwise",
        contractions=(mix,) if mixed else (),
        vector_ops=2 * x.numel,
    )


def low_rank_mix(node: NodeView) -> OpCost:
    """Streams S, normalized to hn; d = ScaledSiLU(hn W1), g = sigmoid(d W2), sum of hn g over c.

    MACs a row: C * H * R for each of W1 and W2, C * H for the sum, C * H * C for the next gate.
    Operations: prologue 2 per element of S where it is given, RMS normalization a stream (4, an
    epsilon and a root), ScaledSiLU 2 and a sigmoid per element of d, a sigmoid per element of g;
    per gate a division, a sigmoid, a product. Factors that are 1 do not count.
    """
    x, down, inject = node.input(0), node.input(2), node.input(4)
    rows, branches, width = _streams(node, x)
    rank, flat, kind = down.dims[1], branches * width, x.type_name
    projections = (
        Contraction(m=rows, n=rank, k=flat, dtype=kind),
        Contraction(m=rows, n=flat, k=rank, dtype=kind),
        Contraction(m=rows, n=inject.dims[1], k=flat, dtype=kind),
    )
    reduction = Contraction(batch=rows * width, m=1, n=1, k=branches, dtype=kind)
    prologue = 2 * x.numel if node.optional_input(5) is not None else 0
    gates = sum(factor(node, name) != 1.0 for name in ("gate_div", "gate_mul"))
    scaled = factor(node, "reduction_scale") != 1.0
    return cost(
        node,
        kernel_class=contraction_class(projections[0]),
        contractions=(*projections, reduction),
        vector_ops=prologue
        + rms_ops(x.numel, rows * branches)
        + rows * (2 * rank + gates * branches + scaled * width),
        transcendentals=rows * (branches + rank + flat + branches),
    )


def infer_low_rank_mix(context: InferenceContext) -> None:
    """[.., H], the gates [.., C], and the streams."""
    shape, count = sizes(context, 0), integer(context, "num_branches")
    if not shape or not count:
        return
    kind = element_type(context, 0)
    put(context, 0, kind, _features(context, shape))
    put(context, 1, kind, (*shape[:-1], count))
    put(context, 2, kind, shape)


def branchwise_rms_norm(node: NodeView) -> OpCost:
    """RMS normalization of every stream: 3 per element, a scale if given, an epsilon and a root a row.

    The arithmetic is in float: x and the result are converted from other types.
    """
    x, y = node.input(0), node.output()
    rows, branches, _ = _streams(node, x)
    streams = rows * branches
    scaled = node.optional_input(1) is not None
    return cost(
        node,
        kernel_class="norm",
        vector_ops=rms_ops(x.numel, streams, scaled=scaled) + float_conversions(x, y),
        transcendentals=streams,
    )


def engram_gate(node: NodeView) -> OpCost | Declined:
    """Gate * value with gate = sigmoid(sign(d) sqrt(max(|d|, 1e-6))), d = key . query / sqrt(H).

    Keys and queries are RMS-normalized first (4 per element, an epsilon and a root a row), the dot
    product takes H MACs a row; then a row takes a division, absolute value, maximum, sign, product
    (5), a root and a sigmoid, an element the product with the gate. The normalized result, where it
    is an output, takes another RMS normalization.
    """
    key = node.input(0)
    width = key.dims[-1]
    rows = key.numel // width if width else 0
    normed = len(node.outputs) > 1 and node.outputs[1] is not None
    times = 3 if normed else 2
    dot = Contraction(batch=rows, m=1, n=1, k=width, dtype=key.type_name)
    return cost(
        node,
        kernel_class="norm",
        contractions=(dot,),
        vector_ops=times * rms_ops(key.numel, rows) + 5 * rows + key.numel,
        transcendentals=(times + 2) * rows,
        read=range(6) if normed else range(5),
    )


def infer_engram_gate(context: InferenceContext) -> None:
    """Both outputs have the shape of the keys."""
    shape = sizes(context, 0)
    if shape is not None:
        for position in range(2):
            put(context, position, element_type(context, 0), shape)


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("HyperConnectionPreMix", pre_mix, infer_pre_mix),
    contrib("HyperConnectionPostMix", post_mix, same_as(0)),
    contrib("HyperConnectionLowRankMix", low_rank_mix, infer_low_rank_mix),
    contrib("BranchwiseRMSNorm", branchwise_rms_norm, same_as(0)),
    contrib("EngramGate", engram_gate, infer_engram_gate),
)
