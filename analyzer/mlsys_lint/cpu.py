"""What the operating system tells about the processor and the memory of this machine."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_KERNEL_FLAGS: Final = frozenset(
    {"sse2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"}
    | {"avx512_bf16", "asimd", "asimddp", "sve", "i8mm", "bf16"}
)
_UNLIMITED_BYTES: Final = 2**60


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """What the operating system tells about the processor."""

    vendor: str
    family: int
    model: int
    name: str
    flags: frozenset[str]
    logical: int
    physical: int


def kernel_flags(cpu: Cpu) -> tuple[str, ...]:
    """The instruction sets by which a runtime's kernels are chosen, sorted."""
    return tuple(sorted(cpu.flags & _KERNEL_FLAGS))


def read_cpu(root: Path) -> Cpu:
    """Identity and core counts from /proc/cpuinfo; platform's word where that is missing."""
    text = read(root / "proc/cpuinfo")
    fields: dict[str, str] = {}
    cores: set[tuple[str, str]] = set()
    package, count = "0", 0
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        fields.setdefault(key, value)
        if key == "processor":
            count += 1
        elif key == "physical id":
            package = value
        elif key == "core id":
            cores.add((package, value))
    logical = _affinity(count, root)
    physical = min(len(cores) or logical, logical)
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return Cpu(
        vendor="Apple" if apple else fields.get("vendor_id") or fields.get("CPU implementer", ""),
        family=_integer(fields.get("cpu family")),
        model=_integer(fields.get("model") or fields.get("CPU part")),
        name=fields.get("model name") or fields.get("Model", ""),
        flags=frozenset((fields.get("flags") or fields.get("Features", "")).split()),
        logical=max(1, logical),
        physical=max(1, physical),
    )


def _affinity(listed: int, root: Path) -> int:
    """Processors this process may use; of a foreign root, those that it lists."""
    if root != Path("/"):
        return listed or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path) -> float | None:
    """Processors' worth of time that the cgroup allows (v2 cpu.max, v1 cfs quota); None: no limit."""
    words = read(root / "sys/fs/cgroup/cpu.max").split()
    if len(words) == 2 and words[0] != "max":
        return _share(words[0], words[1])
    quota = read(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").strip()
    period = read(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us").strip()
    return _share(quota, period) if quota and quota != "-1" else None


def _share(quota: str, period: str) -> float | None:
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return None
    return int(quota) / int(period)


def memory_bytes(root: Path) -> int | None:
    """Memory that the machine has, or less where the cgroup limits it."""
    total = re.search(r"MemTotal:\s+(\d+) kB", read(root / "proc/meminfo"))
    limits = [int(total.group(1)) * 1024] if total else []
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = read(root / "sys/fs/cgroup" / name).strip()
        if text.isdecimal() and int(text) < _UNLIMITED_BYTES:
            limits.append(int(text))
    return min(limits, default=None)


def _integer(text: str | None) -> int:
    try:
        return int(text or "0", 0)
    except ValueError:
        return 0


def read(path: Path) -> str:
    """A file of /proc or /sys; empty where it is missing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
