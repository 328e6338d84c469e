"""Units of dequantize, operator and quantize after Transposes moved through them."""

from __future__ import annotations

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.edits import cancel
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import squeezed
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.quantized import (
    complete_unit,
    dequantizer_of,
    quantization_of,
    requantize,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.reading import (
    axes_of,
    is_needed,
    is_stored,
    maker_of,
    only_reader,
    permutation_of,
    readers_of,
    source_of,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.writing import (
    replace_readers,
    resize,
    transpose_sizes,
    write_to,
)


def repair_units(program: Program) -> bool:
    """Fold what undoes changed constants, then complete or remove units."""
    changed = False
    for op in program.order():
        changed |= op.op_type in {"Squeeze", "Transpose"} and _fold(program, op)
    for op in program.order():
        if op.program is not program:
            continue
        if op.op_type == "QuantizeLinear":
            changed |= _remove_empty_unit(program, op)
        elif op.op_type == "Transpose":
            changed |= _complete_behind(program, op) or _complete_before(program, op)
    return changed


def _fold(program: Program, op: Op) -> bool:
    """A Squeeze or Transpose of a constant: its readers get a constant instead."""
    source, output = source_of(op), op.output
    if not is_stored(program, source) or not readers_of(program, output):
        return False
    folded = program.value(source, constant=True, array=source.array)
    perm = permutation_of(op)
    if perm is not None:
        transpose_sizes(folded, perm)
    else:
        axes = axes_of(program, op)
        if op.op_type == "Transpose" or axes is None:
            return False
        sizes = squeezed(source.static or (), axes)
        resize(folded, sizes, sizes)
    replace_readers(program, output, folded)
    if not is_needed(output):
        program.drop(op, "folded")
    return True


def _remove_empty_unit(program: Program, quantizer: Op) -> bool:
    """Dequantize and quantize again with nothing between them."""
    dequantizer = dequantizer_of(program, quantizer.input(0))
    if dequantizer is None or only_reader(program, dequantizer.output) is None:
        return False
    source, result = source_of(dequantizer), quantizer.output
    if not _undoes(dequantizer, quantizer):
        return False
    if only_reader(program, result) is not None:
        replace_readers(program, result, source)
        _drop_unit(program, dequantizer, quantizer)
        return True
    maker = maker_of(program, source)
    alone = only_reader(program, source) is not None
    if readers_of(program, result) or not result.is_result or maker is None or not alone:
        return False
    _drop_unit(program, dequantizer, quantizer)
    write_to(maker, maker.outputs.index(source), result)
    source.producer = None
    return True


def _drop_unit(program: Program, dequantizer: Op, quantizer: Op) -> None:
    for op in (quantizer, dequantizer):
        program.remove(op)
        cancel(program, op.members)


def _undoes(dequantizer: Op, quantizer: Op) -> bool:
    """Equal types, scales and zero points."""
    source, result = source_of(dequantizer), quantizer.output
    if dequantizer.domain != quantizer.domain or source.dtype != result.dtype:
        return False
    return _same(dequantizer.input(1), quantizer.input(1)) and _same(
        dequantizer.input(2), quantizer.input(2)
    )


def _same(one: Value | None, other: Value | None) -> bool:
    """Equal parameters; a missing zero point is 0."""
    if one is other:
        return True
    found = [value.array if value.constant else None for value in (one, other) if value is not None]
    arrays = [array for array in found if array is not None]
    if len(arrays) < len(found):
        return False
    if len(arrays) == 1:
        return not arrays[0].any()
    return arrays[0].tobytes() == arrays[1].tobytes()


def _complete_behind(program: Program, transpose: Op) -> bool:
    """A dequantized and transposed value that is not quantized again."""
    dequantizer = dequantizer_of(program, transpose.input(0))
    if dequantizer is None:
        return False
    readers = readers_of(program, transpose.output)
    if len(readers) > 1 or any(op.op_type == "QuantizeLinear" for op in readers):
        return False
    return complete_unit(program, dequantizer)


def _complete_before(program: Program, transpose: Op) -> bool:
    """A transposed and quantized value that was not dequantized before."""
    quantizer = only_reader(program, transpose.output)
    source = source_of(transpose)
    maker = maker_of(program, source)
    if quantizer is None or quantizer.op_type != "QuantizeLinear" or maker is None:
        return False
    if maker.op_type == "DequantizeLinear" or len(readers_of(program, source)) != 1:
        return False
    found, perm = quantization_of(quantizer), permutation_of(transpose)
    if found is None or perm is None:
        return False
    axis = perm[found.axis] if found.per_axis else 1
    requantize(program, maker, source, quantizer, dtype=quantizer.output.dtype, axis=axis)
    return True
