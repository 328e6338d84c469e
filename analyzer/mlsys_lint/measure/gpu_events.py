"""GPU kernels in ONNX Runtime's profiles.

A build with CUPTI (onnxruntime_ENABLE_CUDA_PROFILING, off by default and in the packages on PyPI:
those of 1.31.1 do not refer to CUPTI at all) writes, behind the event of a node, one event for each
kernel and copy that the node launched: `cat` is `Kernel`, `pid` and `tid` are -1, `dur` is GPU time
in whole microseconds, `args.parent_name` is the name of the node's event. Sources, in
microsoft/onnxruntime: include/onnxruntime/core/common/gpu_profiler_common.h (MergeEvents),
core/providers/cuda/cupti_manager.cc (ProcessActivityBuffers), pull requests 8406 and 9567.

Without them the `dur` of a node is the time that the host needed to launch its kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Event = Mapping[str, Any]

NO_GPU_TIMES: Final = (
    "this build of ONNX Runtime records no GPU kernel times (it was built without CUPTI): its node "
    "times are those of launches on the host, so only totals are compared"
)
LARGEST_LOSS: Final = 0.05
"""Share of GPU time without a node above which times of nodes are not taken for the truth."""
_CUDA: Final = "CUDAExecutionProvider"


def has_gpu_times(events: Sequence[Event]) -> bool:
    """True when the build recorded kernels."""
    return any(event.get("cat") == "Kernel" for event in events)


def with_gpu_times(events: Sequence[Event]) -> list[Event]:
    """The events without kernels; a node on the GPU lasts as long as the kernels that it launched.

    Nodes on the CPU keep their time, and nodes on the GPU that launch nothing (views) get 0.

    Args:
        events: A profile with GPU times, in the order of the file.
    """
    kept: list[dict[str, Any]] = []
    latest: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.get("cat") == "Kernel":
            parent = latest.get(event["args"].get("parent_name", ""))
            if parent is not None and parent.get("cat") == "Node":
                parent["dur"] += event["dur"]
            continue
        copy = dict(event)
        if event.get("cat") == "Node" and event["args"].get("provider") == _CUDA:
            copy["dur"] = 0
        kept.append(copy)
        latest[event["name"]] = copy
    return list(kept)


def lost_fraction(events: Sequence[Event]) -> float:
    """Share of GPU time that carries no node's name: the profiler joins them by their microsecond."""
    nodes = {event["name"] for event in events if event.get("cat") == "Node"}
    kernels = [event for event in events if event.get("cat") == "Kernel"]
    total = sum(event["dur"] for event in kernels)
    lost = sum(event["dur"] for event in kernels if event["args"].get("parent_name") not in nodes)
    return lost / total if total else 0.0


def doubts(events: Sequence[Event]) -> list[str]:
    """Why the times of nodes on a GPU can't be used; empty: they can."""
    if not has_gpu_times(events):
        return [NO_GPU_TIMES]
    lost = lost_fraction(events)
    if lost > LARGEST_LOSS:
        return [
            (
                f"{lost:.0%} of the GPU time in ONNX Runtime's profile carries no node's name, so only "
                "totals are compared"
            )
        ]
    return []
