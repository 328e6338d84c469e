"""MLS305 optimizer-states-dominate: what the optimizer remembers is most of a training step's memory.

## What it does

Reports a training step in which optimizer states and master weights are the largest part of the
memory, before weights, gradients and activations, with what other optimizers would save.

## Why it matters

Adam keeps two numbers for each weight; with half-precision weights and states of 32 bits they are
four times the weights. That memory is the same at every batch size.

## Example

`mlsys-lint llama.onnx --training --optimizer adam`: 27 GB of states beside 13.5 GB of weights.

## Use instead

States in 8 bits (arXiv:2110.02861), factored second moments (Adafactor, arXiv:1804.04235), one
moment (Lion, arXiv:2302.06675), low-rank projections (GaLore, arXiv:2403.03507), or sharding the
states over devices.

## Limits

Bytes only: whether a model trains as well with another optimizer is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity, formatting

NAMED: Final = ("adam-8bit", "adafactor", "lion", "galore")
"""Optimizers that adapt their rates, and that a model trained with Adam can be moved to."""


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit when nothing else of the step's memory is larger than optimizer states."""
    step = report.training
    if step is None or not step.total_bytes:
        return
    kept = step.optimizer_state_bytes + step.master_weight_bytes
    if kept <= max(step.weight_bytes, step.gradient_bytes, step.activation_bytes or 0):
        return
    savings = {
        name: step.optimizer_state_bytes - step.alternatives[name]
        for name in NAMED
        if step.alternatives.get(name, step.optimizer_state_bytes) < step.optimizer_state_bytes
    }
    listed = ", ".join(f"{name} saves {formatting.size(saved)}" for name, saved in savings.items())
    yield Hit(
        message=f"states of {step.optimizer} and master weights are {formatting.size(kept)}, "
        f"{formatting.percent(kept / step.total_bytes)} of a training step's memory",
        saving_bytes=max(savings.values(), default=None),
        help=listed or "shard the states over devices",
    )


RULE: Final = Rule(
    code="MLS305",
    name="optimizer-states-dominate",
    severity=Severity.INFO,
    check=check,
    doc=__doc__ or "",
)
