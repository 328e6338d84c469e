"""MLS302 fits-only-with-checkpointing: a training step fits a device if activations are computed again.

## What it does

Compares, on each device, the tensors of a training step with its memory: as asked for, and with
activation checkpointing by the `sqrt` policy.

## Why it matters

Activations grow with the batch and the sequence and are often most of what training holds. Keeping
only those at the ends of segments trades them for one more forward pass of all segments but the
last (Chen et al., arXiv:1604.06174).

## Example

`mlsys-lint model.onnx --training --batch 64 --device nv-l4` for a network whose activations are
30 GB, and 8 GB with checkpoints.

## Use instead

`--checkpointing sqrt` here shows the step; torch.utils.checkpoint and its relatives run it. A smaller
micro-batch with accumulation holds less too, at no more work.

## Limits

Only the tensors of the step are counted: weights, gradients, optimizer states and activations. A
framework, its allocator and its kernels take memory of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity, formatting


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device that holds the step only with checkpoints."""
    step = report.training
    if step is None or step.total_bytes is None or step.sqrt_total_bytes is None:
        return
    for device in report.devices:
        capacity = device.capacity_bytes
        if capacity is None or not step.sqrt_total_bytes <= capacity < step.total_bytes:
            continue
        work = step.forward_flops + step.backward_flops + step.update_flops
        again = (step.sqrt_recompute_flops or 0) / work if work else 0.0
        yield Hit(
            message=f"a training step holds {formatting.size(step.total_bytes)} of "
            f"{formatting.size(capacity)}; with checkpoints {formatting.size(step.sqrt_total_bytes)}, "
            f"for {formatting.percent(again)} more work",
            device=device.profile.id,
            saving_bytes=step.total_bytes - step.sqrt_total_bytes,
            help="train with activation checkpointing (--checkpointing sqrt), or accumulate over "
            "smaller batches",
        )


RULE: Final = Rule(
    code="MLS302",
    name="fits-only-with-checkpointing",
    severity=Severity.WARNING,
    check=check,
    doc=__doc__ or "",
)
