"""Terms of products of integers, and of products with weights of few bits.

Sources: microsoft/onnxruntime, core/mlas/lib/qgemm.h (rows of A are copied into panels again for
every 256 columns; sums of 32 bits are kept in memory between slices of the depth), qgemm_kernel_avx2
.cpp (U8S8 multiplies 4 bytes at a time, U8U8 2), qgemm_kernel_default.cpp (int8 by int8), core/providers/cpu/quantization and contrib_ops/cpu
/quantization (what surrounds the product), core/mlas/lib/sqnbitgemm*.cpp (MatMulNBits).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Final

from mlsys_lint.records import Kernel, NodeView, TensorInfo
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

PRODUCT: Final = "integer_product"
_COLUMNS: Final = 16
_ROWS: Final = 6
_VECTORS: Final = 3
"""Rows of a register block, and vectors of columns."""
_IN_FLIGHT: Final = 8
"""Sums that a core must have under way to be busy: 2 units, 4 cycles."""
_PANEL: Final = 256
"""Columns for which the rows are packed once."""
_SLICE: Final = {True: 384, False: 128}
"""Depth between which sums are kept in memory: of packed and of other weights."""
_THREAD_WORK: Final = 65536
_MATRIX: Final = 2
_INTEGER_ACCURACY: Final = 4
"""Accuracy level of MatMulNBits from which it multiplies integers."""
_SECOND: Final = {
    "QLinearMatMul": 3,
    "QGemm": 3,
    "MatMulInteger": 1,
    "MatMulIntegerToFloat": 1,
    "DynamicQuantizeMatMul": 1,
}
"""Position of the second operand."""
_SCALED: Final = frozenset(_SECOND) - {"MatMulInteger"}
"""Those that turn every sum into a float, or into a byte by way of a float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerProduct:
    """`times` products of bytes (rows, depth) by (depth, columns).

    Attributes:
        group: Bytes of the depth that one instruction multiplies and adds: see `group_of`.
        packed: It was laid out when the model was loaded.
    """

    times: int = 1
    rows: int
    columns: int
    depth: int
    group: int = 4
    packed: bool = True

    def terms(self) -> dict[str, float]:
        """Work in whole register blocks, copies of operands, sums."""
        panels = ceil(self.columns / _COLUMNS)
        steps = self.times * panels * ceil(self.depth / self.group)
        left = self.rows % _ROWS
        found = {
            f"dot{self.group}": float(steps * self.rows),
            "stall": steps / _VECTORS * max(0, _IN_FLIGHT - _VECTORS * left) if left else 0.0,
            "scalar_sum" if self.group == 1 else "sum": (
                self.times * self.rows * self.columns * ceil(self.depth / _SLICE[self.packed])
            ),
            "row": self.times * self.rows * ceil(self.columns / _PANEL),
            "product": self.times,
        }
        if self.group == 1:  # whose second operand is packed in every run, byte by byte
            found["scalar_pack"] = self.times * self.depth * self.columns
        elif not self.packed:
            found["pack_columns"] = self.times * self.depth * panels * _COLUMNS
        return found

    def share(self, threads: int) -> tuple[IntegerProduct, int]:
        """The part of the thread with most work, and the number of threads."""
        work = self.times * self.rows * self.columns * self.depth
        wanted = min(threads, work // _THREAD_WORK + 1)
        if wanted == 1:
            return self, 1
        if self.times >= wanted:
            return replace(self, times=ceil(self.times / wanted)), wanted
        each = ceil(wanted / self.times)
        if self.columns > self.rows:
            columns = ceil(ceil(self.columns / each) / _COLUMNS) * _COLUMNS
            return replace(self, columns=min(columns, self.columns)), wanted
        return replace(self, rows=ceil(self.rows / each)), wanted


def group_of(a: TensorInfo, b: TensorInfo) -> int:
    """Bytes multiplied at a time: uint8 by int8 4, uint8 by uint8 2, int8 by anything 1."""
    if a.dtype == "int8":
        return 1
    return 4 if b.dtype == "int8" else 2


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of a product of integers; None for other operators."""
    view = kernel.view
    if view is None:
        return None
    if view.op_type == "MatMulNBits":
        return "matmul_nbits", _few_bits(kernel, view, machine)
    if view.op_type in _SECOND:
        found = _product(view, machine)
    elif view.op_type == "QAttention":
        found = _attention(view, machine)
    elif view.op_type == "ConvInteger":
        found = _convolution(view, machine)
    else:
        return None
    return PRODUCT, {**found, **machine.far(kernel.touches), "kernel": 1}


def _product(view: NodeView, machine: Machine) -> dict[str, float]:
    a, b = view.input(0), view.input(_SECOND[view.op_type])
    y = view.output().dims
    stacked = b.rank > _MATRIX
    transposed = view.integer("transA", 0) if view.op_type == "QGemm" else 0
    depth = a.dims[0] if transposed else a.dims[-1]
    times = prod(y[:-2]) if stacked else 1
    whole = IntegerProduct(
        times=times,
        rows=prod(y[:-1]) // times,
        columns=y[-1],
        depth=depth,
        group=group_of(a, b),
        packed=b.constant and not stacked,
    )
    share, threads = whole.share(machine.threads)
    found = share.terms()
    if view.op_type in _SCALED:
        found["scaled"] = share.times * share.rows * share.columns
    if view.op_type == "DynamicQuantizeMatMul":
        found["converted"] = whole.rows * whole.depth
    return found | _fork(threads)


def _attention(view: NodeView, machine: Machine) -> dict[str, float]:
    """A product for each image, head and one of query, key and value; then floats."""
    batch, rows, width = view.input(0).dims
    heads = max(1, view.integer("num_heads", 1))
    hidden = view.output().dims[-1]
    each = IntegerProduct(
        times=3 * batch * heads,
        rows=rows,
        columns=hidden // heads,
        depth=width,
        group=group_of(view.input(0), view.input(1)),
    )
    share, threads = each.share(machine.threads)
    used = min(machine.threads, batch * heads)
    images = ceil(batch * heads / used)
    return {
        **share.terms(),
        "scaled": share.times * rows * share.columns,
        "score_flop": 4.0 * images * rows * rows * (hidden // heads),
        **_fork(max(threads, used)),
    }


def _convolution(view: NodeView, machine: Machine) -> dict[str, float]:
    """Patches of bytes are the second operand, filters the first: it is packed in every run."""
    weight, y = view.input(1).dims, view.output().dims
    groups = view.integer("group", 1)
    whole = IntegerProduct(
        times=1,
        rows=y[1] // groups,
        columns=prod(y[2:]),
        depth=prod(weight[1:]),
        group=group_of(view.input(1), view.input(0)),
        packed=False,
    )
    share, threads = whole.share(machine.threads)
    times = y[0] * groups
    patches = times * whole.columns * whole.depth
    expanded = {"patch": patches} if prod(weight[2:]) > 1 else {}
    return {**replace(share, times=times).terms(), **expanded, **_fork(threads)}


def _few_bits(kernel: Kernel, view: NodeView, machine: Machine) -> dict[str, float]:
    """Integers: rows are quantized, then multiplied with blocks of weights as they are unpacked.

    Floats: one row meets weights as they are unpacked; for several, they are unpacked to memory.
    Columns are shared among threads; weights of 2 and 8 bits are taken as those of 4.
    """
    *outer, depth = view.input(0).dims
    rows, columns = prod(outer), view.output().dims[-1]
    threads = min(machine.threads, ceil(columns / _COLUMNS))
    width = ceil(columns / threads)
    found: dict[str, float] = {"output": rows * width}
    if view.integer("accuracy_level", 0) >= _INTEGER_ACCURACY:
        found["dot"] = rows * width * depth
        found["converted"] = rows * depth
    elif rows == 1:
        found |= {"row": width * depth}
    else:
        padded = ceil(width / _COLUMNS) * _COLUMNS
        found |= {"flop": 2.0 * rows * padded * depth, "unpack_float": width * depth}
    return {**found, **machine.far(kernel.touches), "kernel": 1, **_fork(threads)}


def _fork(threads: int) -> dict[str, float]:
    return {"fork": 1} if threads > 1 else {}
