"""Normalizations: statistics of rows, then what each element takes."""

from __future__ import annotations

from typing import Final

from growth.case import Growth


def _norm(
    call: str,
    inputs: str,
    opset: int,
    *,
    work: tuple[int, int],
    roots: tuple[int, int],
    read: tuple[int, int],
    written: tuple[int, int],
    outputs: str = "y",
) -> Growth:
    return Growth(
        call=call,
        inputs=inputs,
        opset=opset,
        outputs=outputs,
        figures={
            "macs": (0, 0),
            "vector_ops": work,
            "transcendentals": roots,
            "bytes_read": read,
            "bytes_written": written,
        },
    )


# n * 3 * 4 elements: 48 of 4 bytes, then 96, in 12 (24) rows of 4.
X: Final = "float[{n},3,4] x"
OF_CHANNELS: Final = "float[3] s, float[3] b, float[3] m, float[3] v"
BATCH: Final = [
    # Difference, division, scale, shift; for each of 3 channels epsilon and a root.
    *(
        _norm(
            f"BatchNormalization{attributes}(x, s, b, m, v)",
            f"{X}, {OF_CHANNELS}",
            opset,
            work=(4 * 48 + 3, 4 * 96 + 3),
            roots=(3, 3),
            read=(192 + 48, 384 + 48),
            written=(192, 384),
        )
        for attributes, opset in (
            ("<is_test=1, consumed_inputs=[0,0,0,1,1]>", 1),
            ("<is_test=1>", 6),
            *(("", opset) for opset in (7, 9, 14, 15)),
        )
    ),
    # In training the batch's statistics on top: mean, square of the deviation, its mean; for each
    # channel two running averages (two products and a sum). It is said by is_test before opset 7, by
    # having more outputs before 14, by training_mode then. Each statistic is 12 bytes.
    *(
        _norm(
            f"BatchNormalization{attributes}(x, s, b, m, v)",
            f"{X}, {OF_CHANNELS}",
            opset,
            work=(7 * 48 + 7 * 3, 7 * 96 + 7 * 3),
            roots=(3, 3),
            read=(192 + 48, 384 + 48),
            written=(192 + 12 * statistics, 384 + 12 * statistics),
            outputs=outputs,
        )
        for attributes, opset, outputs, statistics in (
            ("<consumed_inputs=[0,0,0,1,1]>", 1, "y, rm, rv, sm, sv", 4),
            ("", 6, "y, rm, rv, sm, sv", 4),
            ("", 7, "y, rm, rv, sm, sv", 4),
            ("", 9, "y, rm, rv, sm, sv", 4),
            ("<training_mode=1>", 14, "y, rm, rv", 2),
            ("<training_mode=1>", 15, "y", 0),
        )
    ),
    # Until opset 9 every position of a channel may have statistics of its own: 3 * 4.
    _norm(
        "BatchNormalization<spatial=0>(x, s, b, m, v)",
        f"{X}, {OF_CHANNELS.replace('[3]', '[3,4]')}",
        7,
        work=(4 * 48 + 12, 4 * 96 + 12),
        roots=(12, 12),
        read=(192 + 192, 384 + 192),
        written=(192, 384),
    ),
]

ROWS: Final = [
    # Mean, square, mean of squares, deviation, division, scale, and shift with a bias; per row the
    # mean squared, variance, epsilon, reciprocal, and a root.
    _norm(
        "LayerNormalization(x, s)",
        f"{X}, float[4] s",
        17,
        work=(6 * 48 + 4 * 12, 6 * 96 + 4 * 24),
        roots=(12, 24),
        read=(208, 400),
        written=(192, 384),
    ),
    _norm(
        "LayerNormalization(x, s, b)",
        f"{X}, float[4] s, float[4] b",
        17,
        work=(7 * 48 + 4 * 12, 7 * 96 + 4 * 24),
        roots=(12, 24),
        read=(224, 416),
        written=(192, 384),
    ),
    # Rows of 3 * 4, n of them; mean and reciprocal of the deviation are written, too.
    _norm(
        "LayerNormalization<axis=1>(x, s)",
        f"{X}, float[3,4] s",
        17,
        work=(6 * 48 + 4 * 4, 6 * 96 + 4 * 8),
        roots=(4, 8),
        read=(240, 432),
        written=(192 + 32, 384 + 64),
        outputs="y, m, d",
    ),
    # 16 bits are converted to float and back.
    _norm(
        "LayerNormalization(x, s)",
        f"{X}, float[4] s".replace("float", "float16"),
        17,
        work=(8 * 48 + 4 * 12, 8 * 96 + 4 * 24),
        roots=(12, 24),
        read=(104, 200),
        written=(96, 192),
    ),
    # Square, mean, division, scale; per row epsilon and a root.
    _norm(
        "RMSNormalization(x, s)",
        f"{X}, float[4] s",
        23,
        work=(4 * 48 + 12, 4 * 96 + 24),
        roots=(12, 24),
        read=(208, 400),
        written=(192, 384),
    ),
    # Absolute value or square, sum, division: 3 per element less 1 per row; a root for p = 2. Along
    # axis 0 the rows are longer: 12 of n.
    *(
        _norm(
            f"LpNormalization{attributes}(x)",
            X,
            opset,
            work=(3 * 48 - rows[0], 3 * 96 - rows[1]),
            roots=roots,
            read=(192, 384),
            written=(192, 384),
        )
        for attributes, opset, rows, roots in (
            ("", 1, (12, 24), (12, 24)),
            ("<p=1>", 1, (12, 24), (0, 0)),
            ("<axis=0, p=2>", 22, (12, 12), (12, 12)),
        )
    ),
]

MAPS: Final = [
    # Mean, deviation, square, mean of squares, division, scale, shift; per image and channel epsilon
    # and a root.
    *(
        _norm(
            "InstanceNormalization(x, s, b)",
            f"{X}, float[3] s, float[3] b",
            opset,
            work=(7 * 48 + 12, 7 * 96 + 24),
            roots=(12, 24),
            read=(216, 408),
            written=(192, 384),
        )
        for opset in (1, 6, 22)
    ),
    # n images of 6 channels in 3 groups, 24 elements. As LayerNormalization with a bias; per group
    # the mean squared, variance, epsilon and a root. A scale for each group, from opset 21 on for
    # each channel.
    *(
        _norm(
            "GroupNormalization<num_groups=3>(x, s, b)",
            f"float[{{n}},6,4] x, float[{scales}] s, float[{scales}] b",
            opset,
            work=(7 * 96 + 3 * 12, 7 * 192 + 3 * 24),
            roots=(12, 24),
            read=(384 + 8 * scales, 768 + 8 * scales),
            written=(384, 768),
        )
        for opset, scales in ((18, 3), (21, 6))
    ),
    # 3 channels of n * 2 * 2 elements: 48, then 96. Two means, deviation, division; square by pow.
    # Per channel the mean squared by pow, variance, root, epsilon.
    *(
        _norm(
            f"MeanVarianceNormalization{attributes}(x)",
            "float[{n},3,2,2] x",
            opset,
            work=(4 * 48 + 2 * rows[0], 4 * 96 + 2 * rows[1]),
            roots=(48 + 2 * rows[0], 96 + 2 * rows[1]),
            read=(192, 384),
            written=(192, 384),
        )
        for attributes, opset, rows in (
            ("", 9, (3, 3)),
            ("", 13, (3, 3)),
            ("<axes=[-1]>", 13, (24, 48)),
        )
    ),
    # Square, 4 sums of 5 channels, alpha / size, bias, division; a pow.
    *(
        _norm(
            "LRN<size=5>(x)",
            "float[{n},3,2,2] x",
            opset,
            work=(8 * 48, 8 * 96),
            roots=(48, 96),
            read=(192, 384),
            written=(192, 384),
        )
        for opset in (1, 13)
    ),
]

CASES: Final = [*BATCH, *ROWS, *MAPS]
