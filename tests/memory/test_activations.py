"""What a report says of the activations: the peak, its tensors, every step; derived by hand."""

from __future__ import annotations

from memory.observed import PLAIN, graph, program
from mlsys_lint.memory import peak_activations
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Activations, HeldTensor, MemoryStep, Runtime
from mlsys_lint.testing import check_text
from mlsys_lint_plugins.reporters.json import document

U = 8192  # a float[8,256]
NONE = PluginHost(third_party=False).runtimes["none"]
WAITING = """g (float[8,256] x) => (float[8] y) <int64[2] o = {0, 0}, int64[2] e = {8, 256}> {
    a = Sin(x) b = Concat<axis = 0>(a, a) c = Concat<axis = 0>(b, b) d = Slice(c, o, e)
    y = ReduceMax<axes = [1], keepdims = 0>(d)
}"""


def activations(text: str, runtime: Runtime = PLAIN) -> Activations:
    found = peak_activations(program(text), runtime)
    assert found is not None
    return found


def test_a_buffer_that_waits_is_idle_at_the_peak() -> None:
    # a's buffer waits for d while b and c are there.
    found = activations(WAITING)
    assert (found.nbytes, found.node, found.least_nbytes) == (7 * U, 2, 6 * U)
    assert [(one.name, one.nbytes, one.node, one.idle) for one in found.tensors] == [
        *(("c", 4 * U, 2, False), ("b", 2 * U, 1, False), ("a", U, 0, True))
    ]
    assert found.tensors[0] == HeldTensor(
        name="c", dtype="float", shape=(32, 256), nbytes=4 * U, node=2, idle=False
    )


def test_steps_tell_what_is_held_and_what_is_left() -> None:
    found = activations(WAITING)
    held = [(step.held_bytes, step.kept_bytes) for step in found.steps]
    assert held == [(U, U), (3 * U, 3 * U), (7 * U, 5 * U), (5 * U, U), (U + 32, 32)]
    assert found.steps[1] == MemoryStep(
        nodes=(1,), op="ai.onnx::Concat", held_bytes=3 * U, kept_bytes=3 * U
    )


def test_without_a_planner_nothing_waits() -> None:
    found = activations(WAITING, NONE)
    assert found.nbytes == found.least_nbytes == 6 * U
    assert [one.name for one in found.tensors] == ["c", "b"]


def test_without_a_planner_what_nobody_reads_is_freed_at_once() -> None:
    # a p q; p c; c y
    text = graph(
        "a = Sin(x) p, q = Split<axis = 0>(a, s) c = Concat<axis = 0>(p, p) y = Sin(c)"
    ).replace("{ a", "<int64[2] s = {4, 4}> { a", 1)
    assert [step.held_bytes for step in activations(text, NONE).steps] == [
        *(U, 2 * U, U // 2 + U, 2 * U)
    ]


def test_without_a_runtime_no_kernel_works_in_place() -> None:
    text = graph("a = Sin(x) b = Relu(a) c = Sin(b) y = Add(c, x)")
    assert activations(text, NONE).nbytes == 2 * U
    held = [step.held_bytes for step in activations(text, NONE).steps]
    assert held == [U, 2 * U, 2 * U, 2 * U]
    assert [step.held_bytes for step in activations(text).steps][1] == U


def test_a_buffer_has_the_name_of_the_value_that_lives_there() -> None:
    # At the peak (c), c lives in a's buffer, b in its own; of equals the older buffer comes first.
    found = activations(graph("a = Sin(x) b = Sin(a) c = Sin(b) d = Add(c, b) y = Sin(d)"))
    assert found.nbytes == 3 * U
    assert [(one.name, one.node) for one in found.tensors] == [("c", 2), ("b", 1), ("d", 3)]


def test_at_most_ten_tensors_are_named() -> None:
    values = " ".join(f"v{number} = Sin(x)" for number in range(14))
    names = ", ".join(f"v{number}" for number in range(14))
    found = activations(graph(f"{values} y = Sum({names})"))
    assert len(found.tensors) == 10
    assert found.nbytes == 15 * U


def test_an_empty_graph_holds_nothing() -> None:
    found = activations("g (float[4] x) => (float[4] x) { }")
    assert found == Activations(nbytes=0, node=None, least_nbytes=0)


def test_the_peak_of_a_body_names_its_tensors_and_those_around_it() -> None:
    # The second trip: a, counter and condition, the q before, p and q.
    text = """g (float[256] x) => (float[256] y) <int64 n = {2}, bool t = {1}> {
        a = Sin(x)
        y = Loop (n, t, a) <body = step (int64 i, bool go, float[256] h)
            => (bool on, float[256] q) { on = Identity(go) p = Sin(h) q = Sin(p) }>
    }"""
    found = activations(text)
    assert found.nbytes == 4 * 1024 + 9
    assert [one.name for one in found.tensors] == ["a", "q", "p", "q"]
    assert [step.op for step in found.steps] == [
        *("ai.onnx::Sin", "ai.onnx::Sin", "ai.onnx::Sin", "ai.onnx::Identity", "ai.onnx::Loop")
    ]


def test_the_json_report_lists_steps_and_tensors() -> None:
    device = document(check_text(WAITING, opset=17, device="i7-12700k"))["devices"][0]
    assert device["peak_activation_bytes"] == 7 * U
    assert device["least_activation_bytes"] == 6 * U
    assert device["peak_node"] == 2
    assert [one["held_bytes"] for one in device["memory_timeline"]] == [
        *(U, 3 * U, 7 * U, 5 * U, U + 32)
    ]
    assert device["peak_tensors"][2] == {
        "name": "a",
        "dtype": "float",
        "shape": [8, 256],
        "bytes": U,
        "node": 0,
        "idle": True,
    }
