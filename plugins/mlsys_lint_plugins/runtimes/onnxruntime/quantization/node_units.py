"""Units of quantized operators become one kernel each (QDQSelectorActionTransformer, CPU)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from mlsys_lint.program import Op, Program, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.quantization import low_bit
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.parameters import (
    SCALE,
    ZERO_POINT,
    has_constant_parameters,
    same_parameters,
    suits_products,
    with_zero_point,
)
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.units import (
    BYTES,
    WORDS,
    Unit,
    is_paired,
    replace,
    strip,
    unit_of,
)

_Fuse: TypeAlias = Callable[[Program, Unit], bool]

_MOVES: Final = (
    *("Expand", "Flatten", "Gather", "GatherElements", "Reshape", "Slice", "Squeeze", "Tile"),
    *("Transpose", "Unsqueeze"),
)
"""Operators that do not compute; they take integers of 8 and 16 bits."""
_ORDERED: Final = ("MaxPool", "ReduceMax", "ReduceMin")
"""Operators that choose: on integers too, as long as the scale is positive."""
_UNARY: Final = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax")


def _moved(program: Program, unit: Unit) -> bool:
    """The operator reads and writes integers: one type, scale and zero point at both ends."""
    if unit.clip is not None or not is_paired(unit, 1) or len(unit.types) != 1:
        return False
    (source,), (sink,) = unit.sources, unit.sinks
    op_type = unit.op.op_type
    scale = sink.input(SCALE)
    if op_type in _ORDERED and not ((scale and scale.number()) or 0) > 0:
        return False
    if not unit.types <= (BYTES | WORDS if op_type in _MOVES else BYTES):
        return False
    if source.output is not unit.op.input(0) or not same_parameters(sink, source):
        return False
    strip(program, unit)
    return True


def _argmax(program: Program, unit: Unit) -> bool:
    """The DequantizeLinear before ArgMax goes; the result is no number of the data's type."""
    if unit.clip is not None or len(unit.sources) != 1 or not unit.types <= BYTES or unit.sinks:
        return False
    (source,) = unit.sources
    if source.input(ZERO_POINT) is None or not has_constant_parameters(source):
        return False
    strip(program, unit)
    return True


def _split(program: Program, unit: Unit) -> bool:
    """Split between equal parameters at all its ends."""
    if unit.clip is not None or not is_paired(unit, 1) or len(unit.types) != 1:
        return False
    (source,) = unit.sources
    if not unit.types <= BYTES | WORDS:
        return False
    if not all(same_parameters(sink, source) for sink in unit.sinks):
        return False
    replace(program, unit, "Split", "", [source.input(0), *unit.op.inputs[1:]])
    return True


def _elementwise(program: Program, unit: Unit) -> bool:
    """One or two inputs and the result, all of one 8-bit type: QLinearX(x, scale, zero, ...)."""
    sources = 1 if unit.op.op_type in _UNARY else None
    if not is_paired(unit, sources) or not unit.is_uniform:
        return False
    inputs = [*_read(program, unit), *_target(program, unit)]
    _replace_linear(program, unit, inputs)
    return True


def _concat(program: Program, unit: Unit) -> bool:
    """All inputs and the result of one 8-bit type; the result's parameters come first."""
    if not is_paired(unit) or not unit.is_uniform:
        return False
    _replace_linear(program, unit, [*_target(program, unit), *_read(program, unit)])
    return True


def _where(program: Program, unit: Unit) -> bool:
    """Both branches and the result of one 8-bit type."""
    if not is_paired(unit, 2) or not unit.is_uniform:
        return False
    inputs = [unit.op.input(0), *_read(program, unit), *_target(program, unit)]
    _replace_linear(program, unit, inputs)
    return True


def _conv(program: Program, unit: Unit) -> bool:
    """uint8 data, 8-bit weights, int32 bias; int8 data would have become uint8 before (x86).

    The bias has the scale that sums of products have.
    """
    if not is_paired(unit):
        return False
    data, weight, *bias = unit.read
    if unit.written != [data] or data != "uint8" or weight not in BYTES or bias not in _BIASES:
        return False
    if bias and not suits_products(*unit.sources):
        return False
    first, second, *stored = unit.sources
    inputs = [
        *with_zero_point(program, first),
        *with_zero_point(program, second),
        *_target(program, unit),
        *(one.input(0) for one in stored),
    ]
    replace(program, unit, "QLinearConv", "", inputs)
    return True


_BIASES: Final[tuple[list[str | None], ...]] = ([], ["int32"])


def _matmul(program: Program, unit: Unit) -> bool:
    """QLinearMatMul of uint8 data; without a QuantizeLinear behind it MatMulIntegerToFloat."""
    if len(unit.sources) != 2 or not is_paired(unit, open_end=True):
        return False
    data, weight = unit.read
    if data != "uint8" or weight not in BYTES:
        return False
    inputs = _read(program, unit)
    if not unit.sinks:
        replace(
            program,
            unit,
            "MatMulIntegerToFloat",
            _MICROSOFT,
            [*inputs[::3], *inputs[1::3], *inputs[2::3]],
        )
        return True
    if unit.written != [data]:
        return False
    replace(program, unit, "QLinearMatMul", "", [*inputs, *_target(program, unit)])
    return True


def _gemm(program: Program, unit: Unit) -> bool:
    """QGemm, with an 8-bit or a float result; weights of int8 data are int8."""
    if not is_paired(unit, open_end=True):
        return False
    data, weight, *bias = unit.read
    if data not in BYTES or weight not in BYTES or (data == "int8" and weight != "int8"):
        return False
    if unit.written not in ([], [data]) or bias not in _BIASES:
        return False
    if bias and unit.op.attributes.get("beta", 1.0) != 1.0:
        return False
    first, second, *stored = unit.sources
    inputs = [
        *with_zero_point(program, first),
        *with_zero_point(program, second),
        stored[0].input(0) if stored else None,
    ]
    if unit.sinks:
        inputs += _target(program, unit)
    replace(program, unit, "QGemm", _MICROSOFT, inputs)
    return True


_MICROSOFT: Final = "com.microsoft"


def _read(program: Program, unit: Unit) -> list[Value | None]:
    return [value for one in unit.sources for value in with_zero_point(program, one)]


def _target(program: Program, unit: Unit) -> list[Value | None]:
    """Scale and zero point of the result."""
    return with_zero_point(program, unit.sinks[0])[1:]


def _replace_linear(program: Program, unit: Unit, inputs: list[Value | None]) -> None:
    replace(program, unit, f"QLinear{unit.op.op_type}", _MICROSOFT, inputs)


_FUSIONS: Final[Mapping[str, _Fuse]] = {
    **dict.fromkeys((*_MOVES, *_ORDERED, "Resize"), _moved),
    **dict.fromkeys((*_UNARY, "Add", "Mul"), _elementwise),
    "ArgMax": _argmax,
    "Concat": _concat,
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Split": _split,
    "Where": _where,
}
_HALF_KERNELS: Final = frozenset({*_MOVES, "Split", "Concat"})


@rule("QDQSelectorActionTransformer", *_FUSIONS)
def selected(program: Program, op: Op) -> bool:
    """An operator with its DequantizeLinear and QuantizeLinear, where a kernel does it all.

    Weights of few bits behind a MatMul or Gemm become MatMulNBits, in half precision as well,
    for which the product had no kernel: it runs in float between Casts (observed).
    """
    unit = None if op.domain else unit_of(program, op)
    if unit is None or not unit.sources:
        return False
    has_kernel = unit.sources[0].output.dtype == "float" or op.op_type in _HALF_KERNELS
    if has_kernel and _FUSIONS[op.op_type](program, unit):
        return True
    is_product = op.op_type in ("MatMul", "Gemm") and unit.clip is None
    weight = low_bit.match(program, op) if is_product else None
    if weight is not None:
        low_bit.replace(program, op, weight)
    return weight is not None
