"""MLS201 gemv-shaped-matmul: matrix products that are vector products in disguise.

## What it does

Reports, once per device, the MatMul and Gemm kernels with at most 4 rows or 4 columns in the
result whose intensity is far below the device's ridge.

## Why it matters

A product of one vector and a K x N matrix of fp32 does 2 FLOPs for each 4-byte element it reads:
0.5 FLOP/byte. It takes as long as reading the matrix takes, and the matrix engine idles.

## Example

`y = MatMul (x, w)` with x float[1,4096] and w float[4096,4096]: 33.6 MFLOP, 67.1 MB read, which
is 0.5 FLOP/byte. An A100 needs 9.6 FLOP/byte to be busy with fp32 vectors.

## Use instead

Batches, where requests can wait for each other: a batch of 8 reads the weights once, not 8 times.
Weights in fewer bits, which shorten the read itself. For token-by-token decoding, several
sequences at once or speculative decoding.

## Limits

There is no saving in the finding: a batch raises throughput, not the speed of one request, and how
far depends on the traffic. Products whose both operands change from run to run (attention over a
cache) share nothing in a batch; the finding's advice tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mlsys_lint import Contraction, Hit, KernelReport, ModelReport, Rule, Severity, formatting
from mlsys_lint.records import DeviceReport
from mlsys_lint_plugins.rules import times

MAX_ROWS: Final = 4
"""Four rows use a 4-byte weight for 8 FLOPs: 2 FLOP/byte, under the ridge of every device that we
list; the lowest, a Raspberry Pi 5, has 9 for fp32."""

FAR_BELOW: Final = 0.25
"""Of the ridge: the roofline then caps the kernel at a quarter of the peak."""

MIN_SHARE: Final = 0.01
"""Of the latency: less is within the 1 to 3 % by which runs on a quiet machine differ."""

_CLASSES: Final = frozenset({"gemm", "gemv", "batched_matmul"})


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device on which such kernels take noticeable time."""
    for device in report.devices:
        found = [entry for entry in device.kernels if _gemv_shaped(entry)]
        part = times.share(device, found)
        if found and (part is None or part >= MIN_SHARE):
            yield _hit(device, found, part)


def _gemv_shaped(entry: KernelReport) -> bool:
    product = _product(entry)
    return (
        entry.kernel.kernel_class in _CLASSES
        and product is not None
        and min(product.m, product.n) <= MAX_ROWS
        and times.below_ridge(entry, FAR_BELOW)
    )


def _product(entry: KernelReport) -> Contraction | None:
    """The kernel's largest contraction."""
    return max(entry.kernel.cost.contractions, key=lambda one: one.macs, default=None)


def _hit(device: DeviceReport, found: Sequence[KernelReport], part: float | None) -> Hit:
    top = times.largest(found)
    cost = top.kernel.cost
    moved = formatting.size(cost.bytes_read + cost.bytes_written)
    work = f"{moved} moved for {formatting.count(cost.flops)} FLOPs, {_intensity(top)}"
    many = len(found) > 1
    what = f"{len(found)} products like {_shape(top)}" if many else f"product {_shape(top)}"
    return Hit(
        message=f"{what}{times.share_words(part)}: {'the largest has ' * many}{work}",
        node=top.kernel.nodes[0],
        device=device.profile.id,
        help=_advice(found),
    )


def _shape(entry: KernelReport) -> str:
    product = _product(entry)
    return f"{product.m} x {product.k} by {product.k} x {product.n}" if product else ""


def _intensity(entry: KernelReport) -> str:
    place = entry.placement
    return (
        f"{formatting.significant(place.intensity or 0)} F/B where the ridge is "
        f"{formatting.significant(place.ridge or 0)}"
    )


def _advice(found: Sequence[KernelReport]) -> str:
    read = sum(entry.kernel.cost.bytes_read for entry in found)
    if 2 * sum(entry.kernel.cost.weight_bytes for entry in found) >= read:
        return (
            "batch requests, which raises throughput: a batch of 8 reads the weights once, not 8 "
            "times; or store the weights in fewer bits, which shortens the read"
        )
    return "the operands change from run to run, so a batch shares nothing; move fewer bits"


RULE: Final = Rule(
    code="MLS201",
    name="gemv-shaped-matmul",
    severity=Severity.INFO,
    check=check,
    doc=__doc__ or "",
)
