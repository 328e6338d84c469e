"""This machine as a device: what can be detected, and for the rest a sourced range by CPU family."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, Final

from mlsys_lint.cpu import Cpu, cpu_quota, kernel_flags, memory_bytes, read, read_cpu
from mlsys_lint.devices import HOST, priors, shipped_table
from mlsys_lint.errors import DeviceError
from mlsys_lint.records import Calibration, DeviceProfile, Figure, MemoryLevel, Peak

_MARGIN: Final = 1.1
"""Hard rates exceed the top of a sourced range by this much: the table may lack the fastest part."""
_LANES: Final = (("avx512f", 16), ("avx2", 8), ("avx", 8), ("sve", 8), ("asimd", 4), ("sse2", 4))
"""fp32 lanes of the widest SIMD unit by CPU flag; SVE on servers is 256 bits wide."""
_INT8_FLAGS: Final = frozenset({"amx_int8", "avx512_vnni", "avx_vnni", "asimddp"})


def detect_host(threads: int | None = None, root: Path = Path("/")) -> DeviceProfile:
    """The profile `host`, uncalibrated.

    Args:
        threads: Worker threads; default: physical cores that affinity and quota leave, which is
            ONNX Runtime's own default.
        root: Where /proc and /sys are found (tests).

    Raises:
        DeviceError: fewer threads than one are asked for, or more than the machine has.
    """
    cpu = read_cpu(root)
    usable = max(1, min(cpu.logical, ceil(cpu_quota(root) or cpu.logical)))
    default = max(1, min(cpu.physical, usable))
    count = default if threads is None else threads
    if count < 1:
        raise DeviceError(f"--threads {count}: at least one is needed")
    if count > cpu.logical:
        raise DeviceError(f"--threads {count}: this machine offers {cpu.logical} processors")
    family = _family(cpu)
    efficiency, launch, cited = priors("cpu")
    levels = (*_caches(root, count, cpu, family), _dram(root, family, count))
    return DeviceProfile(
        id=HOST,
        name=cpu.name or family["name"],
        vendor=cpu.vendor,
        kind="cpu",
        runtime="onnxruntime-cpu",
        scope="host",
        threads=count,
        units=cpu.physical,
        vector_lanes=_lanes(cpu.flags),
        peaks=_peaks(cpu, family, min(count, default)),
        memory=levels,
        launch_s=launch,
        efficiency=efficiency,
        sources={
            **cited,
            _SOURCE: f"{family['name']}: {family['source']}",
            "detected": "/proc, /sys",
        },
        notes=f"taken for {family['name']}; clock and bandwidth are estimated "
        "ranges of that family, not read from this machine",
    )


_SOURCE: Final = "cpu-family"


def with_seen_rates(
    profile: DeviceProfile, flop_per_s: Mapping[str, float], bytes_per_s: float
) -> DeviceProfile:
    """The profile with hard rates that leave room above what was measured.

    A hard rate becomes the greater of the detected one and 1.1 x the best seen: the table of CPU
    families may not know this part. Nominal rates stay.

    Args:
        profile: As detected.
        flop_per_s: Best rate seen, by short type name; types without a peak are left out.
        bytes_per_s: Best rate from or to DRAM seen: the largest of read, copy and write.
    """
    peaks = {
        key: replace(peak, hard=max(peak.hard, _MARGIN * flop_per_s.get(peak.dtype, 0.0)))
        for key, peak in profile.peaks.items()
    }
    hard = max(profile.dram.hard_bandwidth or 0.0, _MARGIN * bytes_per_s)
    dram = replace(profile.dram, hard_bandwidth=hard)
    return replace(profile, peaks=peaks, memory=(*profile.memory[:-1], dram))


def other_machine(calibration: Calibration, root: Path = Path("/")) -> str | None:
    """Why a calibration is not one of this machine, in words; None when it may be."""
    cpu = read_cpu(root)
    if calibration.cpu not in (cpu.name, _family(cpu)["name"]):
        return f"calibrated on {calibration.cpu}, this machine has {cpu.name or 'another CPU'}"
    if calibration.flags != kernel_flags(cpu):
        return "calibrated with other instruction sets than this machine offers"
    return None


def _family(cpu: Cpu) -> Mapping[str, Any]:
    for row in shipped_table("cpu_families.toml")["family"]:
        if "vendor" in row and row["vendor"] != cpu.vendor:
            continue
        if not _within(cpu.family, row.get("families")) or not _within(
            cpu.model, row.get("models")
        ):
            continue
        found: Mapping[str, Any] = row
        return found
    raise DeviceError("cpu_families.toml: the last row must match every CPU")


def _within(value: int, bounds: Sequence[int] | None) -> bool:
    return bounds is None or bounds[0] <= value <= bounds[1]


def _lanes(flags: frozenset[str]) -> int | None:
    return next((lanes for flag, lanes in _LANES if flag in flags), None)


def _peaks(cpu: Cpu, family: Mapping[str, Any], cores: int) -> dict[tuple[str, str], Peak]:
    """FLOP per cycle and core x clock x cores; a SIMD unit that is switched off counts half.

    A path that is faster than the SIMD units (`hard_flop`) may be taken for every type.
    """
    flop = family["flop"]
    flops: Sequence[float] = [flop] * 3 if isinstance(flop, int) else flop
    lanes = _lanes(cpu.flags)
    if lanes is not None and lanes < 16 and flop == 64:  # 2 x 16 lanes x FMA need AVX-512
        flops = [4 * lanes] * 3
    rates = {"fp32": flops, "fp64": [one / 2 for one in flops]}
    if "int8" in family and cpu.flags & _INT8_FLAGS:
        rates["int8"] = [family["int8"]] * 3
    clocks = [ghz * 1e9 for ghz in family["clock_ghz"]]
    clock = _hard_clock(family)
    faster = max(1.0, family.get("hard_flop", 0) / flops[2])
    spans = {
        dtype: [clock * one * cores for clock, one in zip(clocks, rate, strict=True)]
        for dtype, rate in rates.items()
    }
    return {
        ("vector", dtype): Peak(
            engine="vector",
            dtype=dtype,
            dense=_range(span),
            hard=max(span[2], rates[dtype][2] * faster * clock * cores),
        )
        for dtype, span in spans.items()
    }


def _hard_clock(family: Mapping[str, Any]) -> float:
    """Hz that no core exceeds: that of the data sheet, else the range's top with a margin."""
    ghz = family.get("hard_ghz", family["clock_ghz"][2] * _MARGIN)
    return float(ghz) * 1e9


def _range(values: Sequence[float]) -> Figure:
    low, value, high = values
    return Figure(value=value, low=low, high=high, source=_SOURCE, status="approximation")


def _dram(root: Path, family: Mapping[str, Any], cores: int) -> MemoryLevel:
    """Bandwidth of T cores: T times what one can pull, at most what the socket has."""
    core, socket = family["core_gbs"], family["socket_gbs"]
    values = [min(cores * one, all_of) * 1e9 for one, all_of in zip(core, socket, strict=True)]
    return MemoryLevel(
        level="dram",
        capacity_bytes=memory_bytes(root),
        bandwidth=_range(values),
        hard_bandwidth=values[2] * _MARGIN,
    )


def _caches(
    root: Path, threads: int, cpu: Cpu, family: Mapping[str, Any]
) -> tuple[MemoryLevel, ...]:
    """Data caches within reach of T threads: one of each a thread, at most what there is.

    Threads sit on cores of their own, spread over the groups that share a cache: the most they can
    have, as floors need it. Both hardware threads of a core are one sharer. The nearest one's hard
    rate is what the ports in front of it pass.
    """
    ways = max(1, cpu.logical // cpu.physical)
    found: dict[str, int] = {}
    for index in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level = read(index / "type").strip(), read(index / "level").strip()
        size = re.fullmatch(r"(\d+)K", read(index / "size").strip())
        if kind == "Instruction" or size is None or not level:
            continue
        sharers = _listed(read(index / "shared_cpu_list").strip())
        groups = min(threads, ceil(cpu.physical / max(1, sharers // ways)))
        found[f"l{level}"] = int(size.group(1)) * 1024 * groups
    ports = family.get("port_bytes")
    rate = ports * _hard_clock(family) * min(threads, cpu.physical) if ports else None
    return tuple(
        MemoryLevel(level=name, capacity_bytes=size, hard_bandwidth=rate if name == "l1" else None)
        for name, size in sorted(found.items())
    )


def _listed(text: str) -> int:
    """Number of processors in a list such as `0-3,8`."""
    count = 0
    for part in text.split(","):
        if span := re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip()):
            first, last = int(span[1]), int(span[2] or span[1])
            count += max(0, last - first + 1)
    return count
