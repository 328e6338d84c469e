"""Nodes that left the GPU, and copies.

`profile.json` was recorded with onnxruntime-gpu 1.31.1 on stand-ins for CUDA's libraries whose
functions all succeed: its times mean nothing, its placement is that of the real runtime. The model:

    a = MatMul(x, w)  h = Hardmax(a)  t = Selu(h)  u = Celu(a)  z = Neg(u)
    s = Shape(a)  b = Slice(s, zero, one)  c = Mul(b, two)  sh = Concat(c, two)  y = Reshape(t, sh)

Hardmax and Celu have no kernel on CUDA (docs/OperatorKernels.md of microsoft/onnxruntime); Slice, Mul
and Concat have one, and are left on the CPU as they compute the shape from `s`, which is there.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlsys_lint.measure.activation import node_events
from mlsys_lint.measure.cuda_placement import copies, fallbacks, not_executed

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def _runs() -> list[list[Any]]:
    text = (Path(__file__).parent / "profile.json").read_text(encoding="utf-8")
    return [list(run) for run in node_events(json.loads(text))]


def test_fallbacks_are_told_from_arithmetic_on_sizes() -> None:
    assert [(one["op_type"], one["nodes"], one["benign"]) for one in fallbacks(_runs(), CUDA)] == [
        ("Celu", ["Celu_8"], False),
        ("Hardmax", ["Hardmax_1"], False),
        ("Concat", ["Concat_6"], True),
        ("Mul", ["Mul_5"], True),
        ("Slice", ["Slice_4"], True),
    ]
    assert {one["provider"] for one in fallbacks(_runs(), CUDA)} == {CPU}


def test_copies_are_listed_with_their_share() -> None:
    _, second = _runs()
    total = sum(event["dur"] for event in second)
    # Copies of `a` to the host, and of `h` and `u` back.
    to_host = next(event["dur"] for event in second if event["name"].startswith("Memcpy_token_1"))
    back = [event["dur"] for event in second if event["args"]["op_name"] == "MemcpyFromHost"]
    assert copies([second]) == [
        {
            "op_type": "MemcpyFromHost",
            "nodes": ["Memcpy", "Memcpy_token_0"],
            "time_fraction": sum(back) / total,
        },
        {
            "op_type": "MemcpyToHost",
            "nodes": ["Memcpy_token_1"],
            "time_fraction": to_host / total,
        },
    ]


def test_a_container_does_not_count_beside_its_body() -> None:
    def event(op_type: str, dur: int) -> dict[str, Any]:
        return {"name": f"{op_type}_kernel_time", "dur": dur, "args": {"op_name": op_type}}

    # The loop's 10 us enclose the 4 + 4 of its body.
    run = [event("Loop", 10), event("MemcpyToHost", 4), event("Add", 4)]
    assert [one["time_fraction"] for one in copies([run])] == [4 / 8]
    assert copies([[event("Add", 0)]]) == []
    assert copies([[event("MemcpyToHost", 0)]])[0]["time_fraction"] is None


def _event(op_type: str, inputs: list[Any], outputs: list[Any]) -> dict[str, Any]:
    shapes = {"input_type_shape": inputs, "output_type_shape": outputs}
    return {
        "name": f"{op_type}_kernel_time",
        "dur": 1,
        "args": {"op_name": op_type, "provider": CPU, **shapes},
    }


def _benign(op_type: str, inputs: list[Any], outputs: list[Any]) -> bool:
    (found,) = fallbacks([[_event(op_type, inputs, outputs)]], CUDA)
    return bool(found["benign"])


def test_what_counts_as_a_size() -> None:
    assert _benign("Shape", [{"float16": [8, 512, 512]}], [{"int64": [3]}])  # reads no data
    assert _benign("Gather", [{"int64": [3]}, {"int64": []}], [{"int64": []}])
    assert _benign("Div", [{"float": [4]}, {"float": [4]}], [{"float": [4]}])  # scales of a Resize
    assert not _benign("Hardmax", [{"float": [4, 4]}], [{"float": [4, 4]}])
    assert not _benign("Gather", [{"int64": [101]}, {"int64": []}], [{"int64": []}])
    assert not _benign("Add", [{"float16": [4]}, {"float16": [4]}], [{"float16": [4]}])


def test_without_shapes_in_the_profile_nothing_is_benign() -> None:
    event = {"name": "A_kernel_time", "dur": 1, "args": {"op_name": "A", "provider": CPU}}
    assert fallbacks([[event]], CUDA)[0]["benign"] is False


def test_nodes_that_were_given_to_the_cpu_and_did_not_run_are_named() -> None:
    def part(provider: str, op_type: str) -> Any:
        node = SimpleNamespace(op_type=op_type)
        return SimpleNamespace(ep_name=provider, get_nodes=lambda: [node])

    parts = [part(CUDA, "MatMul"), part(CPU, "Celu"), part(CPU, "Det")]
    session = SimpleNamespace(get_provider_graph_assignment_info=lambda: parts)
    assert not_executed(session, CUDA, fallbacks(_runs(), CUDA)) == ["Det"]
    assert not_executed(SimpleNamespace(), CUDA, []) == []  # a release that does not tell
