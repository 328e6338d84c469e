"""Optimizing loses no node and no operation: all of it runs, was folded, or has a reason to be gone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsys_lint.analysis import Analysis, analyse
from mlsys_lint.devices import find_device
from mlsys_lint.execution import Execution, execute
from mlsys_lint.fusion import certain_nodes, kernels_of
from mlsys_lint.loading import load, prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

HOST = PluginHost(third_party=False)
SAMPLES = sorted((Path(__file__).parents[2] / "sample_models").glob("*.onnx"))
RUNTIMES = sorted(HOST.runtimes)
INLINED = {"ai.onnx::HardSwish", "ai.onnx::Mish"}
"""Without a kernel: several operators stand for one node, with as much work as its definition."""


@lru_cache(maxsize=1)
def _analysis(path: Path) -> Analysis:
    return analyse(load(path), HOST, Bindings(strict=False))


def _fates(execution: Execution) -> tuple[set[int], Counter[int], set[int]]:
    """Nodes that are gone; how many operators each of the others is part of; those folded."""
    gone: set[int] = set()
    runs: Counter[int] = Counter()
    folded: set[int] = set()
    for program in execution.program.walk():
        gone.update(program.eliminated)
        for op in program.ops.values():
            runs.update(op.members)
            folded |= op.folded
    return gone, runs, folded


def _repeated(analysis: Analysis, runs: Counter[int]) -> set[str]:
    """Types of the nodes that are part of several operators."""
    return {analysis.costs[index].node.op for index, count in runs.items() if count > 1}


def _check(analysis: Analysis, execution: Execution) -> None:
    """Nodes are partitioned; FLOPs of kernels and of what is gone are those of the nodes."""
    costs = analysis.costs
    gone, runs, folded = _fates(execution)
    assert not runs.keys() & gone
    assert folded <= runs.keys()
    assert _repeated(analysis, runs) <= INLINED
    containers = {one.node.index for one in costs if one.node.container}
    assert (runs.keys() | gone) - containers == set(range(len(costs))) - containers

    def flops(index: int) -> int:
        one = costs[index]
        return one.cost.flops * one.node.repeat if one.cost is not None else 0

    executed = sum(one.cost.flops * one.repeat for one in execution.kernels if one.nodes)
    assert executed + sum(map(flops, gone | folded)) == sum(map(flops, range(len(costs))))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_sample_models(path: Path, runtime: str) -> None:
    analysis = _analysis(path)
    _check(analysis, execute(analysis, HOST, HOST.runtimes[runtime], None))


_BLOCKS = st.sampled_from(
    [
        "{o} = Relu({i})",
        "{o} = Sigmoid({i})",
        "{o} = HardSwish({i})",
        "{o} = Conv<pads = [1,1,1,1]>({i}, w)",
        "{o} = BatchNormalization({i}, s, s, s, s)",
        "{o} = Mul({i}, c)",
        "{o} = Add({i}, c)",
        "{o} = Add({i}, {j})",
        "{o} = Mul({i}, {j})",
        "{o} = MaxPool<kernel_shape = [3,3], pads = [1,1,1,1], strides = [1,1]>({i})",
        "{o} = Transpose<perm = [0,1,3,2]>({i})",
        "{o} = Identity({i})",
        "{o} = Softmax({i})",
        "{o} = Gelu({i})",
    ]
)
WEIGHTS = "<float[16,16,3,3] w, float[16] s, float[16,1,1] c>"


@settings(deadline=None, max_examples=60)
@given(
    blocks=st.lists(
        st.tuples(_BLOCKS, st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=9
    ),
    block=st.sampled_from([0, 8, 16]),
)
def test_random_networks(blocks: list[tuple[str, int, int]], block: int) -> None:
    body = []
    for at, (text, first, second) in enumerate(blocks):
        names = [f"v{max(at - back, 0)}" for back in (first % 2, second)]
        body.append(text.format(o=f"v{at + 1}", i=names[0], j=names[1]))
    last = f"v{len(blocks)}"
    text = f"g (float[1,16,8,8] v0) => (float[1,16,8,8] {last}) {WEIGHTS} {{ {' '.join(body)} }}"
    analysis = analyse(prepare(model_from_text(text, 20), Path("random.onnx")), HOST, Bindings())
    profile = replace(find_device("i7-12700k", HOST.devices), vector_lanes=block)
    _check(analysis, execute(analysis, HOST, HOST.runtimes["onnxruntime-cpu"], profile))


# one model of each family of rules
ROOTS = "float root = {1.4142135}, float one = {1.0}, float half = {0.5}"
QUANTIZED = "float s = {0.5}, uint8 z = {128}, int8[16,8,3,3] w, float ws = {0.1}, int8 wz = {0}"
FAMILIES = {
    "gelu": f"""g (float[2,4,8] x) => (float[2,4,8] y) <float[8,8] w, float[8] b, {ROOTS}> {{
        p = MatMul(x, w) q = Add(p, b) d = Div(q, root) e = Erf(d) a = Add(e, one)
        h = Mul(q, a) y = Mul(h, half) }}""",
    "layer_norm": """g (float[2,4,8] x, float[2,4,8] s) => (float[2,4,8] y)
        <float[8] g, float[8] b, float two = {2.0}, float eps = {0.00001}> {
        t = Add(x, s) m = ReduceMean<axes = [-1]>(t) d = Sub(t, m) p = Pow(d, two)
        v = ReduceMean<axes = [-1]>(p) e = Add(v, eps) q = Sqrt(e) n = Div(d, q) k = Mul(n, g)
        y = Add(k, b) }""",
    "products": """g (float[4,8] x) => (float[4,8] y) <float[8,8] w, float[8] b, float[8,8] v> {
        t = MatMul(x, w) a = Add(t, b) r = Relu(a) u = Transpose<perm = [1,0]>(v)
        y = MatMul(r, u) }""",
    "fused_matmul": """g (float[2,4,8] x, float[2,4,8] k) => (float[2,4,4] y)
        <float s = {0.125}> { t = Transpose<perm = [0,2,1]>(k) p = MatMul(x, t) q = Mul(p, s)
        y = Softmax(q) }""",
    "functions": """g (float[1,4,3,3] x) => (float[1,4,3,3] y)
        { a = HardSwish(x) b = Mish(a) y = Exp(b) }""",
    "casts": """g (float16[1,3,8,8] x) => (float16[1,4,6,6] y) <float16[4,3,3,3] w>
        { t = Conv(x, w) y = Relu(t) }""",
    "folding": """g (float[2,3,4] x) => (float[A,B] y)
        <int64 i = {0}, int64[1] axes = {0}, int64[1] rest = {-1}> { s = Shape(x) n = Gather(s, i)
        u = Unsqueeze(n, axes) t = Concat<axis = 0>(u, rest) z = Identity(x) y = Reshape(z, t) }""",
    "duplicates": """g (float[2,8] x) => (float[2,8] y) { a = Exp(x) b = Exp(x)
        c = Transpose<perm = [1,0]>(a) d = Transpose<perm = [1,0]>(c) y = Add(d, b) }""",
    "quantization": f"""g (uint8[1,8,6,6] x) => (uint8[A,B,C,D] y) <{QUANTIZED}> {{
        a = DequantizeLinear(x, s, z) v = DequantizeLinear(w, ws, wz) c = Conv(a, v)
        y = QuantizeLinear(c, s, z) }}""",
    "dynamic_quantization": """g (float[4,8] x) => (float[4,8] y)
        <int8[8,8] w, float s = {0.1}, int8 z = {0}> { q, qs, qz = DynamicQuantizeLinear(x)
        m = MatMulInteger(q, w, qz, z) f = Cast<to = 1>(m) k = Mul(qs, s) y = Mul(f, k) }""",
    "splits": """g (float[2,6,4] x) => (float[2,2,4] y)
        <int64[1] a = {0}, int64[1] b = {2}, int64[1] c = {4}, int64[1] axis = {1}> {
        p = Slice(x, a, b, axis) q = Slice(x, b, c, axis) y = Add(p, q) }""",
    "bodies": """g (bool k, float[1,3,6,6] x) => (float[1,16,4,4] y) <float[16,3,3,3] v> {
        y = If (k) <
            then_branch = t () => (float[1,16,4,4] a) { b = Conv(x, v) a = Relu(b) },
            else_branch = e () => (float[1,16,4,4] c) { d = Conv(x, v) c = HardSwish(d) }
        > }""",
    "convolutions": """g (float[1,3,8,8] x) => (float[A,B,C,D] y)
        <float[4,3,3,3] w, float[4] s, int64[8] p = {0,0,1,1,0,0,1,1}> { t = Pad(x, p)
        c = Conv(t, w) n = BatchNormalization(c, s, s, s, s) y = Relu(n) }""",
    "blocked": """g (float[1,3,6,6] x) => (float[A,B,C,D] y)
        <float[16,3,3,3] v, float[16,16,1,1] w> { a = Conv(x, v) h = HardSwish(a)
        p = GlobalAveragePool(h) c = Conv(p, w) s = Sigmoid(c) m = Mul(h, s)
        y = Transpose<perm = [0,2,3,1]>(m) }""",
}


def _executed(text: str, runtime: str, block: int, opset: int = 17) -> tuple[Analysis, Execution]:
    analysis = analyse(prepare(model_from_text(text, opset), Path("f.onnx")), HOST, Bindings())
    profile = replace(find_device("i7-12700k", HOST.devices), vector_lanes=block)
    return analysis, execute(analysis, HOST, HOST.runtimes[runtime], profile)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("block", [0, 8, 16])
def test_families(family: str, runtime: str, block: int) -> None:
    opset = 18 if "Mish" in FAMILIES[family] else 17
    analysis, execution = _executed(FAMILIES[family], runtime, block, opset)
    assert not execution.problems
    _check(analysis, execution)


def test_a_dequantization_that_several_kernels_do_is_part_of_each() -> None:
    # 0 DequantizeLinear x, 1 that of w, 2 Conv, 3 Quantize, 4 Add, 5 Quantize: x is read twice
    text = f"""g (uint8[1,8,6,6] x) => (uint8[A,B,C,D] y, uint8[A,B,C,D] q) <{QUANTIZED}> {{
        a = DequantizeLinear(x, s, z) v = DequantizeLinear(w, ws, wz) c = Conv(a, v)
        y = QuantizeLinear(c, s, z) e = Add(a, a) q = QuantizeLinear(e, s, z) }}"""
    _, execution = _executed(text, "onnxruntime-cpu", 16)
    gone, runs, _ = _fates(execution)
    assert not gone
    assert runs == {0: 2, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1}


def test_a_part_without_a_formula_loses_no_work() -> None:
    # HardSwish runs as HardSigmoid and Mul; where their formulas were missing, the first of the two
    # would stand for all of the node.
    text = "g (float[2,8] x) => (float[2,8] y) { a = Sin(x) y = HardSwish(a) }"
    analysis = analyse(prepare(model_from_text(text, 17), Path("parts.onnx")), HOST, Bindings())
    program = execute(analysis, HOST, HOST.runtimes["onnxruntime-cpu"], None).program
    kernels = kernels_of(program, analysis.costs, lambda _: None, certain_nodes(analysis.costs))
    assert [one.op for one in kernels] == ["ai.onnx::Sin", "ai.onnx::HardSigmoid"]
    whole = sum(one.cost.flops for one in analysis.costs if one.cost is not None)
    assert sum(one.cost.flops for one in kernels) == whole
