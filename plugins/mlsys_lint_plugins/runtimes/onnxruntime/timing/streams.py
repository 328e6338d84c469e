"""Bytes that a kernel streams through, by where it finds them."""

from __future__ import annotations

from collections.abc import Mapping

from mlsys_lint.records import Kernel
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine


def streamed(kernel: Kernel, machine: Machine, *, in_place: bool = False) -> dict[str, float]:
    """`stream_near`, `stream_far` -> bytes read and written in the last cache and in DRAM.

    With `in_place` the result takes the buffer of what is read, and costs nothing more.
    """
    touches = [one for one in kernel.touches if not (in_place and one.kind == "written")]
    found = machine.by_level(touches)
    *_, last = machine.caches
    places = {"near": found.get(last, 0.0), "far": found.get("dram", 0.0)}
    return {f"stream_{place}": nbytes for place, nbytes in places.items() if nbytes}


def hidden(streams: Mapping[str, float], kernel: Kernel) -> float:
    """Share of short arithmetic that hides behind a stream from DRAM."""
    total = sum(one.nbytes for one in kernel.touches)
    return min(1.0, streams.get("stream_far", 0.0) / total) if total else 0.0
