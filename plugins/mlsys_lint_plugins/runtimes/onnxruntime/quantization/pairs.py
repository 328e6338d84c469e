"""Pairs of QuantizeLinear and DequantizeLinear: which exist, and which cancel."""

from __future__ import annotations

from mlsys_lint.program import Op, Program, Value, bypass, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_internal
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.parameters import (
    LIMITS,
    SCALE,
    ZERO_POINT,
    constant,
    dequantize_of,
    has_constant_parameters,
    is_dequantize,
    is_quantize,
    quantized_type,
    same_parameters,
)

_RANDOM = frozenset({"Dropout", "Bernoulli", "RandomNormalLike", "RandomUniformLike"})


@rule("EnsureUniqueDQForNodeUnit", "DequantizeLinear")
def own_dequantize(program: Program, op: Op) -> bool:
    """Give each reader of a DequantizeLinear one of its own.

    The first reader keeps it, unless it is a graph output or a body reads it.
    """
    source = op.output
    edges = edges_of(source)
    kept = (
        0 if source.is_result or any(source in reader.implicit for reader in source.readers) else 1
    )
    for reader, position in edges[kept:]:
        copy = program.value(source)
        program.add(
            op.op_type,
            op.inputs,
            [copy],
            domain=op.domain,
            attributes=op.attributes,
            members=op.members,
        )
        program.set_input(reader, position, copy)
    return len(edges) > kept


def edges_of(value: Value) -> list[tuple[Op, int]]:
    """Who reads a value and at which input, by index; bodies left out."""
    return [
        (reader, position)
        for reader in sorted(value.readers, key=lambda op: op.index)
        for position, one in enumerate(reader.inputs)
        if one is value
    ]


@rule("DoubleQDQPairsRemover", "DequantizeLinear")
def double_pair(program: Program, op: Op) -> bool:
    """Q, DQ, Q, DQ in a row become Q, DQ; where they differ, over the range of both.

    The second Q may have several DQ, and no other readers.
    """
    source, second = op.input(0), _only_reader(op)
    first = None if source is None else source.producer
    if first is None or first.program is not program or second is None or second.output.is_result:
        return False
    if not (is_quantize(first) and is_quantize(second) and is_internal(first)):
        return False
    last = list(second.output.readers)
    if not last or not all(is_dequantize(one) and same_parameters(second, one) for one in last):
        return False
    if not same_parameters(first, op) or not _unite(program, op, second, (first, *last)):
        return False
    for one in last:
        program.set_input(one, 0, source)
    for gone in (second, op):
        program.drop(gone, "cancelled")
    return True


def _only_reader(op: Op) -> Op | None:
    return op.output.only_reader if is_internal(op) else None


def _unite(program: Program, one: Op, other: Op, kept: tuple[Op, ...]) -> bool:
    """Let the outer operators of two pairs use the range that both cover."""
    dtype = quantized_type(one)
    if dtype not in LIMITS or dtype != quantized_type(other):
        return False
    ranges = [_range(op) for op in (one, other)]
    if None in ranges:
        return one.inputs[1:] == other.inputs[1:]
    if ranges[0] == ranges[1]:
        return True
    least = max(found[0] for found in ranges if found is not None)
    greatest = min(found[1] for found in ranges if found is not None)
    low, high = LIMITS[dtype]
    scale = (greatest - least) / (high - low)
    for op in kept:
        program.set_input(op, SCALE, constant(program, op, "float", scale, shape=(1,)))
        zero = constant(program, op, dtype, round(low - least / scale), shape=(1,))
        program.set_input(op, ZERO_POINT, zero)
    return True


def _range(op: Op) -> tuple[float, float] | None:
    """Least and greatest number that a pair lets through; None where it is not known."""
    scale, zero = op.input(SCALE), op.input(ZERO_POINT)
    size = None if scale is None else scale.number()
    shift = None if zero is None else zero.number()
    if size is None or shift is None:
        return None
    low, high = LIMITS[quantized_type(op) or "uint8"]
    return (low - shift) * size, (high - shift) * size


@rule("ConstantFolding", "DequantizeLinear")
def constant_unit(program: Program, op: Op) -> bool:
    """A constant between DQ and Q is computed at load: DQ, an operator that only reads it, Q."""
    middle = _only_reader(op)
    if middle is None or len(middle.inputs) != 1 or len(middle.outputs) != 1 or middle.bodies:
        return False
    last = _only_reader(middle)
    if last is None or not is_quantize(last) or middle.op_type in _RANDOM:
        return False
    constants = (*op.inputs, *last.inputs[1:])
    if not all(value is None or value.constant for value in constants):
        return False
    for one in (op, middle, last):
        program.fold(one)
    return True


@rule("WhereDummyDq", "Where")
def where_constant(program: Program, op: Op) -> bool:
    """Where(c, DQ, number) -> Q: the number is quantized, for a unit of quantized operators."""
    reader = op.output.only_reader
    sources = [dequantize_of(program, op.input(position)) for position in (1, 2)]
    found = sources[0] or sources[1]
    if found is None or reader is None or not is_quantize(reader) or all(sources):
        return False
    position = 2 if sources[0] is not None else 1
    number = op.input(position)
    if number is None or not number.constant or number.dims != () or number.dtype != "float":
        return False
    dtype, scale = quantized_type(found), found.input(SCALE)
    if dtype not in LIMITS or dtype != quantized_type(reader) or not has_constant_parameters(found):
        return False
    if found.input(ZERO_POINT) is None or scale is None or scale.dtype != "float":
        return False
    inputs = [constant(program, found, one) for one in (dtype or "", "float", dtype or "")]
    output = program.value(number)
    program.add(found.op_type, inputs, [output], domain=found.domain)
    program.set_input(op, position, output)
    return True


@rule("QDQFinalCleanupTransformer", "DequantizeLinear")
def cleanup(program: Program, op: Op) -> bool:
    """DQ -> Q with equal parameters disappear; between a graph's ends an Identity is left.

    Not where several operators read the Q (observed).
    """
    second, source = _only_reader(op), op.input(0)
    if second is None or source is None or not is_quantize(second):
        return False
    result = second.output
    if not same_parameters(second, op) or len(result.readers) + result.is_result > 1:
        return False
    program.set_input(second, 0, source)
    program.drop(op, "cancelled")
    if not bypass(program, second, source, "cancelled"):
        program.drop(second, "cancelled")
        program.add("Identity", [source], [result])
    return True
