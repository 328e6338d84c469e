from __future__ import annotations

from dataclasses import replace

from mlsys_lint.records import Kernel
from mlsys_lint_plugins.runtimes.onnxruntime.timing.streams import hidden, streamed
from timed_kernels import KIB, kernel, machine, tensor

MIB = KIB * KIB


def copy(nbytes: int, distance: int = 0) -> Kernel:
    one = kernel("Abs", [tensor(nbytes // 4)], tensor(nbytes // 4))
    return replace(one, touches=tuple(replace(touch, distance=distance) for touch in one.touches))


def test_what_was_touched_just_now_is_near() -> None:
    assert streamed(copy(4 * KIB), machine()) == {}


def test_what_no_private_cache_holds_comes_from_the_shared_one() -> None:
    # 4 MiB ago: beyond twice the 1 MiB of a core, below half of the 32 MiB of all.
    assert streamed(copy(MIB, distance=4 * MIB), machine()) == {"stream_near": 2.0 * MIB}


def test_what_no_cache_holds_comes_from_memory() -> None:
    # 64 MiB ago: twice the 32 MiB of the last cache.
    found = streamed(copy(MIB, distance=64 * MIB), machine())
    assert found == {"stream_far": 2.0 * MIB}
    assert hidden(found, copy(MIB)) == 1


def test_in_place_only_what_is_read_counts() -> None:
    assert streamed(copy(MIB, distance=64 * MIB), machine(), in_place=True) == {
        "stream_far": 1.0 * MIB
    }
    assert hidden({}, copy(MIB)) == 0
