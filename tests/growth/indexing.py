"""Gather reads what it takes, scatter writes everything; comparisons where there are any."""

from __future__ import annotations

from typing import Final

from growth.case import Growth


def _case(
    call: str,
    inputs: str,
    read: tuple[int, int],
    written: tuple[int, int],
    opset: int = 13,
    *,
    vector_ops: tuple[int, int] = (0, 0),
    stored: str = "",
) -> Growth:
    return Growth(
        call=call,
        inputs=inputs,
        stored=stored,
        opset=opset,
        figures={
            "macs": (0, 0),
            "vector_ops": vector_ops,
            "transcendentals": (0, 0),
            "bytes_read": read,
            "bytes_written": written,
        },
    )


GATHERED: Final = [
    # n indices of 8 bytes take n rows of 8 floats.
    *(
        _case(
            "Gather(t, i)",
            "float[100,8] t, int64[{n}] i",
            (32 + 128, 64 + 256),
            (128, 256),
            opset,
        )
        for opset in (1, 11, 13)
    ),
    # Of 5 rows n * 2 indices of 4 bytes take all at most, and write n * 2.
    _case("Gather(t, i)", "float[5,8] t, int32[{n},2] i", (32 + 160, 64 + 160), (256, 512)),
    # n columns of 100.
    _case("Gather<axis=-1>(t, i)", "float[100,9] t, int64[{n}] i", (1632, 3264), (1600, 3200)),
    # An index for each of n * 4 elements.
    _case("GatherElements(t, i)", "float[50,4] t, int64[{n},4] i", (192, 384), (64, 128), 11),
    # n pairs take n rows of 6 floats; within each of 5 batches n indices take n rows.
    *(
        _case(
            "GatherND(t, i)",
            "float[5,4,6] t, int64[{n},2] i",
            (64 + 96, 128 + 192),
            (96, 192),
            opset,
        )
        for opset in (11, 12)
    ),
    _case(
        "GatherND<batch_dims=1>(t, i)",
        "float[5,9,6] t, int64[5,{n},1] i",
        (160 + 480, 320 + 960),
        (480, 960),
        12,
    ),
]

SCATTERED: Final = [
    # 50 * 4 floats are read and written; n * 4 indices and updates are read; combining them takes an
    # operation each.
    *(
        _case(
            f"{name}{attributes}(t, i, u)",
            "float[50,4] t, int64[{n},4] i, float[{n},4] u",
            (800 + 128 + 64, 800 + 256 + 128),
            (800, 800),
            opset,
            vector_ops=vector_ops,
        )
        for name, attributes, opset, vector_ops in (
            ("Scatter", "", 9, (0, 0)),
            ("ScatterElements", "", 11, (0, 0)),
            ("ScatterElements", '<reduction="add">', 16, (16, 32)),
            ("ScatterElements", '<reduction="max">', 18, (16, 32)),
        )
    ),
    # n indices of whole rows.
    *(
        _case(
            f"ScatterND{attributes}(t, i, u)",
            "float[50,4] t, int64[{n},1] i, float[{n},4] u",
            (800 + 32 + 64, 800 + 64 + 128),
            (800, 800),
            opset,
            vector_ops=vector_ops,
        )
        for attributes, opset, vector_ops in (
            ("", 11, (0, 0)),
            ('<reduction="mul">', 16, (16, 32)),
            ('<reduction="min">', 18, (16, 32)),
        )
    ),
    # A cache of n * 2 * 16 * 8 floats, of which a row each is new, at a place for each sequence.
    _case(
        "TensorScatter(c, u, at)",
        "float[{n},2,16,8] c, float[{n},2,1,8] u, int64[{n}] at",
        (4096 + 256 + 32, 8192 + 512 + 64),
        (4096, 8192),
        24,
    ),
]

COMPARED: Final = [
    # n indices compared with 5 classes each; indices and two values are read.
    *(
        _case(
            "OneHot(i, d, v)",
            "int64[{n}] i, float[2] v",
            (32 + 8, 64 + 8),
            (80, 160),
            opset,
            vector_ops=(20, 40),
            stored="int64 d = {{5}}",
        )
        for opset in (9, 11, 28)
    ),
    # n * 3 elements compared with 0; at most two coordinates of 8 bytes for each.
    *(
        _case(
            "NonZero(x)",
            "float[{n},3] x",
            (48, 96),
            (192, 384),
            opset,
            vector_ops=(12, 24),
        )
        for opset in (9, 13)
    ),
    # n images of 10 boxes in 3 classes, of which 4 are kept: 30 scores, 10 areas of 3 operations
    # and 13 for each of 30 * 4 pairs. Read: 40 + 30 floats, the two limits; written: 3 * 4 triples.
    *(
        _case(
            "NonMaxSuppression(b, s, m, t)",
            "float[{n},10,4] b, float[{n},3,10] s",
            (4 * 280 + 12, 8 * 280 + 12),
            (4 * 288, 8 * 288),
            opset,
            vector_ops=(4 * (30 + 30 + 1560), 8 * (30 + 30 + 1560)),
            stored="int64[1] m = {{4}}, float[1] t = {{0.5}}",
        )
        for opset in (10, 11)
    ),
]

CASES: Final = [*GATHERED, *SCATTERED, *COMPARED]
