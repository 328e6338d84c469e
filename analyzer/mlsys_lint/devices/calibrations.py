"""The [calibration] table of a profile: written by `calibrate`, read with the profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlsys_lint.errors import DeviceError
from mlsys_lint.records import Calibration, KernelModel


def read_calibration(table: Any, place: str) -> Calibration:
    """The record that a table holds.

    Raises:
        DeviceError: a key is missing or no number; the message names it.
    """
    try:
        return Calibration(
            runtime=str(table["runtime"]),
            version=str(table["version"]),
            threads=int(table["threads"]),
            cpu=str(table["cpu"]),
            flags=tuple(map(str, table["flags"])),
            run_s=_seconds(table["run_s"]),
            drift=_seconds(table["drift"]),
            classes={name: _class(one) for name, one in table["class"].items()},
            flop_per_s={name: float(rate) for name, rate in table["flop_per_s"].items()},
            bytes_per_s=table.get("bytes_per_s"),
            left_out=tuple(map(str, table["left_out"])),
            noise=tuple(map(str, table["noise"])),
            seconds=_seconds(table["seconds"]),
        )
    except KeyError as error:
        raise DeviceError(f"{place}: [calibration]: {error.args[0]} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DeviceError(f"{place}: [calibration]: {error}; calibrate again") from error


def doubts_of(calibration: Calibration | None) -> tuple[str, ...]:
    """What a calibration says against itself."""
    if calibration is None or not calibration.noise:
        return ()
    return (f"calibrated on a noisy machine: {'; '.join(calibration.noise)}",)


def _class(table: Mapping[str, Any]) -> KernelModel:
    terms = table["term"]
    return KernelModel(
        parameters={name: _seconds(one["s"]) for name, one in terms.items()},
        cases={name: int(one["cases"]) for name, one in terms.items()},
        kernels=int(table["kernels"]),
        scatter=_seconds(table["scatter"]),
        shift=_seconds(table["shift"]),
    )


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise ValueError(f"{value!r} is no number of 0 or more")
    return float(value)


def chosen(document: Mapping[str, Any], threads: int | None, place: str) -> Mapping[str, Any]:
    """The table of a number of threads in a file that has one for each; a plain profile is itself.

    Args:
        document: The whole file.
        threads: As `--threads` names it; None: the only one, else the largest.
        place: Where the file stands, for messages.

    Raises:
        DeviceError: there is no table for so many threads.
    """
    tables = document.get("threads")
    if not isinstance(tables, Mapping):
        return document
    counts = _counts(tables, place)
    count = counts[-1] if threads is None else threads
    if count not in counts:
        listed = ", ".join(map(str, counts))
        raise DeviceError(
            f"{place}: calibrated for {listed} threads, not for {count}; calibrate with "
            f"--threads {count}, or name one of these"
        )
    found: Mapping[str, Any] = tables[str(count)]
    return found


def _counts(tables: Mapping[str, Any], place: str) -> Sequence[int]:
    if not tables or not all(key.isdecimal() for key in tables):
        raise DeviceError(f"{place}: [threads] must hold tables named by a number of threads")
    return sorted(map(int, tables))
