"""Optimizing loses no node and no operation: all of it runs, was folded, or has a reason to be gone."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsys_lint.devices import find_device
from mlsys_lint.loading import load, prepare
from mlsys_lint.pipeline import Analysis, Execution, analyse, execute
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

HOST = PluginHost(third_party=False)
SAMPLES = sorted((Path(__file__).parents[2] / "sample_models").glob("*.onnx"))
RUNTIMES = sorted(HOST.runtimes)


@lru_cache(maxsize=1)
def _analysis(path: Path) -> Analysis:
    return analyse(load(path), HOST, Bindings(strict=False))


def _check(analysis: Analysis, execution: Execution) -> None:
    """Nodes are partitioned; FLOPs of kernels and of what is gone are those of the nodes."""
    costs = analysis.costs
    gone: set[int] = set()
    run: set[int] = set()
    folded: set[int] = set()
    for program in execution.program.walk():
        gone.update(program.eliminated)
        for op in program.ops.values():
            run |= op.members
            folded |= op.folded
    assert not run & gone
    plain = {one.node.index for one in costs if not one.node.container}
    assert plain <= run | gone

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
