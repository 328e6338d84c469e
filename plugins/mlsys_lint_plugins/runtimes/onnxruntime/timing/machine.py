"""What a kernel's cost depends on besides the kernel: threads, vector width, caches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log2
from typing import Final

from mlsys_lint.records import DeviceProfile, Touch

_KINDS: Final = {"weight": "weight", "read": "read", "written": "write"}
_SHARED: Final = ("l3", "dram")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A CPU as the terms see it.

    Attributes:
        threads: Worker threads of an operator.
        lanes: fp32 lanes of the SIMD unit, which is the runtime's channel block.
        caches: Capacity in bytes of what one thread reaches, nearest first: l1, l2, l3.
    """

    threads: int = 1
    lanes: int = 8
    caches: Mapping[str, int]

    def shares(self, distance: float) -> Mapping[str, float]:
        """Where data are found that were touched so many bytes ago, as shares that add up to 1.

        A cache holds the last bytes touched up to its capacity, but neither sharply nor wholly:
        half of that is sure, twice that is gone, in between the share falls with the logarithm.
        """
        found: dict[str, float] = {}
        left = 1.0
        for level, capacity in self.caches.items():
            held = min(1.0, max(0.0, (1 - log2(max(distance, 1.0) / capacity)) / 2))
            found[level] = max(0.0, held - (1 - left))
            left = min(left, 1 - held)
        found["dram"] = left
        return found

    def by_level(self, touches: Iterable[Touch]) -> dict[str, float]:
        """Bytes of tensors by the level where they are found."""
        total: dict[str, float] = {}
        for touch in touches:
            for level, share in self.shares(touch.distance).items():
                if share:
                    total[level] = total.get(level, 0.0) + share * touch.nbytes
        return total

    def beyond(self, touches: Iterable[Touch]) -> dict[str, float]:
        """Terms for weights and activations that lie beyond the caches of one core."""
        found: dict[str, float] = {}
        touches = tuple(touches)
        for kind, name in _KINDS.items():
            by_level = self.by_level(touch for touch in touches if touch.kind == kind)
            for level in _SHARED:
                if level in by_level:
                    found[f"{name}_{level}"] = by_level[level]
        return found

    def far(self, touches: Iterable[Touch]) -> dict[str, float]:
        """Bytes beyond the caches of one core by level: of classes with few kernels."""
        return {level: n for level, n in self.by_level(touches).items() if level in _SHARED}


def machine_of(profile: DeviceProfile) -> Machine:
    """The machine of a CPU's profile: what one of its threads reaches of each cache.

    A profile gives the caches within reach of all threads together; only the last level is shared.
    """
    threads = profile.threads or 1
    levels = [one for one in profile.memory[:-1] if one.capacity_bytes]
    caches = {
        one.level: (one.capacity_bytes or 0) // (threads if place < len(levels) - 1 else 1)
        for place, one in enumerate(levels)
    }
    return Machine(threads=threads, lanes=profile.vector_lanes or 8, caches=caches)
