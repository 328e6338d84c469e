"""Which kernels compute in place: one node a model, as ONNX Runtime runs it, against our table.

A node that allocates nothing for its output took the buffer of an input that it was the last to
read. Nothing is reused otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from memory.observed import observed, planned
from mlsys_lint.memory.plan import VIEWS
from mlsys_lint_plugins.runtimes.in_place import IN_PLACE

pytestmark = pytest.mark.ort

IMPORTS = '"com.microsoft": 1, "com.microsoft.nchwc": 1'


class Probe(NamedTuple):
    """A node that reads a = Sin(x) and writes b; an Abs of b follows, then the result."""

    node: str
    opset: int = 17
    sizes: str = "16,16"
    weights: str = "int32[1] i"


SCATTERED = "int64[1,2] j, float[1,2] u"
CONVOLVED = "float[16,16,1,1] w, float[16] f"
TABLE = {
    **{
        ("", name): Probe(f"b = {name}(a)")
        for name in (
            *("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Clip", "Shrink"),
            *("Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax"),
            "Trilu",
        )
    },
    ("", "Cast"): Probe("b = Cast<to = 6>(a)"),
    ("", "BitCast"): Probe("b = BitCast<to = 6>(a)", opset=26),
    ("", "Scatter"): Probe("b = Scatter(a, j, u)", opset=9, weights=SCATTERED),
    ("", "ScatterElements"): Probe("b = ScatterElements(a, j, u)", weights=SCATTERED),
    ("", "TensorScatter"): Probe(
        "v = Cos(p) b = TensorScatter(a, v, k)",
        opset=24,
        sizes="2,16,4",
        weights="float[2,3,4] p, int64[2] k",
    ),
    ("com.microsoft", "Trilu"): Probe("b = com.microsoft.Trilu(a)"),
    ("com.microsoft", "FusedConv"): Probe(
        't = Cos(x) b = com.microsoft.FusedConv<activation = "Relu">(a, w, f, t)',
        sizes="1,16,8,8",
        weights=CONVOLVED,
    ),
    ("com.microsoft.nchwc", "Conv"): Probe(
        "t = Cos(x) b = com.microsoft.nchwc.Conv<kernel_shape = [1, 1]>(a, w, f, t)",
        sizes="1,16,8,8",
        weights=CONVOLVED,
    ),
}
CASTS = ("", "CastLike")
"""A function: ONNX Runtime runs a Cast."""
SHARED = {
    ("", "Reshape"): Probe("b = Reshape(a, s)", weights="int64[2] s = {4, 64}"),
    ("", "Flatten"): Probe("b = Flatten(a)"),
    ("", "Squeeze"): Probe("b = Squeeze(a)", sizes="1,16"),
    ("", "Unsqueeze"): Probe("b = Unsqueeze(a, k)", weights="int64[1] k = {0}"),
    ("", "Identity"): Probe("b = Identity(a)"),
    ("com.microsoft", "ExpandDims"): Probe(
        "b = com.microsoft.ExpandDims(a, k)", weights="int32 k = {0}"
    ),
}
FRESH = [
    *[
        Probe(f"b = {name}(a)")
        for name in (
            *("Neg", "Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Erf"),
            *("Sum", "Max", "Min", "Mean", "Dropout", "Transpose"),
            *("com.microsoft.Gelu", "com.microsoft.QuickGelu", "com.microsoft.FastGelu"),
        )
    ],
    *[
        Probe(f"b = {name}(a, c)", weights="float[16,16] c")
        for name in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "PRelu", "MatMul")
    ],
    Probe("b = Where(m, a, c)", weights="float[16,16] c, bool[16,16] m"),
    Probe("b = Gemm(c, c, a)", weights="float[16,16] c"),
    Probe("b = Concat<axis = 0>(a)"),
    Probe("b = Slice(a, o, e)", weights="int64[2] o = {0, 0}, int64[2] e = {16, 16}"),
    Probe("b = Pad(a, o)", weights="int64[4] o = {0, 0, 0, 0}"),
    Probe("b = Expand(a, e)", weights="int64[2] e = {16, 16}"),
    Probe("b = Tile(a, e)", weights="int64[2] e = {1, 1}"),
    Probe("b = ScatterND(a, j, u)", weights="int64[1,1] j, float[1,16] u"),
    Probe("b = LayerNormalization(a, g)", weights="float[16] g"),
    Probe(
        "b = com.microsoft.SkipLayerNormalization(a, c, g)", weights="float[16,16] c, float[16] g"
    ),
    Probe("b = BatchNormalization(a, g, g, g, g)", weights="float[16] g"),
    Probe("b = InstanceNormalization(a, g, g)", sizes="1,16,4", weights="float[16] g"),
    Probe("b = Cast<to = 11>(a)"),
    Probe("b = Gelu(a)", opset=20),
]


def text(probe: Probe) -> str:
    return f"""<ir_version: 10, opset_import: ["": {probe.opset}, {IMPORTS}]>
    g (float[{probe.sizes}] x) => (float z) <{probe.weights}> {{
        a = Sin(x)
        {probe.node}
        c1 = Abs(b)
        c2 = Cast<to = 1>(c1)
        z = ReduceMax<keepdims = 0>(c2)
    }}"""


def allocates(probe: Probe) -> bool:
    """True when ONNX Runtime allocates the node's output; our plan agrees on every kernel."""
    found = observed(text(probe), opset=probe.opset, reuse=False)
    assert planned(text(probe), opset=probe.opset, reuse=False) == found
    types = [op for op, _ in found]
    at = types.index("Abs") - 1
    return found[at][1] > found[at - 1][1]


@pytest.mark.parametrize("key", TABLE, ids=".".join)
def test_kernels_in_the_table_allocate_nothing(key: tuple[str, str]) -> None:
    assert not allocates(TABLE[key])


@pytest.mark.parametrize("key", SHARED, ids=".".join)
def test_views_allocate_nothing(key: tuple[str, str]) -> None:
    assert not allocates(SHARED[key])


@pytest.mark.parametrize("probe", FRESH, ids=lambda probe: probe.node)
def test_all_others_allocate(probe: Probe) -> None:
    assert allocates(probe)


def test_the_whole_table_is_probed() -> None:
    assert set(IN_PLACE) == {*TABLE, CASTS}
    others = ("Optional", "OptionalGetElement", "BatchNormalization")
    assert set(VIEWS) == {*SHARED, *(("", name) for name in others)}


def test_what_is_read_again_is_not_overwritten() -> None:
    probe = text(Probe("b = Relu(a)")).replace("c1 = Abs(b)", "c0 = Abs(b) c1 = Sub(c0, a)")
    found = observed(probe, reuse=False)
    assert planned(probe, reuse=False) == found
    assert found[1] == ("Relu", 2 * found[0][1])


@pytest.mark.parametrize(
    ("node", "opset"),
    [
        ("b, m = Dropout(a)", 13),
        ("b, m = Dropout(a)", 7),
        ("b, m, s = LayerNormalization(a, g)", 17),
        ("b, m, s, k = com.microsoft.SkipLayerNormalization(a, a, g)", 17),
        ("b, m, v, o, w = BatchNormalization(a, g, g, g, g)", 9),
        ("b, m, v = BatchNormalization<training_mode = 1>(a, g, g, g, g)", 15),
        ("b, i = TopK(a, n)", 17),
    ],
)
def test_outputs_that_are_named_are_allocated(node: str, opset: int) -> None:
    # All but the running statistics of a BatchNormalization, which are those that it was given.
    probe = text(Probe(node, opset=opset, weights="float[16] g, int64[1] n = {16}"))
    assert planned(probe, opset=opset, reuse=False) == observed(probe, opset=opset, reuse=False)
