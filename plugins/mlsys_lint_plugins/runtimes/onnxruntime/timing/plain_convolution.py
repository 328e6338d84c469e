"""Terms of convolutions in plain layout: patches become columns of a matrix product.

Source: microsoft/onnxruntime, core/mlas/lib/convolve.cpp (MlasConvPrepare, MlasConvOperation),
sgemm.cpp (packing of 16 columns), core/providers/cpu/nn/conv_transpose.cc and deform_conv. Filters
are the rows of the product, output positions its columns, positions of a filter its depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import Final

from mlsys_lint.records import Kernel, NodeView
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.convolution import Window, window_of
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

CLASS: Final = "conv_plain"
_CONVOLUTIONS: Final = frozenset({"ai.onnx::Conv", "com.microsoft::FusedConv"})
_COLUMNS: Final = 16
"""Columns that are packed together, and the granule by which threads share columns."""
_ROWS: Final = 12
"""Rows of the product that a register block holds."""
_STRIDE: Final = 128
"""Columns, and depth, of the part of the patches that is expanded at a time."""
_THREAD_WORK: Final = 65536
"""Multiply-accumulates that are worth a thread (MLAS_SGEMM_THREAD_COMPLEXITY)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`times` products of (rows, depth) by (depth, columns), one after another."""

    times: int
    rows: int
    columns: int
    depth: int

    @property
    def slices(self) -> int:
        """Parts of the depth; each reads and writes the outputs."""
        stride, width = _STRIDE, _STRIDE
        if self.columns < self.depth:
            while width > _COLUMNS and width // 2 >= self.columns:
                stride, width = stride * 2, width // 2
        return ceil(self.depth / stride)

    def terms(self) -> dict[str, float]:
        """Work in whole register blocks, loads of columns, their packing, outputs per slice."""
        panels = ceil(self.columns / _COLUMNS)
        return {
            "flop": 2.0 * self.times * self.rows * panels * _COLUMNS * self.depth,
            "load": self.times * ceil(self.rows / _ROWS) * panels * self.depth,
            "pack": self.times * panels * _COLUMNS * self.depth,
            "output": self.times * self.rows * self.columns * self.slices,
        }


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of a convolution outside the blocked layout; None for other operators."""
    view = kernel.view
    if view is None:
        return None
    if kernel.op in _CONVOLUTIONS:
        return _convolution(kernel, view, machine)
    if kernel.op == "ai.onnx::ConvTranspose":
        return CLASS, _transposed(kernel, view, machine)
    if kernel.op == "ai.onnx::DeformConv":
        return CLASS, _deformed(kernel, view, machine)
    return None


def _convolution(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    window = window_of(view)
    whole = Product(
        times=window.batch * window.groups,
        rows=window.outputs // window.groups,
        columns=prod(window.out),
        depth=window.inputs // window.groups * prod(window.kernel),
    )
    share, threads = _busiest(whole, machine.threads)
    found = {
        **_expansion(share, window),
        "group": share.times,
        **_rest(kernel, machine, threads),
    }
    if whole.rows == 1:  # a kernel for a single row reads the columns where they are
        work = share.times * share.columns * share.depth
        outputs = share.times * share.columns
        return CLASS, {"mac": work, "row_output": outputs, **found}
    return CLASS, {**share.terms(), **found}


def _expansion(product: Product, window: Window) -> dict[str, float]:
    """Patches: elements copied in runs or gathered one by one; none for filters of one position."""
    direct = prod(window.kernel) == 1 and prod(window.stride) == 1
    if direct:
        return {}
    elements = product.times * product.columns * product.depth
    runs = elements / window.out[-1]
    kind = "copy" if window.stride[-1] == 1 else "gather"
    return {kind: elements, "run": runs}


def _busiest(product: Product, threads: int) -> tuple[Product, int]:
    """The part of the thread with most work, and how many threads work.

    Batches and groups are shared out whole, where there are several; else columns.
    """
    if product.times > 1:
        used = min(threads, product.times)
        return _part(product, times=ceil(product.times / used)), used
    work = product.rows * product.columns * product.depth
    used = min(threads, work // _THREAD_WORK + 1)
    if used == 1:
        return product, 1
    granule = ceil(ceil(product.columns / used) / _COLUMNS) * _COLUMNS
    columns = min(product.columns, granule)
    return _part(product, columns=columns), ceil(product.columns / columns)


def _part(product: Product, *, times: int | None = None, columns: int | None = None) -> Product:
    return Product(
        times=product.times if times is None else times,
        rows=product.rows,
        columns=product.columns if columns is None else columns,
        depth=product.depth,
    )


def _transposed(kernel: Kernel, view: NodeView, machine: Machine) -> dict[str, float]:
    """Every input position is multiplied into a patch; patches are added up in the output.

    The product of each group is shared among threads by itself, the additions by channels.
    """
    x, y = view.input(0).dims, view.output().dims
    weight = view.input(1).dims
    groups = view.integer("group", 1)
    product = Product(times=1, rows=prod(weight[1:]), columns=prod(x[2:]), depth=x[1] // groups)
    share, threads = _busiest(product, machine.threads)
    times = x[0] * groups
    share = _part(share, times=times)
    channels = ceil(weight[1] / min(machine.threads, weight[1]))
    scattered = times * channels * prod(weight[2:]) * product.columns
    kind = "scatter" if len(x) == 4 else "scatter_nd"
    return {
        **share.terms(),
        kind: scattered,
        "scatter_run": scattered / x[-1] if len(x) == 4 else 0.0,
        "sum": prod(y),
        "group": times,
        **_rest(kernel, machine, threads),
    }


def _deformed(kernel: Kernel, view: NodeView, machine: Machine) -> dict[str, float]:
    """Elements of patches are interpolated between four neighbours each, then multiplied."""
    x, y = view.input(0).dims, view.output().dims
    weight = view.input(1).dims
    groups = view.integer("group", 1)
    product = Product(times=1, rows=y[1] // groups, columns=prod(y[2:]), depth=prod(weight[1:]))
    share, threads = _busiest(product, machine.threads)
    share = _part(share, times=x[0] * groups)
    found = share.terms()
    sampled = x[0] * x[1] * prod(weight[2:]) * product.columns / machine.threads
    return {
        **found,
        "sample": sampled,
        **_rest(kernel, machine, threads),
    }


def _rest(kernel: Kernel, machine: Machine, threads: int) -> dict[str, float]:
    """Tensors beyond the caches of a core, the start of a kernel and of more than one thread."""
    weights = [touch for touch in kernel.touches if touch.kind == "weight"]
    others = [touch for touch in kernel.touches if touch.kind != "weight"]
    found = {f"weight_{level}": amount for level, amount in machine.far(weights).items()}
    found |= {f"data_{level}": amount for level, amount in machine.far(others).items()}
    return {**found, "kernel": 1, **({"fork": 1} if threads > 1 else {})}
