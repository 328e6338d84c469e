"""Terms of what runs between products of integers.

Sources: microsoft/onnxruntime, core/providers/cpu/quantization/quantize_linear.cc (per axis: one
call for every run of elements of one scale), contrib_ops/cpu/quantization (qlinear_binary_op.cc,
qlinear_lookup_table.cc, qlinear_concat.cc, qlinear_pool.cc, qlinear_softmax.cc), core/providers/cpu/nn
/pool_functors.h (MaxPool of integers, position by position), core/mlas/lib/qladd.cpp, qlmul.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, prod
from typing import Final, TypeAlias

from mlsys_lint.records import Kernel, NodeView, TensorInfo
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.threads import by_rows

_Amounts: TypeAlias = dict[str, float]
_BYTES: Final = frozenset({"int8", "uint8"})
_MEMORY: Final = frozenset({"convert", "integer_elementwise"})
"""Classes that are fast enough to wait for memory."""


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of a conversion, or of an operator of integers that is no product."""
    view = kernel.view
    if view is None or view.op_type not in _FAMILIES:
        return None
    name, count = _FAMILIES[view.op_type]
    if view.op_type == "MaxPool" and view.input(0).dtype not in _BYTES:
        return None
    found = count(view, machine)
    far = machine.far(kernel.touches) if name in _MEMORY else {}
    return name, {**found, **far, "kernel": 1}


def _converted(view: NodeView, machine: Machine) -> _Amounts:
    """Elements, and runs of elements that have one scale."""
    x, scale = view.input(0), view.input(1)
    kind = "quantized" if view.op_type == "QuantizeLinear" else "dequantized"
    return _shared({kind: x.numel, f"{kind}_run": _runs(view, x, scale)}, machine, x.numel)


def _runs(view: NodeView, x: TensorInfo, scale: TensorInfo) -> int:
    """1 for one scale; per axis, what stands before the axis and on it; blocks where given."""
    if scale.numel == 1 or not x.dims:
        return 1
    axis = view.integer("axis", 1) % len(x.dims)
    if scale.rank > 1:  # every block, position by position of what stands behind the axis
        return x.numel // max(1, view.integer("block_size", 1))
    return prod(x.dims[: axis + 1])


def _ranged(view: NodeView, machine: Machine) -> _Amounts:
    """Minimum and maximum, then a conversion."""
    count = view.input(0).numel
    return {"ranged": count, **_shared({"quantized": count, "quantized_run": 1}, machine, count)}


def _binary(view: NodeView, machine: Machine) -> _Amounts:
    """Elements, and spans in which neither operand repeats."""
    a, b, y = view.input(0), view.input(3), view.output()
    kind = "added" if view.op_type == "QLinearAdd" else "multiplied"
    return _shared({kind: y.numel, "span": _spans(a, b, y)}, machine, y.numel)


def _spans(a: TensorInfo, b: TensorInfo, y: TensorInfo) -> int:
    """Parts of the output over which each operand runs on, or stays where it is."""
    length = 1
    state: tuple[bool, bool] | None = None
    one, other = (_aligned(each, y) for each in (a, b))
    for size, left, right in zip(reversed(y.dims), reversed(one), reversed(other), strict=True):
        if size == 1:
            continue
        now = left == size, right == size
        if state not in (None, now):
            break
        state, length = now, length * size
    return y.numel // max(1, length)


def _aligned(x: TensorInfo, y: TensorInfo) -> tuple[int, ...]:
    return (1,) * (len(y.dims) - len(x.dims)) + x.dims


def _looked_up(view: NodeView, machine: Machine) -> _Amounts:
    """A table of 256 results is made while the model is loaded; then an element at a time."""
    count = view.output().numel
    return _shared({"looked_up": count}, machine, count)


def _joined(view: NodeView, _machine: Machine) -> _Amounts:
    """Inputs with the scale of the output are copied, others go through a table, run by run."""
    found: _Amounts = {"span": 0, "looked_up": 0, "copied": 0}
    y = view.output()
    axis = view.integer("axis", 1) % len(y.dims)
    for place in range(2, len(view.inputs), 3):
        x = view.input(place)
        same = all(_equal(view.optional_input(place + 1 + k), view.input(k)) for k in range(2))
        found["copied" if same else "looked_up"] += x.numel
        found["span"] += prod(x.dims[:axis])
    return found


def _equal(one: TensorInfo | None, other: TensorInfo) -> bool:
    if one is None or one.value is None or other.value is None:
        return False
    return bool((one.value == other.value).all())


def _softmax(view: NodeView, machine: Machine) -> _Amounts:
    x = view.input(0)
    axis = view.integer("axis", -1) % len(x.dims)
    rows = prod(x.dims[:axis])
    share = by_rows(machine, rows)
    return {"exponential": x.numel * share, "row": rows * share, **_fork(share)}


def _pooled(view: NodeView, machine: Machine) -> _Amounts:
    """Positions of windows; with channels last over whole vectors of channels."""
    y = view.output()
    last = bool(view.integer("channels_last", 0)) or view.op_type == "NhwcMaxPool"
    kind = "average" if "Average" in view.op_type else "maximum"
    layout = "vectors" if last else "single"
    area = prod(view.integers("kernel_shape"))
    share = by_rows(machine, y.numel)
    return {
        f"{kind}_{layout}_tap": y.numel * area * share,
        f"{kind}_{layout}": y.numel * share,
        **_fork(share),
    }


def _pooled_globally(view: NodeView, machine: Machine) -> _Amounts:
    """All elements of a channel, or of all channels at a time."""
    x, y = view.input(0), view.output()
    layout = "vectors" if view.integer("channels_last", 0) else "single"
    share = by_rows(machine, y.numel)
    return {f"global_{layout}": x.numel * share, "mean": y.numel * share, **_fork(share)}


def _gathered(view: NodeView, machine: Machine) -> _Amounts:
    """Elements of the table, unpacked one by one."""
    count = view.output().numel
    return _shared({"unpacked": count}, machine, count)


def _shared(amounts: _Amounts, machine: Machine, elements: int) -> _Amounts:
    """Blocks of elements are shared out where they are worth more threads than one."""
    threads = min(machine.threads, ceil(elements / _WORTH))
    if threads == 1:
        return amounts
    return {name: amount / threads for name, amount in amounts.items()} | {"fork": 1}


def _fork(share: float) -> _Amounts:
    return {"fork": 1} if share < 1 else {}


_WORTH: Final = 1 << 16
"""Elements of a byte operation that make a second thread worth its start."""
_FAMILIES: Final[Mapping[str, tuple[str, Callable[[NodeView, Machine], _Amounts]]]] = {
    "QuantizeLinear": ("convert", _converted),
    "DequantizeLinear": ("convert", _converted),
    "DynamicQuantizeLinear": ("convert", _ranged),
    "QLinearAdd": ("integer_elementwise", _binary),
    "QLinearMul": ("integer_elementwise", _binary),
    "QLinearSigmoid": ("integer_elementwise", _looked_up),
    "QLinearLeakyRelu": ("integer_elementwise", _looked_up),
    "QLinearConcat": ("integer_elementwise", _joined),
    "QLinearSoftmax": ("integer_reduction", _softmax),
    "QLinearAveragePool": ("integer_reduction", _pooled),
    "QLinearGlobalAveragePool": ("integer_reduction", _pooled_globally),
    "MaxPool": ("integer_reduction", _pooled),
    "NhwcMaxPool": ("integer_reduction", _pooled),
    "GatherBlockQuantized": ("gather_quantized", _gathered),
}
