"""Terms of normalizations, softmax, reductions and searches along an axis.

Source: microsoft/onnxruntime, core/providers/cpu/nn/layer_norm_impl.cc, batch_norm.h,
instance_norm.cc, lrn.cc, core/providers/cpu/reduction/reduction_ops.{h,cc},
contrib_ops/cpu/skip_layer_norm.cc and core/mlas/lib/compute.cpp. Rows are normalized one by one.
A reduction merges neighbouring axes that are both kept or both reduced; there are loops of their own
for the kinds inner (kept, reduced), outer (reduced, kept) and middle (kept, reduced, kept), and one
that steps from element to element for what is left and for functions without such loops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log2, prod
from typing import Final

from mlsys_lint.records import Kernel, NodeView
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.streams import streamed
from mlsys_lint_plugins.runtimes.onnxruntime.timing.threads import by_cost, by_rows, divided

_ROWS: Final[Mapping[str, tuple[str, str]]] = {
    "LayerNormalization": ("layer_norm", "centered"),
    "SimplifiedLayerNormalization": ("layer_norm", "scaled"),
    "RMSNormalization": ("layer_norm", "scaled"),
    "SkipLayerNormalization": ("skip_norm", "centered"),
    "EmbedLayerNormalization": ("skip_norm", "centered"),
    "SkipSimplifiedLayerNormalization": ("skip_norm", "scaled"),
}
_IMAGES: Final = (
    *("BatchNormalization", "InstanceNormalization", "LRN"),
    *("LpNormalization", "MeanVarianceNormalization"),
)
_SUMS: Final = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")
_COMPARED: Final = ("ReduceMax", "ReduceMin")
_LOGS: Final = ("ReduceLogSumExp",)
_FORWARD_BYTES: Final = 64 * 64
"""What the queue of stores holds: 64 of 64 bytes; sums that lie in it are forwarded to loads."""
_ROW_ELEMENTS: Final = 16384
"""Elements of softmax for each thread."""


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of an operator of this family."""
    view = kernel.view
    if view is None or not view.outputs or view.outputs[0] is None:
        return None
    family = _family(view.op_type)
    return None if family is None else family(kernel, view, machine)


def _family(name: str) -> Callable[[Kernel, NodeView, Machine], Terms] | None:
    if name in _ROWS:
        return _rows
    if name in ("Softmax", "LogSoftmax", "Hardmax"):
        return _softmax
    if name in _IMAGES:
        return _image
    if name in ("ArgMax", "ArgMin", "TopK", "CumSum", "CumProd"):
        return _search
    return _reduction if name.startswith("Reduce") else None


def _rows(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    """Mean and square mean of a row, then the row again."""
    family, kind = _ROWS[view.op_type]
    out = view.output()
    axis = view.integer("axis", -1) % max(out.rank, 1) if family == "layer_norm" else out.rank - 1
    count = prod(out.dims[:axis])
    amounts = {f"element_{kind}": float(out.numel), "row": float(count), "kernel": 1.0}
    if family == "layer_norm":
        amounts |= streamed(kernel, machine)
    return family, divided(amounts, by_rows(machine, count))


def _softmax(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    """Maximum, exponentials with their sum, quotients; another axis is brought last and back."""
    del kernel
    out = view.output()
    late = (view.since_version or 13) >= 13
    axis = view.integer("axis", -1 if late else 1) % max(out.rank, 1)
    width = out.dims[axis] if late else prod(out.dims[axis:])
    rows = out.numel // max(width, 1)
    threads = min(machine.threads, rows, out.numel // _ROW_ELEMENTS + 1)
    amounts = {"element": float(out.numel), "row": float(rows), "kernel": 1.0}
    if late and prod(out.dims[axis + 1 :]) > 1:
        amounts["transposed"] = 2.0 * out.numel
    return "softmax", divided(amounts, 1 / max(threads, 1))


def _image(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    """Feature maps, one by one; LpNormalization walks along its axis."""
    del kernel, machine
    out = view.output()
    maps = prod(out.dims[:2])
    kind = view.op_type
    inner = 1
    if kind == "LpNormalization":
        axis = view.integer("axis", -1) % out.rank
        maps, inner = out.numel // max(out.dims[axis], 1), prod(out.dims[axis + 1 :])
        kind = "LpNormalization_across" if inner > 1 else kind
    amounts = {f"element_{kind}": float(out.numel), "map": float(maps), "kernel": 1.0}
    return "norm_image", amounts


def merged(shape: Sequence[int], axes: Sequence[int]) -> tuple[bool, list[int]]:
    """(whether the first is reduced, sizes) of axes in turn kept and reduced; ones vanish."""
    sizes: list[int] = []
    first = last = False
    for place, size in enumerate(shape):
        if size == 1:
            continue
        now = place in axes
        if sizes and now == last:
            sizes[-1] *= size
            continue
        first = now if not sizes else first
        sizes.append(size)
        last = now
    return first, sizes


def _axes(view: NodeView) -> tuple[int, ...]:
    rank = view.input(0).rank
    axes = view.integers("axes")
    given = view.optional_input(1)
    if given is not None and given.value is not None:
        axes = tuple(int(one) for one in given.value.ravel())
    return tuple(axis % rank for axis in axes) or tuple(range(rank))


def _reduction(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    data = view.input(0)
    first, sizes = merged(data.dims, _axes(view))
    kind = _kind(view.op_type, sizes, first=first)
    count, results = float(data.numel), float(view.output().numel)
    amounts = {f"element_{kind}": count, "result": results, "kernel": 1.0}
    if kind.startswith(("middle", "outer")):
        amounts["forwarded"] = count * min(1.0, _FORWARD_BYTES / (4 * max(sizes[-1], 1)))
    share = by_cost(machine, int(results), 4 * count / max(results, 1), count / max(results, 1))
    return "reduce", divided(amounts | streamed(kernel, machine), share)


def _kind(name: str, sizes: Sequence[int], *, first: bool) -> str:
    """Which loops run."""
    if name in _LOGS:
        return "exp"
    if len(sizes) <= 1:
        return "inner" if name in _SUMS else "whole"
    across = "_compared" if name in _COMPARED else ""
    if len(sizes) == 2 and first:
        return f"outer{across}"
    if len(sizes) == 2:
        return "inner" if name in _SUMS else "chain"
    return f"middle{across}" if len(sizes) == 3 and not first else "stepped"


def _search(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    """Steps along an axis."""
    del kernel, machine
    data = view.input(0)
    count = float(data.numel)
    if view.op_type.startswith("Arg"):
        results = float(view.output().numel)
        return "arg", {"element": count, "result": results, "kernel": 1.0}
    if view.op_type.startswith("Cum"):
        place = view.optional_input(1)
        axis = int(place.value.item()) if place is not None and place.value is not None else -1
        steps = count / max(1, prod(data.dims[axis % data.rank + 1 :]))
        return "cumulative", {"element": count, "step": steps, "kernel": 1.0}
    axis = view.integer("axis", -1) % data.rank
    size, kept = data.dims[axis], view.output().dims[axis]
    rows = count / max(size, 1)
    amounts = {"element": count, "row": rows, "kernel": 1.0}
    if kept > 1:
        amounts["kept"] = rows * kept * log2(max(size, 2))
    return "top", amounts
