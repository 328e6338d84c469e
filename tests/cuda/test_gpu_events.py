"""Profiles with GPU kernels, written from the format that ONNX Runtime's sources define."""

from __future__ import annotations

import json
from typing import Any

from mlsys_lint.measure.activation import node_events
from mlsys_lint.measure.cuda_placement import copies
from mlsys_lint.measure.gpu_events import (
    NO_GPU_TIMES,
    doubts,
    has_gpu_times,
    lost_fraction,
    with_gpu_times,
)

# The lines follow cupti_manager.cc (category, pid, tid, name, ts and dur in us, stream, grid, block)
# and gpu_profiler_common.h (kernels stand behind their node's event, with its op_name and its name
# as parent_name), the nodes those of a real profile. Run 1: host times 24 + 37 + 29 + 5 + 13. GPU:
# MatMul 40 + 3 (split-K and its reduction), copy to the host 6, copy back 5, Neg 2; Celu is on the
# CPU; Reshape launches nothing. Run 2: MatMul 41, Neg 2.
PROFILE = """[
{"cat": "Node", "pid": 9, "tid": 9, "dur": 24, "ts": 100, "ph": "X", "name": "MatMul_0_kernel_time",
 "args": {"op_name": "MatMul", "provider": "CUDAExecutionProvider", "node_index": "0"}},
{"cat": "Kernel", "pid": -1, "tid": -1, "dur": 40, "ts": 130, "ph": "X", "name": "gemm_splitK",
 "args": {"op_name": "MatMul", "parent_name": "MatMul_0_kernel_time", "stream": "7", "grid_x": "4",
          "grid_y": "1", "grid_z": "1", "block_x": "128", "block_y": "1", "block_z": "1"}},
{"cat": "Kernel", "pid": -1, "tid": -1, "dur": 3, "ts": 171, "ph": "X", "name": "splitKreduce",
 "args": {"op_name": "MatMul", "parent_name": "MatMul_0_kernel_time", "stream": "7", "grid_x": "1",
          "grid_y": "1", "grid_z": "1", "block_x": "128", "block_y": "1", "block_z": "1"}},
{"cat": "Node", "pid": 9, "tid": 9, "dur": 37, "ts": 127, "ph": "X", "name": "Memcpy_1_kernel_time",
 "args": {"op_name": "MemcpyToHost", "provider": "CUDAExecutionProvider", "node_index": "5"}},
{"cat": "Kernel", "pid": -1, "tid": -1, "dur": 6, "ts": 175, "ph": "X", "name": "MemcpyDeviceToHost",
 "args": {"op_name": "MemcpyToHost", "parent_name": "Memcpy_1_kernel_time", "stream": "7",
          "grid_x": "-1", "grid_y": "-1", "grid_z": "-1", "block_x": "-1", "block_y": "-1",
          "block_z": "-1"}},
{"cat": "Node", "pid": 9, "tid": 9, "dur": 29, "ts": 184, "ph": "X", "name": "Celu_1_kernel_time",
 "args": {"op_name": "Celu", "provider": "CPUExecutionProvider", "node_index": "1"}},
{"cat": "Node", "pid": 9, "tid": 9, "dur": 5, "ts": 214, "ph": "X", "name": "Memcpy_2_kernel_time",
 "args": {"op_name": "MemcpyFromHost", "provider": "CUDAExecutionProvider", "node_index": "6"}},
{"cat": "Kernel", "pid": -1, "tid": -1, "dur": 5, "ts": 219, "ph": "X", "name": "MemcpyHostToDevice",
 "args": {"op_name": "MemcpyFromHost", "parent_name": "Memcpy_2_kernel_time", "stream": "7",
          "grid_x": "-1", "grid_y": "-1", "grid_z": "-1", "block_x": "-1", "block_y": "-1",
          "block_z": "-1"}},
{"cat": "Node", "pid": 9, "tid": 9, "dur": 13, "ts": 221, "ph": "X", "name": "Neg_2_kernel_time",
 "args": {"op_name": "Neg", "provider": "CUDAExecutionProvider", "node_index": "2"}},
{"cat": "Kernel", "pid": -1, "tid": -1, "dur": 2, "ts": 230, "ph": "X", "name": "UnaryElementWise",
 "args": {"op_name": "Neg", "parent_name": "Neg_2_kernel_time", "stream": "7", "grid_x": "1",
          "grid_y": "1", "grid_z": "1", "block_x": "256", "block_y": "1", "block_z": "1"}},
{"cat": "Node", "pid": 9, "tid": 9, "dur": 4, "ts": 236, "ph": "X", "name": "Reshape_3_kernel_time",
 "args": {"op_name": "Reshape", "provider": "CUDAExecutionProvider", "node_index": "3"}},
{"cat": "Session", "pid": 9, "tid": 9, "dur": 150, "ts": 95, "ph": "X",
 "name": "SequentialExecutor::Execute", "args": {}},
{"cat": "Session", "pid": 9, "tid": 9, "dur": 160, "ts": 90, "ph": "X", "name": "model_run",
 "args": {}},
{"cat": "Node", "pid": 9, "tid": 9, "dur": 20, "ts": 300, "ph": "X", "name": "MatMul_0_kernel_time",
 "args": {"op_name": "MatMul", "provider": "CUDAExecutionProvider", "node_index": "0"}},
{"cat": "Kernel", "pid": -1, "tid": -1, "dur": 41, "ts": 330, "ph": "X", "name": "gemm_splitK",
 "args": {"op_name": "MatMul", "parent_name": "MatMul_0_kernel_time", "stream": "7", "grid_x": "4",
          "grid_y": "1", "grid_z": "1", "block_x": "128", "block_y": "1", "block_z": "1"}},
{"cat": "Node", "pid": 9, "tid": 9, "dur": 9, "ts": 321, "ph": "X", "name": "Neg_2_kernel_time",
 "args": {"op_name": "Neg", "provider": "CUDAExecutionProvider", "node_index": "2"}},
{"cat": "Kernel", "pid": -1, "tid": -1, "dur": 2, "ts": 372, "ph": "X", "name": "UnaryElementWise",
 "args": {"op_name": "Neg", "parent_name": "Neg_2_kernel_time", "stream": "7", "grid_x": "1",
          "grid_y": "1", "grid_z": "1", "block_x": "256", "block_y": "1", "block_z": "1"}},
{"cat": "Session", "pid": 9, "tid": 9, "dur": 90, "ts": 295, "ph": "X", "name": "model_run",
 "args": {}}
]"""


def _events() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(PROFILE)
    return events


def test_a_node_on_the_gpu_lasts_as_long_as_its_kernels() -> None:
    assert has_gpu_times(_events())
    first, second = node_events(with_gpu_times(_events()))
    assert [(event["name"], event["dur"]) for event in first] == [
        ("MatMul_0_kernel_time", 43),  # 40 + 3
        ("Memcpy_1_kernel_time", 6),
        ("Celu_1_kernel_time", 29),  # the host's own work
        ("Memcpy_2_kernel_time", 5),
        ("Neg_2_kernel_time", 2),
        ("Reshape_3_kernel_time", 0),
    ]
    assert [event["dur"] for event in second] == [41, 2]


def test_the_profile_itself_is_left_alone() -> None:
    events = _events()
    with_gpu_times(events)
    assert events == _events()


def test_copies_have_their_share_of_gpu_time() -> None:
    (first, _) = node_events(with_gpu_times(_events()))
    # 43 + 6 + 29 + 5 + 2 + 0 = 85
    assert copies([first]) == [
        {"op_type": "MemcpyFromHost", "nodes": ["Memcpy_2"], "time_fraction": 5 / 85},
        {"op_type": "MemcpyToHost", "nodes": ["Memcpy_1"], "time_fraction": 6 / 85},
    ]


def test_without_kernels_the_times_of_nodes_are_not_used() -> None:
    events = [event for event in _events() if event["cat"] != "Kernel"]
    assert not has_gpu_times(events)
    assert doubts(events) == [NO_GPU_TIMES]
    assert doubts(_events()) == []


def test_kernels_without_a_node_are_lost_and_told() -> None:
    events = _events()
    lost = next(event for event in events if event["name"] == "splitKreduce")
    del lost["args"]["parent_name"]
    # 40 + 3 + 6 + 5 + 2 + 41 + 2 = 99 us on the GPU
    assert lost_fraction(events) == 3 / 99
    assert doubts(events) == []
    lost["dur"] = 11  # of 107
    assert doubts(events) == [
        (
            "10% of the GPU time in ONNX Runtime's profile carries no node's name, so only totals are "
            "compared"
        )
    ]


def test_kernels_of_the_session_belong_to_no_node() -> None:
    events = _events()
    events.insert(0, {"cat": "Session", "name": "model_run", "ts": 1, "dur": 5, "args": {}})
    events.insert(
        1, {"cat": "Kernel", "name": "k", "ts": 2, "dur": 1, "args": {"parent_name": "model_run"}}
    )
    assert with_gpu_times(events)[0]["dur"] == 5
    assert lost_fraction(events) == 1 / 100
