"""Gates, hyper-connections, hashes, transforms and distances: against their parts, loops, hand derivations."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from mlsys_lint import NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text, model_from_text
from mlsys_lint_plugins.ops.msft_math import sparse_product

Array = npt.NDArray[np.float64]


def estimated(text: str) -> tuple[NodeCost, ...]:
    return estimate_text("g " + text.replace(" .", " com.microsoft."))


def cost_of(text: str) -> OpCost:
    (found,) = estimated(text)
    assert found.cost is not None, found.reason
    return found.cost


def work(text: str) -> tuple[int, int, int]:
    """(MACs, operations, transcendentals) of all nodes."""
    costs = [one.cost for one in estimated(text)]
    assert all(costs)
    return (
        sum(one.macs for one in costs if one),
        sum(one.vector_ops for one in costs if one),
        sum(one.transcendentals for one in costs if one),
    )


STREAMS = "float[2,3,4,5] x, float[4,5] s"
COMPOSED = [
    # an operator, and nodes that compute the same; scalars are spelled without cost
    (
        f"({STREAMS}) => (float y) {{ y = .BranchwiseRMSNorm(x, s) }}",
        "(float[2,3,4,5] x, float[5] s) => (float y) { y = RMSNormalization(x, s) }",
    ),
    (
        "(float[2,3,8] x, float[4] s, float[2,3,8] g) => (float y) { y = .GatedRMSNorm(x, s, g) }",
        (
            "(float[2,3,2,4] x, float[4] s, float[2,3,2,4] g) => (float y)"
            " { n = RMSNormalization(x, s) t = Sigmoid(g) a = Mul(g, t) y = Mul(n, a) }"
        ),
    ),
    (
        '(float[6,8] x, float[8] s, float[6,8] g) => (float y) { y = .GatedRMSNorm<activation="sigmoid">(x, s, g) }',
        (
            "(float[6,8] x, float[8] s, float[6,8] g) => (float y)"
            " { n = RMSNormalization(x, s) a = Sigmoid(g) y = Mul(n, a) }"
        ),
    ),
    (
        "(float[6,8] x, float[6,8] z, float[6,3] g, float[3,1] w) => (float y) { y = .GatedAdd(x, z, g, w) }",
        (
            "(float[6,8] x, float[6,8] z, float[6,3] g, float[3,1] w) => (float y)"
            " { p = MatMul(g, w) s = Sigmoid(p) m = Mul(z, s) y = Add(x, m) }"
        ),
    ),
    (
        "(float[6,8] x) => (float y) { y = .ScaledSiLU<alpha=2.0>(x) }",
        "(float[6,8] x, float a) => (float y) { z = Mul(a, x) s = Sigmoid(z) y = Mul(z, s) }",
    ),
    (
        "(float[6,8] x, float[6,8] z) => (float y) { y = .SwiGLU<limit=7.0, activation_alpha=1.7, activation_beta=1.0>(x, z) }",
        (
            "(float[6,8] x, float[6,8] z, float a) => (float y) { g = Min(x, a) m = Neg(a) l = Clip(z, m, a)"
            " h = Mul(g, a) s = Sigmoid(h) t = Mul(g, s) o = Add(l, a) y = Mul(t, o) }"
        ),
    ),
    (
        "(float[6,4,5] x, float[6,4] g) => (float y) { y = .HyperConnectionPreMix<reduction_scale=0.5>(x, g) }",
        "(float[6,4,5] x, float[6,1,4] g, float a) => (float y) { s = MatMul(g, x) y = Mul(s, a) }",
    ),
    (
        "(float[6,4,5] x, float[6,4,5] g) => (float y) { y = .HyperConnectionPreMix(x, g) }",
        '(float[6,4,5] x, float[6,4,5] g) => (float y) { y = Einsum<equation="nch,nch->nh">(g, x) }',
    ),
    (
        "(float[6,4,5] x, float[6,5] o, float[6,4,1] g, float[6,4,4] m) => (float y) { y = .HyperConnectionPostMix(x, o, g, m) }",
        (
            "(float[6,4,5] x, float[6,1,5] o, float[6,4,1] g, float[6,4,4] m) => (float y)"
            " { s = MatMul(m, x) p = Mul(g, o) y = Add(s, p) }"
        ),
    ),
    (
        (
            "(float[6,20] x, float[20] s, float[20,3] d, float[3,20] u, float[20,4] i) => (float y, float z)"
            " { y, z = .HyperConnectionLowRankMix<num_branches=4, gate_div=2.0, gate_mul=2.0, reduction_scale=0.5>(x, s, d, u, i) }"
        ),
        (
            "(float[6,4,5] x, float[5] s, float[20,3] d, float[3,20] u, float[20,4] i, float[6,20] f, float[6,4,5] k, float a)"
            " => (float y, float z) { n = RMSNormalization(x, s) p = MatMul(f, d) q = .ScaledSiLU(p)"
            ' t = MatMul(q, u) g = Sigmoid(t) w = Einsum<equation="nch,nch->nh">(n, k) y = Mul(w, a)'
            " e = MatMul(f, i) b = Div(e, a) c = Sigmoid(b) z = Mul(c, a) }"
        ),
    ),
    (
        (
            "(float[2,3,4,5] k, float[2,3,4,5] q, float[2,3,5] v, float[4,5] a, float[4,5] b, float[4,5] c)"
            " => (float y, float z) { y, z = .EngramGate(k, q, v, a, b, c) }"
        ),
        (
            "(float[24,5] k, float[24,5] q, float[24,5] v, float[5] a, float s) => (float y, float z)"
            ' { m = RMSNormalization(k, a) n = RMSNormalization(q, a) d = Einsum<equation="nh,nh->n">(m, n)'
            " e = Div(d, s) f = Abs(e) g = Max(f, s) h = Sqrt(g) i = Sign(e) j = Mul(i, h) o = Sigmoid(j)"
            " w = Unsqueeze(o, t) y = Mul(w, v) z = RMSNormalization(y, a) }"
        ),
    ),
    (
        "(float[2,4,3,6] x, float[6] g) => (float y) { y = .GroupNorm<groups=2, activation=1>(x, g, g) }",
        (
            "(float[2,6,4,3] x, float[6] g) => (float y)"
            " { n = GroupNormalization<num_groups=2>(x, g, g) s = Sigmoid(n) y = Mul(n, s) }"
        ),
    ),
    (
        "(float[2,4,3,6] x, float[6] g) => (float y, float s) { y, s = .SkipGroupNorm<groups=2, activation=0>(x, g, g, x, g) }",
        (
            "(float[2,6,4,3] x, float[6] g, float[6,1,1] b) => (float y) { t = Add(x, x) s = Add(t, b)"
            " y = GroupNormalization<num_groups=2>(s, g, g) }"
        ),
    ),
    (
        "(float[2,3,4] a, float[4] d, float[2,3,4] b) => (float y, float z) { y, z = .LinearAttentionGate(a, d, d, b) }",
        (
            "(float[2,3,4] a, float[4] d, float[2,3,4] b) => (float y, float z)"
            " { s = Add(a, d) p = Softplus(s) y = Mul(d, p) z = Sigmoid(b) }"
        ),
    ),
    (
        "(float16[2,3,4] a, float[4] d) => (float16 y) { y = .LinearAttentionGate(a, d, d) }",
        (
            "(float16[2,3,4] a, float[4] d) => (float16 y)"
            " { f = Cast<to=1>(a) s = Add(f, d) p = Softplus(s) m = Mul(d, p) y = Cast<to=10>(m) }"
        ),
    ),
]


@pytest.mark.parametrize(("whole", "parts"), COMPOSED)
def test_an_operator_counts_as_its_parts(whole: str, parts: str) -> None:
    constant = "<int64[1] t = {1}> { "
    found = work(parts.replace("{ ", constant, 1) if "Unsqueeze" in parts else parts)
    if "Neg(a)" in parts:  # the lower bound, a scalar
        found = (found[0], found[1] - 1, found[2])
    assert work(whole) == found


def test_gates_that_compute_in_float_convert_other_types() -> None:
    # 12 results of two halves: 3 conversions, and 2 of a gate that is rounded on the way.
    gate = "(float16[2,12] x) => (float16 y) {{ y = .SwiGLU<round_activation={}>(x) }}"
    assert work(gate.format(0)) == (0, 12 * (3 + 3), 12)
    assert work(gate.format(1)) == (0, 12 * (3 + 3 + 2), 12)
    # 24 elements, 6 rows: 4 and an epsilon, product and SiLU; x, gate and result.
    norm = "(float16[6,4] x, float16[4] s) => (float16 y) { y = .GatedRMSNorm(x, s, x) }"
    assert work(norm) == (0, 24 * (4 + 2 + 3) + 6, 24 + 6)
    plain = "(float16[6,2,2] x) => (float16 y) { y = .BranchwiseRMSNorm(x) }"
    assert work(plain) == (0, 24 * (3 + 2) + 12, 12)


def test_the_scale_of_a_result_that_nobody_asks_for_is_not_read() -> None:
    inputs = "float[6,4,5] k, float[6,5] v, float[4,5] s, float[4,5] c"
    text = f"({inputs}) => (float y) {{ y = .EngramGate(k, k, v, s, s, c) }}"
    assert cost_of(text).bytes_read == 4 * (120 + 30 + 20)


@pytest.mark.parametrize(
    ("more", "each"),
    [
        # 3 tokens: 2 + 3 products, 1 + 2 ors, 2 modulos
        ("", 10),
        (", , o", 12),  # an offset for each of 2 hashes
        (", , , e", 10 + 2 * 3),  # 2 earlier ids: comparison with EOS, or, selection
        (", , , , s", 10 + 2 * 3),  # comparison of segments, or, selection
        (", , , e, s", 10 + 2 * 5),
    ],
)
def test_hashes(more: str, each: int) -> None:
    inputs = "int64[1,3] x, int64[3] m, int64[2] v, int64[2] o, int64 e, int32[1,3] s"
    attributes = "max_ngram_size=3, n_head_per_ngram=1, pad_id=0, reset_on_eos=1"
    text = f"({inputs}) => (int64 y) {{ y = .NGramHashMapping<{attributes}>(x, m, v{more}) }}"
    assert work(text) == (0, 3 * each, 0)


def eliminated(matrix: Array) -> tuple[Array, int]:
    """Gauss-Jordan elimination in place, and the operations that it takes."""
    a, n, count = matrix.copy(), len(matrix), 0
    for pivot in range(n):
        scale = 1 / a[pivot, pivot]
        count += 1
        for column in set(range(n)) - {pivot}:
            a[pivot, column] *= scale
            count += 1
        for row in set(range(n)) - {pivot}:
            head = a[row, pivot]
            for column in set(range(n)) - {pivot}:
                a[row, column] -= head * a[pivot, column]
                count += 2
            a[row, pivot] = -head * scale
            count += 1
        a[pivot, pivot] = scale
    return a, count


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_an_inverse_is_an_elimination(n: int) -> None:
    matrix = np.random.default_rng(n).uniform(-1, 1, (n, n)) + n * np.eye(n)
    found, count = eliminated(matrix)
    assert np.allclose(found, np.linalg.inv(matrix))
    text = f"(float[5,{n},{n}] x) => (float y) {{ y = .Inverse(x) }}"
    assert work(text) == (0, 5 * count, 0)


@pytest.mark.ort
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_distances_are_norms_less_a_product(metric: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    draw = np.random.default_rng(1)
    a, b = draw.uniform(-1, 1, (4, 3)), draw.uniform(-1, 1, (5, 3))
    y, macs, ops = np.zeros((4, 5)), 0, (4 + 5) * (3 + 2)
    for i, j in product(range(4), range(5)):
        dot = 0.0
        for k in range(3):
            dot += a[i, k] * b[j, k]
            macs += 1
        y[i, j] = abs((a[i] @ a[i] + b[j] @ b[j]) + -2 * dot)
        ops += 4
    text = f'(double[4,3] a, double[5,3] b) => (double y) {{ y = .CDist<metric="{metric}">(a, b) }}'
    model = model_from_text("g " + text.replace(" .", " com.microsoft."), 17).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    roots = metric == "euclidean"
    assert np.allclose(session.run(None, {"a": a, "b": b})[0], np.sqrt(y) if roots else y)
    assert work(text) == (macs, ops, 20 * roots)


def test_other_metrics_are_declined() -> None:
    (found,) = estimated('(float[4,3] a) => (float y) { y = .CDist<metric="cosine">(a, a) }')
    assert found.status is NodeStatus.DECLINED


def test_transforms_over_several_axes() -> None:
    # 3 signals of 4 x 8. Along the last axis 4 real transforms of 8: 5 * 8 * 3 / 2 = 60; along the
    # other one a complex transform of 4 for each of 5 frequencies: 5 * 4 * 2 = 40.
    each = 4 * 60 + 5 * 40
    assert work("(float[3,4,8] x) => (float y) { y = .Rfft<signal_ndim=2>(x) }") == (0, 3 * each, 0)
    inverse = work("(float[3,4,5,2] x) => (float y) { y = .Irfft<signal_ndim=2>(x) }")
    assert inverse == (0, 3 * each + 96, 0)


def test_windows_that_leave_gaps_read_what_they_hold() -> None:
    # Windows of 2 at 0, 3, 6 of 8 positions: 6 of them are read, 2 floats each.
    found = cost_of("(float[8,2] x) => (float y) { y = .UnfoldTensor<dim=0, size=2, step=3>(x) }")
    assert (found.bytes_read, found.bytes_written) == (48, 3 * 2 * 2 * 4)


def test_what_a_stored_matrix_leaves_out_is_not_multiplied() -> None:
    # 3 of 12 elements are stored: 3 * 5 MACs; 3 values and indices, B of 60 bytes.
    text = "(float[3,5] b) => (float y) { y = .SparseToDenseMatMul<transA=1, alpha=2.0>(a, b) }"
    values = onnx.helper.make_tensor("a", onnx.TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    indices = onnx.helper.make_tensor("i", onnx.TensorProto.INT64, [3], [0, 5, 9])
    stored = onnx.helper.make_sparse_tensor(values, indices, [3, 4])
    model = model_from_text(
        "g "
        + text.replace(" .", " com.microsoft.").replace(
            "(float[3,5] b)", "(float[3,4] a, float[3,5] b)"
        ),
        17,
    )
    del model.graph.input[0]
    model.graph.sparse_initializer.append(stored)
    node = analysed(model)
    found = sparse_product(node.node)
    assert node.status is NodeStatus.EXACT
    assert node.cost == found
    assert (found.macs, found.vector_ops) == (15, 20)
    assert (found.bytes_read, found.weight_bytes) == (3 * 12 + 60, 3 * 12)
    assert node.parameters == 3


def analysed(model: onnx.ModelProto) -> NodeCost:
    from pathlib import Path

    from mlsys_lint.analysis import analyse
    from mlsys_lint.loading import prepare
    from mlsys_lint.plugin_host import PluginHost
    from mlsys_lint.shapes import Bindings

    (found,) = analyse(
        prepare(model, Path("text.onnx")), PluginHost(third_party=False), Bindings()
    ).costs
    return found
