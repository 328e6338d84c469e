"""Terms of operators that work element by element.

Source: microsoft/onnxruntime, core/providers/cpu/activation/activations.h and
math/element_wise_ops.{h,cc}, core/mlas/lib/{compute,erf,logistic,tanh,activate}.cpp. A function of
one input is a loop over all elements, whose time is that of the function or, where that is short,
of memory. Operators of two inputs walk over spans: the longest run of output elements over which
each input is either one element or as many in a row; each span is one call. Sums of several inputs
are pairwise and go through a buffer each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

from mlsys_lint import dtypes
from mlsys_lint.records import Kernel, NodeView, TensorInfo
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.in_place import IN_PLACE
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.streams import hidden, streamed
from mlsys_lint_plugins.runtimes.onnxruntime.timing.threads import by_cost, divided

SHORT: Final = (
    *("Relu", "Clip", "LeakyRelu", "Abs", "Neg", "HardSigmoid", "Reciprocal", "Sqrt"),
    *("Softsign", "ThresholdedRelu", "Floor", "Ceil", "Round", "IsNaN", "Not", "Exp"),
)
"""Functions that wait for memory when their tensors are large."""
LONG: Final = (
    *("Tanh", "Erf", "Log", "Sigmoid", "Softplus", "Elu", "Selu", "Celu", "Gelu", "Sign"),
    *("QuickGelu", "FastGelu", "Sin", "Cos", "Atan"),
)
_CYCLES: Final[Mapping[str, float]] = {
    "Elu": 30,
    "LeakyRelu": 25,
    "Softplus": 15,
    "Selu": 4,
    "Sigmoid": 2,
    "Log": 15,
    "Exp": 30,
}
"""Cost per element that kernels declare to the thread pool; the others 1."""
_LIKE: Final[Mapping[str, str]] = {
    "IsInf": "IsNaN",
    "BitwiseNot": "Not",
    "Shrink": "ThresholdedRelu",
    "Identity": "Abs",
    "Tan": "Sin",
    "Asin": "Atan",
    "Acos": "Atan",
    "Sinh": "Selu",
    "Cosh": "Selu",
    "Asinh": "Atan",
    "Acosh": "Atan",
    "Atanh": "Atan",
    "ScaledTanh": "Tanh",
    "Affine": "Abs",
    "ParametricSoftplus": "Softplus",
    "Scale": "Abs",
    "Dropout": "Abs",
    "CastLike": "Cast",
}
"""Rare operators and the ones whose loops are most like theirs."""
CASTS: Final = frozenset(
    {
        *(("float", other) for other in ("float16", "double", "int64", "int32", "byte")),
        *((other, "float") for other in ("float16", "double", "int64", "int32", "byte")),
        *(("int64", "int32"), ("int32", "int64"), ("int64", "byte")),
        *(("byte", "int64"), ("int32", "byte"), ("byte", "int32")),
    }
)
"""Pairs of types whose changes are timed."""
_PLAIN: Final[Mapping[str, str]] = {"float16": "float", "double": "float", "byte": "int32"}
_GROUPS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "BitwiseAnd", "BitwiseOr", "BitwiseXor"), "add"),
    **dict.fromkeys(("Div", "BitShift"), "divide"),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), "compare"),
    **dict.fromkeys(("And", "Or", "Xor"), "logic"),
    **dict.fromkeys(("Min", "Max"), "select"),
    **dict.fromkeys(("Sum", "Mean"), "sum"),
}


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of an element-wise operator."""
    view = kernel.view
    if view is None or not view.outputs or view.outputs[0] is None:
        return None
    name = _LIKE.get(view.op_type, view.op_type)
    if name in ("BiasGelu", "FastGelu") and view.optional_input(1) is not None:
        return _bias_gelu(view, name, machine)
    for family, names in (("unary", SHORT), ("unary_long", LONG), ("cast", ("Cast",))):
        if name in names:
            return _function(family, kernel, view, name, machine)
    if name in _GROUPS or name in ("Where", "Pow", "Mod", "PRelu"):
        return _broadcast(kernel, view, name, machine)
    return None


def _function(family: str, kernel: Kernel, view: NodeView, name: str, machine: Machine) -> Terms:
    """One pass over all elements."""
    count = view.output().numel
    if family == "cast":
        name = _cast(view)
    nbytes = _width(view.output()) + _width(view.input(0))
    share = by_cost(machine, count, nbytes, _CYCLES.get(name, 1))
    if family == "unary_long":
        amounts = {f"element_{name}": float(count), "kernel": 1.0}
        if name == "QuickGelu" and view.attributes.get("alpha", 1.702) != 1:
            amounts["scaled"] = float(count)
        return family, divided(amounts, share)
    streams = streamed(kernel, machine, in_place=(view.domain, view.op_type) in IN_PLACE)
    near = count * (1 - hidden(streams, kernel))
    return family, divided({f"element_{name}": near, "kernel": 1.0, **streams}, share)


def _cast(view: NodeView) -> str:
    """The pair of types, with rare pairs taken for common ones of about their widths."""
    pair = (_kind(view.input(0)), _kind(view.output()))
    if pair not in CASTS:
        pair = (_PLAIN.get(pair[0], pair[0]), _PLAIN.get(pair[1], pair[1]))
    return "_".join(pair if pair in CASTS else ("float", "int32"))


def _kind(tensor: TensorInfo) -> str:
    name = tensor.type_name
    if name in ("float", "double", "float16"):
        return name
    return {1: "byte", 2: "float16", 4: "int32"}.get(round(_width(tensor)), "int64")


def _width(tensor: TensorInfo) -> float:
    return dtypes.stored_bytes(tensor.type_name, 8) / 8


def spans(out: Sequence[int], a: Sequence[int], b: Sequence[int]) -> int:
    """Number of spans of a broadcast of two tensors; `out` are the sizes of the result.

    A span ends where an input begins or ceases to repeat. Axes of size 1 are passed over as long as
    both tensors have them; else they count as repeated, so that a number against [..., 1] is taken
    element by element.
    """
    common = min(len(a), len(b))
    rank = len(out)
    repeated: tuple[bool, bool] | None = None
    span = 1
    for back in range(1, rank + 1):
        both = back <= common
        if out[-back] == 1 and both and (repeated is not None or back < common):
            continue
        now = (_repeats(a, back), _repeats(b, back))
        if repeated is not None and now != repeated:
            break
        repeated = now
        span *= out[-back]
    return prod(out) // span if span else 0


def _repeats(sizes: Sequence[int], back: int) -> bool:
    return back > len(sizes) or sizes[-back] == 1


def _broadcast(kernel: Kernel, view: NodeView, name: str, machine: Machine) -> Terms:
    """Spans over two or more inputs."""
    out = view.output()
    tensors = [one for one in view.inputs if one is not None]
    pairs = max(1, len(tensors) - 1)
    first, *others = (one.dims for one in tensors)
    calls = max((spans(out.dims, first, other) for other in others), default=1)
    words = max(_width(one) for one in tensors) / 4
    count = float(out.numel)
    share = _share(machine, out, tensors, calls)
    streams = streamed(kernel, machine)
    amounts = {"span": float(pairs * calls), "kernel": 1.0, **streams}
    near = count * (1 - hidden(streams, kernel))
    if name == "Where":
        return "where", divided(_where(view), share)
    if name == "PRelu":
        return "prelu", divided({"element": count, "span": float(calls), "kernel": 1.0}, share)
    if name in ("Pow", "Mod"):
        kind = _power(view) if name == "Pow" else _remainder(out)
        return name.lower(), divided({f"element_{kind}": count, "kernel": 1.0}, share)
    group = _GROUPS[name]
    if group == "sum":
        return "sum", divided({"element": near * pairs, **amounts}, share)
    if group == "divide" and "int" in tensors[0].type_name:
        return "mod", divided({"element_int": count, "kernel": 1.0}, share)
    return "binary", divided({f"element_{group}": near * words, **amounts}, share)


def _where(view: NodeView) -> dict[str, float]:
    """Three broadcasts: condition with one operand, with the other, and both results merged.

    Where a span has one condition, it is a copy or a fill; else elements are chosen one by one. The
    condition is taken as predictable, as masks are: a random one costs several times as much.
    """
    flags, out = view.input(0).dims, view.output().dims
    amounts = {"merged": float(prod(out)), "kernel": 1.0}
    parts = []
    for place in (1, 2):
        other = view.input(place).dims
        part = broadcast(flags, other)
        parts.append(part)
        calls = spans(part, flags, other)
        if inner_is_one(flags, part):
            kind = "copied"
        else:
            kind = "masked" if inner_is_one(other, part) else "chosen"
        amounts[kind] = amounts.get(kind, 0.0) + prod(part)
        amounts["span"] = amounts.get("span", 0.0) + calls
    amounts["span"] += spans(out, *parts)
    return amounts


def broadcast(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """Sizes of a broadcast of two."""
    rank = max(len(a), len(b))
    left, right = ((1,) * (rank - len(one)) + tuple(one) for one in (a, b))
    return tuple(y if x == 1 else x for x, y in zip(left, right, strict=True))


def inner_is_one(sizes: Sequence[int], out: Sequence[int]) -> bool:
    """True where one element of a tensor serves the innermost axis of `out` longer than 1."""
    for back in range(1, len(out) + 1):
        if out[-back] != 1:
            return back > len(sizes) or sizes[-back] == 1
    return False


def _share(machine: Machine, out: TensorInfo, tensors: Sequence[TensorInfo], calls: int) -> float:
    """One span is divided by elements, several are divided as they are."""
    each = max(_width(one) for one in tensors) + _width(out)
    if calls <= 1:
        return by_cost(machine, out.numel, each, 1)
    length = out.numel / calls
    return by_cost(machine, calls, each * length, length)


def _power(view: NodeView) -> str:
    """Squares and cubes are products."""
    value = view.input(1).value
    if value is not None and value.size == 1 and value.item() in (2, 3):
        return "product"
    return "power"


def _remainder(out: TensorInfo) -> str:
    return "int" if "int" in out.type_name else "float"


def _bias_gelu(view: NodeView, name: str, machine: Machine) -> Terms:
    """Rows of the bias's length, each added and transformed on its own."""
    count, width = view.output().numel, view.input(1).numel
    rows = count // max(width, 1)
    share = by_cost(machine, rows, 8.0 * width, 25.0 * width)
    return "bias_gelu", divided(
        {f"element_{name}": float(count), "row": float(rows), "kernel": 1.0}, share
    )
