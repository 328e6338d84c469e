"""Attention, linear attention, losses and mapped sequences."""

from __future__ import annotations

from typing import Final

from function_bodies.body import Body

# 2 sequences, 6 query and 2 key heads, S = 3 queries, T = 5 keys of 8, values of 4.
GROUPED: Final = "float[2,6,3,8] q, float[2,2,5,8] k, float[2,2,5,4] v"
LOW: Final = GROUPED.replace("float", "float16")
CACHED: Final = (
    "float[2,6,3,8] q, float[2,2,3,8] k, float[2,2,3,4] v, float[2,1,3,7] m, "
    "float[2,2,4,8] c, float[2,2,4,4] d"
)
MASKED_FROM: Final = {23: 0, 24: 1, 25: 1}
"""From opset 24 on a body that has a mask asks how much shorter than the keys it is: a difference."""

# What the body of Attention does once, and the formula leaves out:
SCALE: Final = (
    2  # the size of a head converted, one divided by its root; its roots: 2 transcendentals
)
HEADS: Final = 7  # may heads be shared: equal, not, division, remainder, equal, and, choice
ROOTS: Final = 2
LOW_SCALARS: Final = 3  # in 16 bits the scale and two constants of the guard are converted
POSITIONS: Final = (
    3 + 5
)  # of queries and keys: a sum each, for a causal mask and again for a window
LENGTHS: Final = 5  # positions of keys, for padding
OFFSETS: Final = 2  # valid keys less queries, in each sequence


def _attention(
    attributes: str,
    operands: str,
    inputs: str,
    scalars: int,
    opsets: tuple[int, ...] = (23, 24, 25),
    *,
    outputs: str = "y",
) -> list[Body]:
    masked = " m" in inputs
    return [
        Body(
            call=f"Attention<{attributes}>({operands})",
            inputs=inputs,
            outputs=outputs,
            known=True,
            opsets=(opset,),
            more=(0, SCALE + HEADS + scalars + masked * MASKED_FROM[opset], ROOTS),
        )
        for opset in opsets
    ]


LATE: Final = (24, 25)
ATTENTION: Final = [
    *_attention("is_causal=0", "q, k, v", GROUPED, 0),
    *_attention("scale=0.5", "q, k, v", GROUPED, 0),
    *_attention(
        "q_num_heads=6, kv_num_heads=2",
        "q, k, v",
        "float[2,3,48] q, float[2,5,16] k, float[2,5,8] v",
        0,
    ),
    *_attention("softcap=2.0", "q, k, v, m", f"{GROUPED}, bool[3,5] m", 0),
    *_attention("is_causal=0", "q, k, v, m", f"{GROUPED}, float[2,1,3,5] m", 0),
    # A mask that ends before the keys do.
    *_attention("is_causal=0", "q, k, v, m", f"{GROUPED}, bool[2,1,3,4] m", 0, LATE),
    *_attention("is_causal=1", "q, k, v", GROUPED, POSITIONS),
    # Keys: 4 of the past, 3 of their own.
    *_attention("is_causal=1", "q, k, v, m, c, d", CACHED, 3 + 7, outputs="y, kk, vv"),
    *(
        case
        for mode in range(4)
        for case in _attention(
            f"qk_matmul_output_mode={mode}", "q, k, v, m, c, d", CACHED, 0, outputs="y, kk, vv, s"
        )
    ),
    *_attention("is_causal=0", "q, k, v", LOW, LOW_SCALARS),
    *_attention("softmax_precision=1", "q, k, v", LOW, LOW_SCALARS),
    *_attention("softmax_precision=1", "q, k, v", GROUPED, 0),
    *_attention("is_causal=1", "q, k, v, m", f"{LOW}, bool[3,5] m", LOW_SCALARS + POSITIONS),
    # The fill of a mask of 16 bits is converted, too, where it may be short.
    *_attention(
        "is_causal=1", "q, k, v, m", f"{LOW}, float16[3,5] m", LOW_SCALARS + POSITIONS, (23,)
    ),
    *_attention(
        "is_causal=1", "q, k, v, m", f"{LOW}, float16[3,5] m", LOW_SCALARS + POSITIONS + 1, LATE
    ),
    # An external cache: what is beyond a sequence's length is padding.
    *_attention("is_causal=0", "q, k, v, , , , n", f"{GROUPED}, int64[2] n", LENGTHS, LATE),
    *_attention(
        "is_causal=1",
        "q, k, v, , , , n",
        f"{GROUPED}, int64[2] n",
        POSITIONS + LENGTHS + OFFSETS,
        LATE,
    ),
    *_attention(
        "is_causal=1",
        "q, k, v, m, , , n",
        f"{GROUPED}, bool[2,1,3,5] m, int64[2] n",
        POSITIONS + LENGTHS + OFFSETS,
        LATE,
    ),
    *(
        case
        for window in ("left_window_size=2", "right_window_size=1")
        for case in _attention(window, "q, k, v", GROUPED, POSITIONS, (25,))
    ),
    *_attention("left_window_size=2, right_window_size=0", "q, k, v", GROUPED, POSITIONS, (25,)),
    *_attention(
        "is_causal=1, left_window_size=2",
        "q, k, v, , , , n",
        f"{GROUPED}, int64[2] n",
        2 * (POSITIONS + OFFSETS) + LENGTHS,
        (25,),
    ),
]

FLEXIBLE: Final = [
    # 180 scores: 180 * (8 + 4) MACs. Q scaled 288 and K, for every query head, 480; softmax
    # 4 * 180 - 2 * 36 and 180 exp.
    Body(call="ai.onnx.preview.FlexAttention(q, k, v)", inputs=GROUPED, expanded=(2160, 1416, 180)),
    # In 16 bits scores, values (of every query head) and results are converted: 180 + 240 + 144; the
    # caller's function is a tanh per score.
    Body(
        call=(
            "ai.onnx.preview.FlexAttention"
            "<score_mod = h (float[2,6,3,5] a) => (float[2,6,3,5] b) { b = Tanh(a) }>(q, k, v)"
        ),
        inputs=LOW,
        outputs="float16[2,6,3,4] y",
        expanded=(2160, 1416 + 180 + 240 + 144, 180 + 180),
    ),
]


def _linear(rule: str, operands: str, more: str, each: tuple[int, int, int]) -> Body:
    """T = 5 steps of 2 sequences with 2 states of [8, 6], which 4 query heads of 8 read.

    A step: the outer product of key and value 2 * 2 * 48 MACs, the sum with the state 192, the
    product of queries and states 2 * 4 * 48, the results scaled 48. `each` is what the rule adds.
    """
    macs, operations, exps = each
    return Body(
        call=f'LinearAttention<q_num_heads=4, kv_num_heads=2, update_rule="{rule}">({operands})',
        inputs=f"float[2,5,32] q, float[2,5,16] k, float[2,5,12] v{more}",
        outputs="y, s",
        expanded=(5 * (192 + 384 + macs), 5 * (192 + 48 + operations), 5 * exps),
    )


LINEAR: Final = [
    _linear("linear", "q, k, v", "", (0, 0, 0)),
    # The state decays: exp of a number per head, or per head and key element; a product with it.
    _linear("gated", "q, k, v, , d", ", float[2,5,2] d", (0, 192, 4)),
    # What the state holds for the key: 192 MACs; its difference from the value and the rate: 24 each.
    _linear("delta", "q, k, v, , , b", ", float[2,5,2] b", (192, 48, 0)),
    _linear(
        "gated_delta",
        "q, k, v, p, d, b",
        ", float[2,2,8,6] p, float[2,5,16] d, float[2,5,1] b",
        (192, 192 + 48, 32),
    ),
]

# 2 * 3 * 5 results of 4 taps each; a bias is a sum, SiLU a sigmoid and a product.
CONVOLVED: Final = [
    Body(
        call=f"CausalConvWithState{attributes}({operands})",
        inputs="float[2,3,5] x, float[3,1,4] w, float[3] b, float[2,3,3] p",
        outputs="y, s",
        expanded=figures,
    )
    for attributes, operands, figures in (
        ("", "x, w", (120, 0, 0)),
        ("", "x, w, b, p", (120, 30, 0)),
        ('<activation="silu">', "x, w, , p", (120, 30, 30)),
        ('<activation="swish">', "x, w, b", (120, 60, 30)),
    )
]

REDUCTIONS: Final = ("none", "sum", "mean")


def _losses(inputs: str, targets: int, weights: str, *, ignored: bool) -> list[Body]:
    """Losses of `targets` rows of 5 classes; the cross entropy takes the log of their softmax first.

    Each loss is gathered and negated. With an ignored class: the target less itself, a comparison, the
    target replaced, the loss replaced, a weight of 0 or the class's: 5 more. Weights take a product. A
    sum is targets - 1, a mean targets, with weights two sums and a division. A row of 5 takes 4 * 5 - 2
    operations, 5 exp and a log.
    """
    weighted = bool(weights) or ignored
    each = 1 + (5 if ignored else 0) + weighted
    cases = []
    for reduction in REDUCTIONS:
        last = {
            "none": 0,
            "sum": targets - 1,
            "mean": 2 * (targets - 1) + 1 if weighted else targets,
        }
        figures = each * targets + last[reduction]
        attributes = f'reduction="{reduction}"' + (", ignore_index=0" if ignored else "")
        operands = "x, t, w" if weights else "x, t"
        cases += [
            Body(
                call=f"NegativeLogLikelihoodLoss<{attributes}>({operands})",
                inputs=inputs + weights,
                expanded=(0, figures, 0),
            ),
            Body(
                call=f"SoftmaxCrossEntropyLoss<{attributes}>({operands})",
                inputs=inputs + weights,
                outputs="y, log",
                expanded=(0, figures + 18 * targets, 6 * targets),
            ),
        ]
    return cases


LOSSES: Final = [
    case
    for inputs, targets in (
        ("float[6,5] x, int64[6] t", 6),
        ("float[6,5,3] x, int64[6,3] t", 18),
        ("float[6,5,3,2] x, int64[6,3,2] t", 36),
    )
    for weights in ("", ", float[5] w")
    for ignored in (False, True)
    for case in _losses(inputs, targets, weights, ignored=ignored)
]

MAPPED: Final = [
    # A loop over the sequence, whose length a file does not say: one trip is counted, 12 sums.
    Body(
        call=(
            "SequenceMap (s, b) <body = h (float[3,4] e, float[4] c) => (float[3,4] z) "
            "{ z = Add(e, c) }>"
        ),
        inputs="seq(float[3,4]) s, float[4] b",
        outputs="seq(float[3,4]) y",
        expanded=(0, 12, 0),
    ),
]

CASES: Final = [*ATTENTION, *FLEXIBLE, *LINEAR, *CONVOLVED, *LOSSES, *MAPPED]
