"""Data movement: bytes, and no arithmetic but where one is said."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

# 4 * 3 * 2 = 24 floats of 4 bytes, then 48.
X: Final = "float[{n},3,2] x"
ALL: Final = (96, 192)


def _moves(
    call: str,
    read: tuple[int, int],
    written: tuple[int, int],
    opset: int = 23,
    *,
    inputs: str = X,
    stored: str = "",
    vector_ops: tuple[int, int] = (0, 0),
    transcendentals: tuple[int, int] = (0, 0),
    outputs: str = "y",
    fixed: str = "",
) -> Growth:
    return Growth(
        call=call,
        inputs=inputs,
        stored=stored,
        opset=opset,
        outputs=outputs,
        fixed=fixed,
        figures={
            "macs": (0, 0),
            "vector_ops": vector_ops,
            "transcendentals": transcendentals,
            "bytes_read": read,
            "bytes_written": written,
        },
    )


def _view(call: str, opset: int, stored: str = "") -> Growth:
    """The output is the input's buffer."""
    return _moves(call, (0, 0), (0, 0), opset, stored=stored, fixed="a view moves nothing")


# Shapes and axes are attributes at first, then inputs.
VIEWS: Final = [
    _view("Reshape<shape=[0,-1]>(x)", 1),
    _view("Reshape(x, s)", 5, "int64[2] s = {{6,-1}}"),
    _view("Reshape<allowzero=1>(x, s)", 14, "int64[2] s = {{6,-1}}"),
    _view("Flatten(x)", 1),
    _view("Flatten<axis=-1>(x)", 11),
    _view("Squeeze<axes=[0]>(u)", 1, "float[1,3] u"),
    _view("Squeeze(u, a)", 13, "float[1,3] u, int64[1] a = {{0}}"),
    _view("Unsqueeze<axes=[0]>(x)", 1),
    _view("Unsqueeze(x, a)", 13, "int64[1] a = {{0}}"),
    _view("Identity(x)", 1),
    _view("Identity(x)", 25),
    # A stored tensor moves where it is used.
    _view("Constant<value=float[2] {{1,2}}>()", 9),
]
# Sizes stand in the type, not in the data: `end` numbers of 8 bytes, one number.
SIZES: Final = [
    _moves("Shape(x)", (0, 0), (24, 24), 1, fixed="a number per axis"),
    _moves("Shape<end={n}>(x)", (0, 0), (32, 64), 15, inputs="float[1,2,3,4,5,6,7,8] x"),
    _moves("Size(x)", (0, 0), (8, 8), 1, fixed="one number"),
]
# Everything is read and written, elsewhere.
REARRANGED: Final = [
    _moves("Transpose(x)", ALL, ALL, 1),
    _moves("Transpose<perm=[1,0,2]>(x)", ALL, ALL),
    *(
        _moves(
            "DepthToSpace<blocksize=2>(x)",
            (384, 768),
            (384, 768),
            opset,
            inputs="float[{n},4,2,3] x",
        )
        for opset in (1, 11, 28)
    ),
    *(
        _moves(
            "SpaceToDepth<blocksize=2>(x)",
            (384, 768),
            (384, 768),
            opset,
            inputs="float[{n},1,4,6] x",
        )
        for opset in (1, 13, 28)
    ),
    # And a length of 8 bytes for each of 3 sequences (the batch is axis 1).
    _moves("ReverseSequence(x, l)", (120, 216), ALL, 10, inputs=f"{X}, int64[3] l"),
]
# n * 3 + 3 elements; the axis is 1 unless it is given before opset 4.
JOINED: Final = [
    _moves("Concat(x, z)", (96 + 32, 192 + 64), (128, 256), 1, inputs=f"{X}, float[{{n}},1,2] z"),
    _moves(
        "Concat<axis=0>(x, z)", (96 + 24, 192 + 24), (120, 216), 4, inputs=f"{X}, float[1,3,2] z"
    ),
    _moves(
        "Concat<axis=-3>(x, z)", (96 + 24, 192 + 24), (120, 216), 13, inputs=f"{X}, float[1,3,2] z"
    ),
]
PARTED: Final = [
    _moves("Split(x)", ALL, ALL, 1, outputs="y, z"),
    _moves("Split<axis=1>(x, s)", ALL, ALL, 1, outputs="y, z", stored="float[2] s = {{1,2}}"),
    _moves("Split<axis=1, split=[1,2]>(x)", ALL, ALL, 2, outputs="y, z"),
    _moves("Split<axis=1>(x, s)", ALL, ALL, 13, outputs="y, z", stored="int64[2] s = {{1,2}}"),
    _moves("Split<axis=1, num_outputs=2>(x)", ALL, ALL, 18, outputs="y, z"),
]
# What is taken is read: rows 1 and 2 of 3 in each of n, 4 floats.
TAKEN: Final = [
    _moves("Slice<starts=[1], ends=[3], axes=[1]>(x)", (64, 128), (64, 128), 1),
    _moves("Slice<starts=[0,1], ends=[99,3]>(x)", (64, 128), (64, 128), 1),
    *(
        _moves(
            "Slice(x, f, t, a)",
            (64, 128),
            (64, 128),
            opset,
            stored="int64[1] f = {{1}}, int64[1] t = {{3}}, int64[1] a = {{1}}",
        )
        for opset in (10, 13)
    ),
    # Every second of n * 3 rows backwards: n * 2 of them.
    _moves(
        "Slice(x, f, t, a, s)",
        (64, 128),
        (64, 128),
        11,
        stored="int64[1] f = {{-1}}, int64[1] t = {{-9}}, int64[1] a = {{1}}, int64[1] s = {{-2}}",
    ),
    # One row of 3 goes, a column comes.
    _moves(
        "CenterCropPad<axes=[1,2]>(x, s)", (64, 128), (96, 192), 18, stored="int64[2] s = {{2,3}}"
    ),
    # The upper triangle of each [3,2]: 2 + 1 elements; the lower one: 1 + 2 + 2.
    _moves("Trilu(x)", (48, 96), ALL, 14),
    _moves("Trilu<upper=0>(x, k)", (80, 160), ALL, 14, stored="int64 k = {{0}}"),
    # At most every row; the condition is a byte each.
    _moves("Compress<axis=0>(x, c)", (96 + 4, 192 + 8), ALL, 9, inputs=f"{X}, bool[{{n}}] c"),
    _moves(
        "Compress(x, c)",
        (20 + 5, 20 + 5),
        (20, 20),
        11,
        inputs=f"{X}, bool[5] c",
        fixed="as many as the condition is long",
    ),
]
# 3 rows become 4 (all are read), one row is cropped and two are added (2 of 3 are read).
PADDED: Final = [
    _moves("Pad<paddings=[0,1,0,0,0,0]>(x)", ALL, (128, 256), 1),
    _moves("Pad<pads=[0,1,0,0,0,0]>(x)", ALL, (128, 256), 2),
    _moves("Pad<pads=[0,-1,0,0,2,0]>(x)", (64, 128), (128, 256), 2),
    _moves("Pad(x, p)", ALL, (128, 256), 11, stored="int64[6] p = {{0,1,0,0,0,0}}"),
    _moves(
        'Pad<mode="edge">(x, p, , a)',
        (64, 128),
        (128, 256),
        18,
        stored="int64[2] p = {{-1,2}}, int64[1] a = {{1}}",
    ),
    _moves('Pad<mode="wrap">(x, p)', ALL, (128, 256), 19, stored="int64[6] p = {{0,1,0,0,0,0}}"),
]
# Read once, written as often as it is repeated.
REPEATED: Final = [
    _moves("Expand(x, s)", ALL, (480, 960), 8, stored="int64[4] s = {{5,1,1,1}}"),
    _moves("Tile(x, r)", ALL, (480, 960), 6, stored="int64[3] r = {{1,5,1}}"),
]
# A sort of m: ceil(log2 m) comparisons for each element. 4: 2, 8: 3, 24: 5, 48: 6. Besides the values,
# at most as many positions and counts are written, and an inverse for each: 3 * 8 bytes.
DISTINCT: Final = [
    _moves("Unique(x)", ALL, ALL, 11, vector_ops=(24 * 5, 48 * 6)),
    _moves(
        "Unique(x)",
        ALL,
        (96 + 24 * 24, 192 + 48 * 24),
        11,
        vector_ops=(24 * 5, 48 * 6),
        outputs="y, i, j, k",
    ),
    _moves("Unique<axis=0>(x)", ALL, ALL, 28, vector_ops=(24 * 2, 48 * 3)),
]
# Written only: values that nothing is read for; drawing random numbers is not counted.
GENERATED: Final = [
    _moves("ConstantOfShape(s)", (0, 0), (48, 96), 9, stored="int64[2] s = {{{n},3}}"),
    _moves("EyeLike(x)", (0, 0), (48, 96), 9, inputs="float[{n},3] x"),
    # A sum per element: 0, 3, 6 ... below 3 n.
    *(
        _moves(
            "Range(a, b, d)",
            (0, 0),
            (32, 64),
            opset,
            vector_ops=(4, 8),
            stored="int64 a = {{0}}, int64 b = {{{n}0}}, int64 d = {{10}}",
        )
        for opset in (11, 27)
    ),
    *(
        _moves(f"{name}<shape=[{{n}},3]>()", (0, 0), (48, 96), opset)
        for name in ("RandomNormal", "RandomUniform")
        for opset in (1, 22)
    ),
    *(
        _moves(f"{name}(x)", (0, 0), ALL, opset)
        for name in ("RandomNormalLike", "RandomUniformLike")
        for opset in (1, 22)
    ),
    # A comparison with a random number and a conversion for each element.
    *(_moves("Bernoulli(x)", ALL, ALL, opset, vector_ops=(48, 96)) for opset in (15, 22)),
    # n rows of 5 classes: 5 exp and 4 running sums; each of 3 samples (int32) is found by 3 comparisons.
    *(
        _moves(
            "Multinomial<sample_size=3>(p)",
            (80, 160),
            (48, 96),
            opset,
            inputs="float[{n},5] p",
            vector_ops=(4 * (4 + 9), 8 * (4 + 9)),
            transcendentals=(20, 40),
        )
        for opset in (7, 22)
    ),
]

CASES: Final = [
    *(VIEWS + SIZES + REARRANGED + JOINED + PARTED + TAKEN),
    *(PADDED + REPEATED + DISTINCT + GENERATED),
]
