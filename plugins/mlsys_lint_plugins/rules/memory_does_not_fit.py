"""MLS301 memory-does-not-fit: a device's memory is smaller than what the model is expected to take.

## What it does

Compares, on each device, the expected memory of one run (or of a training step) with the memory
that the device has, and names what takes most of it.

## Why it matters

The allocation fails, or the operating system ends the process: there is no slow path.

## Example

A model with 13.5 GB of weights on a GPU with 8 GB.

## Use instead

Fewer bits for what is largest: `--precision int8` and `int4` show what weights would take. A smaller
batch or input where activations are largest; `--max-batch` finds the largest batch that fits.

## Limits

The expected figure, not the low end of its interval: a model close to the limit may fit after all.
Other processes on the device are not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity, formatting
from mlsys_lint.records import DeviceReport


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device that the model does not fit."""
    for device in report.devices:
        memory, capacity = device.memory_bytes, device.capacity_bytes
        if device.fits is not False or memory is None or capacity is None:
            continue
        yield Hit(
            message=f"needs {formatting.size(memory.expected)} of {formatting.size(capacity)}"
            f"{_largest(device)}",
            device=device.profile.id,
            help="take fewer bits (--precision shows what they save) or a smaller batch "
            "(--max-batch searches it)",
        )


def _largest(device: DeviceReport) -> str:
    items = device.memory_items
    if not items:
        return ""
    name = max(items, key=lambda one: items[one])
    return f", {formatting.size(items[name])} of it {name.replace('_', ' ')}"


RULE: Final = Rule(
    code="MLS301",
    name="memory-does-not-fit",
    severity=Severity.WARNING,
    check=check,
    doc=__doc__ or "",
)
