"""Numbers as people read them, and the sizes and times that people write on a command line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from math import floor, log10
from typing import Final

from mlsys_lint.errors import OptionError
from mlsys_lint.records import DeviceReport, Interval, NodeView

UNKNOWN: Final = "-"
"""What stands in a table where a figure is not known; never 0."""

_DIGITS: Final = 3
_PREFIXES: Final = ("", "k", "M", "G", "T", "P", "E")
_TIMES: Final[Mapping[str, float]] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

_DURATION_UNITS: Final[Mapping[str, float]] = {**_TIMES, "min": 60.0}
_BYTE_UNITS: Final[Mapping[str, int]] = {
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", start=1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", start=1)},
}
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+)\s*([a-zµμ]*)", re.IGNORECASE)


def significant(value: float, digits: int = _DIGITS) -> str:
    """A number with that many significant digits, without an exponent; 0 is `0`.

    Digits before the decimal point all stand: 1234 with three digits is `1234`.
    """
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - floor(log10(abs(value))))
    # 9.996 rounds up to 10.00, which has one digit more than was asked for.
    if decimals and abs(round(value, decimals)) >= 10.0 ** (digits - decimals):
        decimals -= 1
    return f"{value:.{decimals}f}"


def count(value: float) -> str:
    """A count with an SI prefix and three digits: `4.09 G`, `25.7 M`, `864`."""
    return _prefixed(value, "", decimals=None)


def size(value: float) -> str:
    """Bytes in powers of 1000 with one decimal: `102.2 MB`, `1.6 MB`, `512 B`."""
    return _prefixed(value, "B", decimals=1)


def _prefixed(value: float, unit: str, *, decimals: int | None) -> str:
    power = 0
    text = f"{value:.0f}"
    # The text decides, not the value: 999,960 bytes are `1.0 MB`, never `1000.0 kB`.
    while float(text) >= 1000 and power < len(_PREFIXES) - 1:
        power += 1
        scaled = value / 1000**power
        text = significant(scaled) if decimals is None else f"{scaled:.{decimals}f}"
    return f"{text} {_PREFIXES[power]}{unit}".rstrip()


def duration(seconds: float, unit: str | None = None) -> str:
    """A time with three digits in the unit that suits it, or in a given one: `19.6 ms`, `180 us`."""
    unit = unit or time_unit(seconds)
    return f"{significant(seconds / _TIMES[unit])} {unit}"


def time_unit(seconds: float) -> str:
    """The largest of s, ms, us and ns in which a time, as printed, is at least 1."""
    for unit, scale in _TIMES.items():
        if float(significant(seconds / scale)) >= 1:
            return unit
    return "s" if seconds == 0 else "ns"


def duration_range(interval: Interval) -> str:
    """The 80 % interval in the unit of the expected time: `18.1 .. 21.9`."""
    scale = _TIMES[time_unit(interval.expected)]
    return f"{significant(interval.low / scale)} .. {significant(interval.high / scale)}"


def quantity(value: float, unit: str) -> str:
    """A time (`s`), a size (`bytes`), or a count of another unit."""
    if unit == "s":
        return duration(value)
    return size(value) if unit == "bytes" else f"{count(value)} {unit}"


def limit(value: float, unit: str) -> str:
    """A limit that a user set, without zeros that they did not write: `25 ms`, `4.3 GB`."""
    return re.sub(r"\.0+(?= )", "", quantity(value, unit))


def percent(fraction: float) -> str:
    """A share: `91 %`, below ten percent with one decimal; what would print as 0 is `< 0.1 %`."""
    value = 100 * fraction
    if 0 < value < 0.05:
        return "< 0.1 %"
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def node_label(node: NodeView) -> str:
    """A node for people: `#31 stage3/conv2`, or `#31 Conv` when it has no name."""
    return f"#{node.index} {node.name or node.op_type}"


def why_no_latency(device: DeviceReport) -> str:
    """Why a device's latency is not known: `no bf16 peak for 12 kernels`."""
    if device.profile.dram.bandwidth is None:
        return "the device's memory bandwidth is not known"
    types = Counter(entry.placement.dtype for entry in device.kernels if entry.time_s is None)
    words = [
        f"no {dtype} peak for {times} kernel{'s' * (times != 1)}"
        for dtype, times in sorted(types.items())
    ]
    return ", ".join(words) or "no kernel has a time"


def parse_duration(text: str, option: str = "duration") -> float:
    """Seconds of a text such as `20ms`.

    :param option: what the text was given for; the error message names it.

    Raises:
        OptionError: it has no unit, is not a number, or is not greater than 0.
    """
    seconds = _quantity(text, _DURATION_UNITS)
    if seconds is None:
        raise OptionError(
            f"{option}: {text!r} is not a duration; write a number greater than 0 and one of "
            f"{', '.join(_DURATION_UNITS)}, such as 20ms"
        )
    return seconds


def parse_bytes(text: str, option: str = "size") -> int:
    """Bytes of a text such as `4GiB` (2^30 each) or `500MB` (10^6 each); capitals do not matter.

    :param option: what the text was given for; the error message names it.

    Raises:
        OptionError: it has no unit, is not a number, or is less than one byte.
    """
    value = _quantity(text, _BYTE_UNITS)
    if value is None or value < 1:
        raise OptionError(
            f"{option}: {text!r} is not a size; write a number greater than 0 and one of B, kB, "
            "MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024), such as 4GiB"
        )
    return round(value)


def _quantity(text: str, units: Mapping[str, float]) -> float | None:
    """Number times unit; None when either is not understood or the result is not positive."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return None
    scale = units.get(match[2].lower().replace("µ", "u").replace("μ", "u"))
    value = float(match[1]) * scale if scale else 0.0
    return value if 0 < value < float("inf") else None
