"""Terms of operators that move elements.

Source: microsoft/onnxruntime, core/framework/copy.h,
core/providers/cpu/tensor/{concat,split,slice,gather,expand,tile,pad,upsample}.cc and
core/mlas/lib/reorder.cpp. What cuts and joins tensors copies one run of bytes at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

from mlsys_lint import dtypes
from mlsys_lint.records import Kernel, NodeView, TensorInfo
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.streams import streamed
from mlsys_lint_plugins.runtimes.onnxruntime.timing.threads import by_cost, divided
from mlsys_lint_plugins.runtimes.onnxruntime.timing.transpose import transpose

VIEWS: Final = (
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Shape", "Size", "ExpandDims"),
    *("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceLength", "Optional"),
)
"""What gives another description of the same bytes, or only reads a description."""


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of an operator of this family."""
    view = kernel.view
    if view is None or not view.outputs or view.outputs[0] is None:
        return None
    name = view.op_type
    if name in VIEWS:
        return "view", {"kernel": 1.0}
    if name in _PICKS:
        return "pick", {**_PICKS[name](view), "kernel": 1.0}
    if name in _RUNS:
        return _copy(kernel, view, machine)
    special = _SPECIAL.get(name)
    return None if special is None else special(kernel, view, machine)


def _width(tensor: TensorInfo) -> float:
    return dtypes.stored_bytes(tensor.type_name, 8) / 8


def _copy(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    """Runs of bytes, each one call of memcpy; single elements in a loop count as steps."""
    out = [one for one in view.outputs if one is not None]
    nbytes = sum(one.numel * _width(one) for one in out)
    runs, steps = _RUNS[view.op_type](view)
    amounts = {"byte": nbytes, "kernel": 1.0}
    if view.op_type in _KINDS:
        amounts[f"run_{_KINDS[view.op_type]}"] = float(runs)
    if steps:
        amounts["step"] = float(steps)
    amounts |= streamed(kernel, machine)
    share = by_cost(machine, max(int(nbytes / 4), 1), 8, 1)
    return "copy", divided(amounts, share)


def _axis(view: NodeView, tensor: TensorInfo, default: int = 0) -> int:
    return view.integer("axis", default) % max(tensor.rank, 1)


def _concat(view: NodeView) -> tuple[int, int]:
    out = view.output()
    outer = prod(out.dims[: _axis(view, out)])
    return outer * sum(one is not None for one in view.inputs), 0


def _split(view: NodeView) -> tuple[int, int]:
    data = view.input(0)
    return prod(data.dims[: _axis(view, data)]) * len(view.outputs), 0


def _slice(view: NodeView) -> tuple[int, int]:
    """The last axis that is cut decides: whole runs, or elements where it is strided."""
    data, out = view.input(0).dims, view.output().dims
    inner = 1
    for axis in range(len(out) - 1, -1, -1):
        inner *= out[axis]
        if out[axis] != data[axis]:
            break
    count = prod(out)
    last_cut = data[-1] != out[-1]
    if last_cut and _steps(view, len(out) - 1) != 1:
        return count // max(out[-1], 1), count
    if _steps(view, len(out) - 1) == 1 and any(_steps(view, axis) != 1 for axis in range(len(out))):
        inner = out[-1]
    return count // max(inner, 1), 0


def _steps(view: NodeView, axis: int) -> int:
    """Step of a slice along an axis; 1 where it is not known."""
    steps, axes = view.optional_input(4), view.optional_input(3)
    if steps is None or steps.value is None:
        return 1
    listed = [int(one) for one in steps.value.ravel()]
    places = list(range(len(listed)))
    if axes is not None and axes.value is not None:
        places = [int(one) % view.input(0).rank for one in axes.value.ravel()]
    return dict(zip(places, listed, strict=False)).get(axis, 1)


def _gather(view: NodeView) -> tuple[int, int]:
    data, where = view.input(0), view.input(1)
    return prod(data.dims[: _axis(view, data)]) * where.numel, 0


def _expand(view: NodeView) -> tuple[int, int]:
    """Each row is written once and doubled until it is full."""
    return view.input(0).numel, 0


def _tile(view: NodeView) -> tuple[int, int]:
    data, out = view.input(0).dims, view.output().dims
    inner = 1
    for size, wide in zip(reversed(data), reversed(out), strict=True):
        inner *= size
        if size != wide:
            break
    count = prod(out)
    return (0, count) if inner == 1 else (count // inner, 0)


def _pad(view: NodeView) -> tuple[int, int]:
    out = view.output()
    return 2 * out.numel // max(out.dims[-1] if out.rank else 1, 1), 0


def _nd(view: NodeView) -> tuple[int, int]:
    where = view.input(1)
    return 2 * where.numel // max(where.dims[-1] if where.rank else 1, 1), 0


def _whole(view: NodeView) -> tuple[int, int]:
    return len(view.outputs), 0


_RUNS: Final[dict[str, Callable[[NodeView], tuple[int, int]]]] = {
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "GatherND": _nd,
    "ScatterND": _nd,
    **dict.fromkeys(("ConstantOfShape", "Range", "Trilu", "OneHot", "EyeLike"), _whole),
    **dict.fromkeys(("ConcatFromSequence", "SplitToSequence", "ReverseSequence"), _whole),
}
"""Operator -> (runs copied, elements copied one by one)."""

_KINDS: Final = {
    **dict.fromkeys(("Concat", "Split", "ConcatFromSequence", "SplitToSequence"), "join"),
    **dict.fromkeys(("Slice", "Pad"), "cut"),
    **dict.fromkeys(("Gather", "GatherND", "ScatterND", "ReverseSequence"), "gather"),
    **dict.fromkeys(("Expand", "Tile"), "repeat"),
}
"""What finds the next run; the copies themselves are all alike."""

_PICKS: Final[dict[str, Callable[[NodeView], dict[str, float]]]] = {
    "GatherElements": lambda view: {"taken": float(view.input(1).numel)},
    "ScatterElements": lambda view: {"put": float(view.input(1).numel)},
    "Scatter": lambda view: {"put": float(view.input(1).numel)},
    "NonZero": lambda view: {"tested": float(view.input(0).numel)},
    "Compress": lambda view: {"tested": float(view.input(0).numel)},
}


def _resize(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    """Pixels of the result; twice as large to the nearest pixel has a loop of its own."""
    data, out = view.input(0), view.output()
    mode = view.text("mode", "nearest")
    if view.domain:
        streams = streamed(kernel, machine) if mode == "nearest" else {}
        return "upsample", {f"element_{mode}": float(out.numel), "kernel": 1.0, **streams}
    twice = [wide == 2 * size for size, wide in zip(data.dims, out.dims, strict=True)]
    how = (view.text("coordinate_transformation_mode"), view.text("nearest_mode"))
    plain = how == ("asymmetric", "floor") or view.op_type == "Upsample"
    if mode == "nearest" and twice == [False, False, True, True] and plain:
        mode = "double"
    if data.dims == out.dims:
        mode = "double"  # neither computes a position
    amounts = {f"element_{mode}": float(out.numel), "kernel": 1.0}
    planes = prod(out.dims[:2])
    share = by_cost(machine, planes, 8 * out.numel / max(planes, 1), out.numel / max(planes, 1))
    return "resize", divided(amounts, share if mode == "linear" else 1.0)


def _layout(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    """Channels gathered in blocks, taken apart, or exchanged with positions."""
    name, out = view.op_type, view.output()
    if name == "DepthToSpace":
        name += view.text("mode", "DCR")
    amounts = {f"element_{name}": float(out.numel), "kernel": 1.0}
    if name.startswith("Reorder"):
        return "reorder", _reorder(view, machine) | streamed(kernel, machine)
    return "layout", amounts


def _reorder(view: NodeView, machine: Machine) -> dict[str, float]:
    """Blocks of channels; those of a block that is not full are moved one by one."""
    channels = min(view.input(0).dims[1], view.output().dims[1])
    each = view.output().numel / max(view.output().dims[1], 1)
    ragged = channels % machine.lanes
    return {
        f"element_{view.op_type}": each * (channels - ragged),
        f"ragged_{view.op_type}": each * ragged,
        "kernel": 1.0,
    }


_SPECIAL: Final[dict[str, Callable[[Kernel, NodeView, Machine], Terms]]] = {
    "Transpose": transpose,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("ReorderInput", "ReorderOutput", "DepthToSpace", "SpaceToDepth"), _layout),
}
