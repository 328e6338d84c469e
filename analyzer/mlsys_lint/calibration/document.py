"""A calibrated profile as readable TOML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from mlsys_lint.records import (
    Calibration,
    DeviceProfile,
    Figure,
    KernelModel,
    MemoryLevel,
    Peak,
    Quantity,
)

QuantityOf: TypeAlias = Callable[[str], Quantity | None]

_HEAD: Final = """\
# A machine's profile, written by `mlsys-lint calibrate`. Use it: mlsys-lint MODEL --device FILE
#
# Time of a kernel = sum over the terms of its class of s x amount; s is in seconds per unit, fitted
# to `cases` kernels of micro-networks. `scatter` and `shift` are standard deviations of
# log(measured / predicted) for networks that took no part in the fit: of a kernel, and of what
# the kernels of a class have in common within one network.
"""


def to_toml(profiles: Sequence[DeviceProfile], quantity: QuantityOf) -> str:
    """One file for several numbers of threads, a table for each.

    Args:
        profiles: Calibrated, one for each number of threads.
        quantity: (term) -> what it counts, for the comments.
    """
    lines = [_HEAD]
    for profile in sorted(profiles, key=lambda one: one.threads or 1):
        lines += _profile(profile, quantity)
    return "\n".join(lines) + "\n"


def _profile(profile: DeviceProfile, quantity: QuantityOf) -> Iterator[str]:
    top = f"threads.{profile.threads}"
    yield f"[{top}]"
    yield "schema = 1"
    for name in ("id", "name", "vendor", "kind", "runtime", "scope", "notes"):
        if value := getattr(profile, name):
            yield f"{name} = {_text(value)}"
    for name in ("threads", "units", "vector_lanes"):
        if (count := getattr(profile, name)) is not None:
            yield f"{name} = {count}"
    for peak in profile.peaks.values():
        yield from _peak(peak, top)
    for level in profile.memory:
        yield from _level(level, top)
    yield f"\n[{top}.sources]"
    for key, citation in profile.sources.items():
        yield f"{_text(key)} = {_text(citation)}"
    if profile.calibration is not None:
        yield from _calibration(profile.calibration, f"{top}.calibration", quantity)


def _peak(peak: Peak, top: str) -> Iterator[str]:
    yield f"\n[[{top}.peak]]"
    yield f"engine = {_text(peak.engine)}"
    yield f"dtype = {_text(peak.dtype)}"
    yield _figure("dense", peak.dense).replace(", ", "\n")
    yield f"hard = {peak.hard!r}"


def _level(level: MemoryLevel, top: str) -> Iterator[str]:
    yield f"\n[[{top}.memory]]"
    yield f"level = {_text(level.level)}"
    if level.capacity_bytes is not None:
        yield f"bytes = {level.capacity_bytes}"
    if level.bandwidth is not None:
        hard = level.hard_bandwidth or level.bandwidth.high
        yield f"bw = {{ {_figure('v', level.bandwidth)}, hard = {hard!r} }}"
    elif level.hard_bandwidth is not None:
        yield f"hard = {level.hard_bandwidth!r}"


def _figure(key: str, figure: Figure) -> str:
    return (
        f"{key} = {figure.value!r}, low = {figure.low!r}, high = {figure.high!r}, "
        f"source = {_text(figure.source)}, status = {_text(figure.status)}"
    )


def _calibration(calibration: Calibration, top: str, quantity: QuantityOf) -> Iterator[str]:
    yield f"\n[{top}]"
    for name in ("runtime", "version", "cpu"):
        yield f"{name} = {_text(getattr(calibration, name))}"
    yield f"threads = {calibration.threads}"
    yield f"flags = [{', '.join(map(_text, calibration.flags))}]"
    yield f"left_out = [{', '.join(map(_text, calibration.left_out))}]"
    yield f"noise = [{', '.join(map(_text, calibration.noise))}]  # empty on a quiet machine"
    yield f"seconds = {calibration.seconds:.1f}  # that the calibration took"
    yield f"run_s = {calibration.run_s!r}  # of a run, besides its kernels"
    yield f"drift = {calibration.drift!r}  # deviation that a whole model has in common"
    rates = ", ".join(f"{name} = {rate!r}" for name, rate in calibration.flop_per_s.items())
    yield f"flop_per_s = {{ {rates} }}  # the best that a kernel reached"
    if calibration.bytes_per_s is not None:
        yield f"bytes_per_s = {calibration.bytes_per_s!r}"
    for name, model in calibration.classes.items():
        yield from _class(model, f"{top}.class.{_text(name)}", quantity)


def _class(model: KernelModel, top: str, quantity: QuantityOf) -> Iterator[str]:
    yield f"\n[{top}]"
    yield f"kernels = {model.kernels}"
    yield f"scatter = {model.scatter!r}"
    yield f"shift = {model.shift!r}"
    for term, seconds in model.parameters.items():
        known = quantity(term)
        unit = f"s/{known.unit}" if known else "s"
        table = f"{{ s = {seconds!r}, unit = {_text(unit)}, cases = {model.cases[term]} }}"
        yield f"term.{term} = {table}" + (f"  # {known.meaning}" if known else "")


def _text(value: str) -> str:
    """A basic string of TOML."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    kept = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in escaped)
    return f'"{kept}"'
