"""Activations, conversions, reductions, normalizations, rearrangements and windows."""

from __future__ import annotations

from typing import Final

from function_bodies.body import Body

# 4 * 5 * 7 = 140 elements, 20 rows of 7.
X: Final = "float[4,5,7] x"
LOW: Final = "float16[4,5,7] x"

AGREEING: Final = [
    *(
        Body(call=call, inputs=X)
        for call in (
            *("Relu(x)", "LeakyRelu(x)", "ThresholdedRelu(x)", "Elu(x)", "Selu(x)", "Celu(x)"),
            *("HardSigmoid(x)", "HardSwish(x)", "Softplus(x)", "Softsign(x)", "Mish(x)"),
            *("Swish(x)", "Swish<alpha=1.5>(x)", "Softmax(x)", "Softmax<axis=1>(x)"),
            *("LogSoftmax(x)", "LogSoftmax<axis=0>(x)", "Bernoulli(x)", "Bernoulli<dtype=7>(x)"),
            *("ReduceL1(x)", "ReduceL2(x)", "ReduceLogSum(x)", "ReduceSumSquare(x)"),
            *("ReduceL1<keepdims=0>(x)", "ReduceL2<noop_with_empty_axes=1>(x)"),
        )
    ),
    *(
        Body(call=f"{name}(x, a)", inputs=X, stored=f"int64[{axes.count(',') + 1}] a = {{{axes}}}")
        for name in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare")
        for axes in ("-1", "0,2")
    ),
    Body(call="PRelu(x, s)", inputs=f"{X}, float[7] s"),
    Body(call="SwiGLU(x, v)", inputs=f"{X}, float[4,5,7] v"),
    Body(call="SwiGLU<alpha=1.5>(x, v)", inputs=f"{X}, float[4,5,7] v"),
    Body(call="CastLike(x, t)", inputs=f"{X}, int64[1] t"),
    Body(call="LayerNormalization(x, s)", inputs=f"{X}, float[7] s"),
    Body(call="LayerNormalization(x, s, b)", inputs=f"{X}, float[7] s, float[7] b"),
    Body(call="LayerNormalization<axis=1>(x, s)", inputs=f"{X}, float[5,7] s"),
    Body(call="LayerNormalization(x, s)", inputs=f"{LOW}, float16[7] s"),
    Body(call="LayerNormalization(x, s)", inputs=f"{X}, float[7] s", outputs="y, m, d"),
    Body(call="RMSNormalization<axis=1>(x, s)", inputs=f"{X}, float[5,7] s"),
    Body(call="RMSNormalization(x, s)", inputs=f"{LOW}, float16[7] s"),
    # One scale for each of 3 groups in the first version, for each of 6 channels then.
    *(
        Body(
            call="GroupNormalization<num_groups=3>(x, s, b)",
            inputs=f"float[2,6,4,5] x, float[{scales}] s, float[{scales}] b",
            opsets=(opset,),
        )
        for opset, scales in ((18, 3), (21, 6))
    ),
    Body(call="MeanVarianceNormalization(x)", inputs="float[2,6,4,5] x"),
    Body(call="MeanVarianceNormalization<axes=[-1]>(x)", inputs="float[2,6,4,5] x"),
    Body(call="CenterCropPad(x, s)", inputs=X, stored="int64[3] s = {3,6,4}"),
    Body(call="CenterCropPad<axes=[1]>(x, s)", inputs=X, stored="int64[1] s = {3}"),
    Body(call="DepthToSpace<blocksize=2>(x)", inputs="float[1,8,2,3] x"),
    Body(call='DepthToSpace<blocksize=2, mode="CRD">(x)', inputs="float[1,8,2,3] x"),
    Body(call="SpaceToDepth<blocksize=2>(x)", inputs="float[1,2,4,6] x"),
    Body(call="DynamicQuantizeLinear(x)", inputs=X, outputs="y, s, z"),
    # Half of each head of 8; both ways to lay out pairs; positions or rows of their own.
    Body(
        call="RotaryEmbedding<num_heads=2>(x, c, s, p)",
        inputs="float[2,3,16] x, float[9,4] c, float[9,4] s, int64[2,3] p",
    ),
    Body(
        call="RotaryEmbedding<interleaved=1>(x, c, s)",
        inputs="float[2,2,3,8] x, float[2,3,4] c, float[2,3,4] s",
    ),
    Body(
        call="RotaryEmbedding<rotary_embedding_dim=4>(x, c, s)",
        inputs="float[2,2,3,8] x, float[2,3,2] c, float[2,3,2] s",
    ),
]

DIFFERENT: Final = [
    # A constant that the body computes each time: sqrt(2), sqrt(2 / pi), -lambda.
    Body(call="Gelu(x)", inputs=X, more=(0, 0, 1)),
    Body(call='Gelu<approximate="tanh">(x)', inputs=X, more=(0, 0, 1)),
    Body(call="Shrink(x)", inputs=X, more=(0, 1, 0)),
    # A bound is a maximum or minimum for us, a comparison and a selection for the body.
    Body(call="Clip(x, l, h)", inputs=f"{X}, float l, float h", more=(0, 2 * 140, 0)),
    Body(call="Clip(x, l)", inputs=f"{X}, float l", more=(0, 140, 0)),
    Body(call="Clip(x, , h)", inputs=f"{X}, float h", more=(0, 140, 0)),
    Body(call="Clip(x)", inputs=X),
    # One comparison for us, two and an "or" for the body.
    Body(call="LessOrEqual(x, x)", inputs=X, more=(0, 2 * 140, 0)),
    Body(call="GreaterOrEqual(x, x)", inputs=X, more=(0, 2 * 140, 0)),
    # 7 sums of 20. The body computes in double: 140 conversions there and 7 back; kernels do not.
    Body(
        call="ReduceLogSumExp(x, a)",
        inputs=X,
        stored="int64[2] a = {0,1}",
        more=(0, 140 + 7, 0),
    ),
    # The number of elements: difference, division, ceil, maximum with 0, two conversions.
    Body(
        call="Range(a, b, d)",
        stored="float a = {0}, float b = {30}, float d = {1.5}",
        more=(0, 6, 0),
        known=True,
    ),
    # Conversion of the size, the size less 1, two choices and their sum, the angle's step, and what
    # chooses (conversion, difference): 8. Hann's and Hamming's second cosine has the factor 0: angle,
    # product, sum and a cosine for nothing.
    *(
        Body(
            call=f"{name}{periodic}(n)",
            stored="int64 n = {100}",
            more=(0, 8 + 100 * more, 100 * cosines),
            known=True,
        )
        for periodic in ("", "<periodic=0>")
        for name, more, cosines in (
            ("BlackmanWindow", 0, 0),
            ("HannWindow", 3, 1),
            ("HammingWindow", 3, 1),
        )
    ),
]


def _grid(attributes: str, sizes: str, scalars: int) -> Body:
    """The body gives every grid three axes: 3 * 4 MACs for each position.

    Its positions: on each axis a range (a sum), conversion, product and sum; four sums of whole
    grids spread them. Scalars: 7 conversions, 2 comparisons, and `scalars` for steps and ends.
    """
    extents = [int(size) for size in sizes.split(",")]
    axes, positions = extents[2:], 1
    for size in axes:
        positions *= size
    rank, images = len(axes), extents[0]
    ends = sum(axes) + (1 if rank == 2 else 0)
    return Body(
        call=f"AffineGrid<{attributes}>(t, s)",
        inputs=f"float[{images},{rank},{rank + 1}] t",
        stored=f"int64[{rank + 2}] s = {{{sizes}}}",
        more=(
            images * positions * (12 - rank * (rank + 1)),
            4 * ends + 4 * positions + 9 + scalars,
            0,
        ),
        known=True,
    )


GRIDS: Final = [
    # Cells have centres: a size for each of three axes' steps (Div, and Add and Div for the ends): 9;
    # in the plane the third axis's column is a sum for each of 2 images.
    _grid("align_corners=0", "2,3,5,7", 9 + 2),
    _grid("align_corners=0", "2,3,5,7,4", 9),
    # Corners are ends: a size less 1 and a step for each axis of more than one cell, a comparison.
    _grid("align_corners=1", "2,3,5,7", 3 + 2 + 1 + 2),
    _grid("align_corners=1", "2,3,5,7,4", 3 + 3 + 1),
]

CASES: Final = [*AGREEING, *DIFFERENT, *GRIDS]
