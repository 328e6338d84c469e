"""Every node model of onnx's backend tests goes through the optimizers of every runtime."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend_nodes import cases, loaded
from mlsys_lint.analysis import analyse
from mlsys_lint.execution import execute
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.program import Program
from mlsys_lint.shapes import Bindings

HOST = PluginHost(third_party=False)


@pytest.mark.slow
def test_no_rule_stumbles() -> None:
    faults = []
    for case in cases():
        analysis = analyse(loaded(case, frozenset()), HOST, Bindings(strict=False))
        for runtime in HOST.runtimes.values():
            problems = execute(analysis, HOST, runtime, None).problems
            faults += [f"{case.name}: {one.message}" for one in problems]
    assert faults == []


def test_a_runtime_that_raises_is_a_problem_and_nodes_run_as_they_stand() -> None:
    def stumble(program: Program) -> None:
        del program
        raise KeyError("no such operator")

    analysis = analyse(loaded(cases()[0], frozenset()), HOST, Bindings(strict=False))
    broken = replace(HOST.runtimes["onnxruntime-cpu"], name="broken", rewrite=stumble)
    execution = execute(analysis, HOST, broken, None)
    (problem,) = execution.problems
    assert (problem.stage, problem.plugin) == ("rewrite", "broken")
    assert "no such operator" in problem.message
    assert len(execution.program.ops) == len(analysis.graph.nodes)
