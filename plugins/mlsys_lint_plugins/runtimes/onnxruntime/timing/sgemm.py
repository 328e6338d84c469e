"""Terms of a single precision matrix product, after the loops of mlas.

Source: microsoft/onnxruntime, core/mlas/lib/sgemm.cpp, x86_64/FgemmKernelAvx512FCommon.h and
SgemmKernelM1Avx.S. B is taken in panels of 128 columns by 256 rows where it was packed while the
model was loaded; otherwise in panels of 64 KiB that are packed first. All rows of A pass by a panel,
12 at a time (AVX2: 6), and meet two vectors of its columns in registers. C is read and written once
for each panel along k. One row of an unpacked product goes through B without registers for C.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil, gcd
from typing import Final

from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

_PACKED_ROWS: Final = 256
_PANEL: Final = 128
_GRANULE: Final = 16
"""Columns that packing lays side by side, and by which threads divide the columns."""
_THREAD_MACS: Final = 65536
_IN_FLIGHT: Final = 8
"""Multiply-adds that a core must have under way to be busy: 2 units, 4 cycles."""

_SPAN: Final = 4096
"""Bytes after which addresses fall into the same set of the nearest cache: 64 lines of 64."""
_WAYS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`batch` products of [m, k] by [k, n].

    Attributes:
        packed: B is a constant matrix that was laid out when the model was loaded.
        trans_a, trans_b: The operand is stored transposed.
        scaled: A factor other than 1 applies.
        biased: C holds a bias before.
    """

    batch: int = 1
    m: int
    n: int
    k: int
    packed: bool = False
    trans_a: bool = False
    trans_b: bool = False
    scaled: bool = False
    biased: bool = False

    @property
    def is_vector(self) -> bool:
        """One row, or one column that lies in one piece, against an unpacked matrix."""
        if self.packed or self.scaled:
            return False
        return (self.m == 1 and not self.trans_a) or (
            self.n == 1 and not self.trans_b and not self.trans_a
        )


def threads_of(product: Product, machine: Machine) -> int:
    """Threads that work on it."""
    return min(machine.threads, product.batch * _parts(product, machine))


def _parts(product: Product, machine: Machine) -> int:
    """Pieces that each product of a batch is cut into."""
    wanted = min(machine.threads, product.m * product.n * product.k // _THREAD_MACS + 1)
    each = ceil(wanted / product.batch)
    most = ceil(product.n / _GRANULE) if product.n > product.m else product.m
    return min(each, most)


def share_of(product: Product, machine: Machine) -> Product:
    """What the thread with most work does."""
    parts = _parts(product, machine)
    batch = ceil(product.batch * parts / machine.threads)
    if product.n > product.m:
        columns = ceil(ceil(product.n / _GRANULE) / parts) * _GRANULE
        return replace(product, batch=batch, n=min(columns, product.n))
    return replace(product, batch=batch, m=ceil(product.m / parts))


def product_terms(product: Product, machine: Machine) -> dict[str, float]:
    """Terms of the thread with most work; memory beyond the operands' panels is not in them."""
    share = share_of(product, machine)
    found = Counter(_vector(share) if share.is_vector else _blocked(share, machine))
    found = Counter({name: amount * share.batch for name, amount in found.items() if amount})
    if product.batch > 1:
        found["product"] = share.batch
    if threads_of(product, machine) > 1:
        found["fork"] = 1
    return dict(found)


def row_blocks(rows: int, lanes: int) -> Iterable[tuple[int, int]]:
    """(rows, how many) of the blocks that the rows of A are cut into."""
    full = 12 if lanes >= 16 else 6
    if rows >= full:
        yield full, rows // full
    left = rows % full
    if left > 6:
        yield 6, 1
        left -= 6
    if left:
        yield left, 1


def column_blocks(columns: int, panel: int, lanes: int) -> Mapping[int, int]:
    """Vectors of columns in a block -> how many such blocks."""
    found: Counter[int] = Counter()
    for width, count in ((panel, columns // panel), (columns % panel, 1)):
        pairs, left = divmod(width, 2 * lanes)
        found[2] += count * (pairs + (left > lanes))
        found[1] += count * (0 < left <= lanes)
    return found


def panel_of(product: Product) -> tuple[int, int]:
    """(columns, rows) of a panel of B."""
    columns, rows = _PANEL, _PANEL
    if product.packed:
        return columns, _PACKED_ROWS
    if product.n >= product.k:
        while rows // 2 >= product.k:
            columns, rows = columns * 2, rows // 2
    elif not product.trans_a:
        while columns > _GRANULE and columns // 2 >= product.n:
            columns, rows = columns // 2, rows * 2
    return columns, rows


def _blocked(product: Product, machine: Machine) -> dict[str, float]:
    columns, rows = panel_of(product)
    passes = ceil(product.k / rows)
    panels = ceil(product.n / columns)
    crowded = _crowded(product)
    stored = stall = fma = blocks = conflict = 0
    for height, high in row_blocks(product.m, machine.lanes):
        for width, wide in column_blocks(product.n, columns, machine.lanes).items():
            count = high * wide
            fma += count * height * width * product.k
            stall += count * max(0, _IN_FLIGHT - height * width) * product.k
            conflict += count * height * product.k * (height > crowded)
            blocks += count * passes
            stored += count * height * width * passes
    found: dict[str, float] = {
        "flop": 2 * fma * machine.lanes,
        "stall": stall,
        "block": blocks,
        "output": stored,
        "conflict": conflict,
        **_again(product, panels, passes, machine),
    }
    if product.trans_a:
        found["transpose"] = product.m * product.k * panels
    if not product.packed:
        packed = ceil(product.n / _GRANULE) * _GRANULE * product.k
        found["pack_transposed" if product.trans_b else "pack"] = packed
    return found


def _crowded(product: Product) -> int:
    """Rows of A that the nearest cache can hold at once: those that share its sets compete."""
    if product.trans_a:
        return product.m
    return _WAYS * _SPAN // gcd(4 * product.k, _SPAN)


def _vector(product: Product) -> dict[str, float]:
    """B times a row: rows of B are added up in memory, or its columns multiplied one by one."""
    down = product.trans_b if product.m == 1 else not product.trans_a
    length = product.n if product.m == 1 else product.m
    macs = float(length * product.k)
    return {"dot": macs, "dots": length} if down else {"axpy": macs, "axpys": ceil(product.k / 4)}


def _again(product: Product, panels: int, passes: int, machine: Machine) -> dict[str, float]:
    """Bytes of A and C that later panels find beyond the private caches.

    A is read whole for each panel of columns. C is read for each panel of rows but the first, which
    finds it only where a bias lies there already: that was written for all columns.
    """
    a, c = 4 * product.m * product.k, 4 * product.m * product.n
    panel = c / panels + a / passes
    found: dict[str, float] = {}
    for nbytes, times, distance in (
        (a, panels - 1, a + c / panels),
        (c, passes - 1, panel),
        (c, int(product.biased), c),
    ):
        for level in ("l3", "dram"):
            share = machine.shares(distance)[level]
            found[f"again_{level}"] = found.get(f"again_{level}", 0.0) + times * nbytes * share
    return {name: amount for name, amount in found.items() if amount}
