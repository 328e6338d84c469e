"""Networks of operators that work element by element.

Functions stand in an order in which their values stay of order one: what is subnormal, infinite or
not a number takes other paths through a processor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from onnx import TensorProto

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.layers import close, reshape
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net

_CHEAP: Final = (
    *("Abs", "Relu", "Neg", "LeakyRelu", "Clip", "HardSigmoid", "Reciprocal", "Sqrt"),
    *("Softsign", "ThresholdedRelu", "Floor", "Ceil", "Round", "Sign"),
)
_DEAR: Final = (
    *("Tanh", "Erf", "Exp", "Log", "Sigmoid", "Softplus", "Elu", "Selu", "Celu", "Gelu"),
    *("QuickGelu", "Silu", "FastGelu", "Sin", "Cos", "Atan"),
)
_CONTRIB: Final = frozenset({"QuickGelu", "FastGelu"})
_MANY: Final = 1_000_000
"""Elements beyond which only casts of wide types are timed."""
_ALL: Final = (*_CHEAP, *_DEAR)
_CHEAPEST: Final = ("Abs", "Clip", "Neg", "Sigmoid")
_BROADCASTS: Final[Sequence[tuple[tuple[int, ...], tuple[int, ...]]]] = (
    ((197, 768), (768,)),
    ((1, 128, 28, 28), (1, 128, 1, 1)),
    ((1, 12, 197, 197), (1, 1, 1, 197)),
    ((16, 128, 64), (1, 128, 64)),
    ((1, 960, 7, 7), (1, 960, 1, 1)),
    ((1, 12, 160, 160), (1, 1, 160, 160)),
    ((1, 32, 112, 112), (1, 32, 1, 1)),
    ((4, 2000, 9), (9,)),
    ((4, 2000, 5), (4, 2000, 1)),
    ((1, 512, 1024), (1, 512, 1)),
    ((1, 56, 56, 96), (96,)),
    ((8, 128, 40), (8, 1, 40)),
)
_UNARY: Final = (
    ((2_000, _ALL), (200_000, _CHEAP), (80_000, _DEAR), (5_000_000, _CHEAPEST)),
    ((40_000, _ALL), (1_000_000, _CHEAP), (12_000, _CHEAP), (3_500_000, _CHEAPEST)),
)
_BINARY: Final = (
    ((3_000, True), (200_000, True), (2_500_000, False)),
    ((40_000, True), (1_000_000, False), (4_000_000, False)),
)


def elementwise() -> Iterator[Net]:
    """All of them; sizes and operators of one kind are spread over two networks."""
    for place, name in enumerate("ab"):
        unary = Net(f"unary_{name}")
        _unary(unary, _UNARY[place])
        _casts(unary, ((1_000, 60_000, 1_500_000), (9_000, 200_000, 3_000_000))[place])
        yield unary
        binary = Net(f"binary_{name}")
        _same(binary, _BINARY[place])
        yield binary
        broadcast = Net(f"broadcast_{name}")
        _broadcasts(broadcast, _BROADCASTS[place::2])
        _biased(broadcast, (((197, 1536), (3136, 24)), ((784, 96), (50, 3072), (3000, 20)))[place])
        _integers(broadcast, ((500, 300_000), (20_000, 60_000))[place])
        _shapes(broadcast)
        yield broadcast


def _unary(net: Net, parts: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Chains of functions."""
    for count, functions in parts:
        x = net.input(count)
        for function in functions:
            x = _apply(net, x, function)
        flags = net.op("Not", net.op("IsNaN", x, dtype=TensorProto.BOOL))
        close(net, x, net.op("Cast", flags, to=TensorProto.FLOAT, dtype=TensorProto.FLOAT))


def _casts(net: Net, counts: Sequence[int]) -> None:
    """Changes of type there and back."""
    wide = (TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT64)
    for count in counts:
        x = net.input(count)
        for dtype in wide:
            x = _there_and_back(net, x, dtype)
        close(net, x)
        if count > _MANY:
            continue
        for start, others in (
            (TensorProto.FLOAT, (TensorProto.INT32, TensorProto.BOOL)),
            (TensorProto.INT64, (TensorProto.INT32, TensorProto.BOOL)),
            (TensorProto.INT32, (TensorProto.BOOL,)),
        ):
            x = net.input(count, dtype=start)
            for dtype in others:
                x = _there_and_back(net, x, dtype)
            close(net, x)


def _there_and_back(net: Net, x: str, dtype: int) -> str:
    """Two changes of type, and something between them, else the runtime joins them."""
    start = net.dtype[x]
    y = net.op("Cast", net.op("Abs", x), to=dtype, dtype=dtype)
    if dtype == TensorProto.FLOAT16:  # for which there is no arithmetic
        y = reshape(net, y, *net.shape[y], 1)
    else:
        y = net.op("Not" if dtype == TensorProto.BOOL else "Abs", y)
    return net.op("Cast", y, to=start, dtype=start)


def _apply(net: Net, x: str, function: str) -> str:
    if function == "Clip":
        return net.op(function, x, net.constant(np.float32(-2)), net.constant(np.float32(2)))
    if function == "Silu":
        return net.contrib("QuickGelu", x, alpha=1.0)
    if function == "Reciprocal":
        return net.op(function, net.op("Add", x, net.constant(np.float32(1.5))))
    return net.contrib(function, x) if function in _CONTRIB else net.op(function, x)


def _same(net: Net, parts: Sequence[tuple[int, bool]]) -> None:
    """Two tensors of one shape, or a tensor and a number."""
    for count, slow in parts:
        x, y = net.input(count), net.input(count)
        two, half = (net.constant(np.float32(value)) for value in (2, 0.5))
        a = net.op("Add", x, y)
        b = net.op("Sub", a, x)
        c = net.op("Mul", a, b)
        d = net.op("Div", net.op("Sub", net.op("Mul", c, half), two), two)
        e = net.op("Max", net.op("Min", d, a), b)
        flags = net.op("Greater", e, c, dtype=TensorProto.BOOL)
        less = net.op("Less", e, half, dtype=TensorProto.BOOL)
        flags = net.op("Not", net.op("And", net.op("Or", flags, less), less))
        e = net.op("Div", e, net.op("Add", net.op("Abs", c), two))
        e = net.op("Mean", net.op("Sum", e, d, c, a), b, d)
        close(net, net.op("Cast", flags, to=TensorProto.FLOAT, dtype=TensorProto.FLOAT))
        close(net, _slow(net, e, x, y) if slow else e)


def _slow(net: Net, x: str, y: str, z: str) -> str:
    """Operators that take elements one by one."""
    chosen = net.constant(np.arange(net.size(x)) < net.size(x) // 2)
    x = _where(net, chosen, x, y)
    x = _where(net, chosen, x, net.constant(np.float32(0.5)))
    x = net.op("PRelu", net.op("Sub", x, z), net.constant(np.array([0.1], np.float32)))
    x = net.op("Sigmoid", x)
    for exponent in (2.0, 3.0, 0.5):
        x = net.op("Pow", x, net.constant(np.float32(exponent)))
    return net.op("Mod", net.op("Pow", x, net.op("Abs", y)), z, fmod=1)


def _where(net: Net, flags: str, x: str, y: str) -> str:
    return net.op("Where", flags, x, y, shape=net.shape[x], dtype=net.dtype[x])


def _broadcasts(net: Net, sizes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
    """Second operands of a row, a column, a channel, an image and a number a span."""
    for shape, other in sizes:
        x, y = net.input(*shape), net.input(*other)
        a = net.op("Mul", net.op("Add", x, y), y)
        b = net.op("Max", net.op("Div", net.op("Sub", a, y), net.op("Abs", y)), y)
        flags = net.op("Greater", b, y, dtype=TensorProto.BOOL)
        close(net, net.op("Cast", flags, to=TensorProto.FLOAT, dtype=TensorProto.FLOAT))
        size = max(net.size(y), other[-1])
        chosen = net.constant(np.arange(size).reshape(other if size > 1 else (-1,)) < size // 2)
        close(net, _where(net, chosen, b, net.constant(np.float32(-1))), _where(net, chosen, b, y))


def _biased(net: Net, rows: Sequence[tuple[int, int]]) -> None:
    """Slopes by channel, and biases added in the same kernel."""
    for shape in ((1, 64, 56, 56), (1, 256, 14, 14)):
        slope = net.constant(np.full((shape[1], 1, 1), 0.25, np.float32))
        close(net, net.op("PRelu", net.op("Neg", net.input(*shape)), slope))
    for count, width in rows:
        x = net.op("Neg", net.input(count, width))
        x = net.contrib("BiasGelu", x, net.weight(width))
        close(net, net.contrib("FastGelu", x, net.weight(width)))


def _integers(net: Net, counts: Sequence[int]) -> None:
    """64-bit integers and flags."""
    for count in counts:
        x, y = (net.input(count, dtype=TensorProto.INT64) for _ in range(2))
        three = net.constant(np.int64(3))
        a = net.op("Mul", net.op("Add", x, y), three)
        b = net.op("Mod", net.op("Div", a, three), net.constant(np.int64(50)))
        same = net.op("Equal", a, y, dtype=TensorProto.BOOL)
        more = net.op("GreaterOrEqual", b, three, dtype=TensorProto.BOOL)
        flags = net.op("Or", same, net.op("Not", more))
        c = net.op("Sub", net.op("Max", net.op("Neg", a), b), y)
        c = _where(net, net.constant(np.arange(count) < count // 2), c, a)
        close(net, c, net.op("Cast", flags, to=TensorProto.FLOAT, dtype=TensorProto.FLOAT))


def _shapes(net: Net) -> None:
    """Arithmetic on a few integers, as exporters write it for sizes."""
    x = net.input(4, dtype=TensorProto.INT64)
    one = net.integers(1, 1, 1, 1)
    for _ in range(2):
        y = net.op("Add", net.op("Mul", net.op("Sub", x, one), x), one)
        y = net.op("Div", y, net.op("Max", net.op("Abs", x), one))
        f = net.op("Cast", y, to=TensorProto.FLOAT, dtype=TensorProto.FLOAT)
        f = net.op("Mul", net.op("Floor", net.op("Sigmoid", net.op("Relu", f))), f)
        x = net.op("Cast", f, to=TensorProto.INT64, dtype=TensorProto.INT64)
        flags = net.op("Equal", x, one, dtype=TensorProto.BOOL)
        x = _where(net, flags, y, x)
    net.output(x)
