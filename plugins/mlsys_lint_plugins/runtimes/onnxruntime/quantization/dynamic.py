"""Products of integers whose scales are computed from the data of each run."""

from __future__ import annotations

from mlsys_lint.program import Op, Program, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_internal, parent

_DOMAIN = "com.microsoft"


@rule("MatMulIntegerToFloatFusion", "Mul")
def to_float(program: Program, op: Op) -> bool:
    """Cast(MatMulInteger) * (scale * scale), and a constant bias added to it."""
    cast, scales = parent(op, "Cast"), parent(op, "Mul")
    product = parent(cast, "MatMulInteger")
    if op.domain or cast is None or product is None or scales is None:
        return False
    if op.output.dtype == "float16":
        return False
    if not all(is_internal(one) for one in (cast, product, scales)):
        return False
    left, right = product.inputs[:2]
    zeros = [product.input(2), product.input(3)]
    add = op.output.only_reader if is_internal(op) else None
    bias = None if add is None else _bias(add)
    replaced = [product, cast, scales, op]
    inputs = [left, right, *scales.inputs, *zeros]
    if add is not None and bias is not None:
        replaced.append(add)
        inputs.append(bias)
    program.fuse(replaced, "MatMulIntegerToFloat", inputs, domain=_DOMAIN)
    return True


def _bias(add: Op) -> Value | None:
    """The constant operand of an Add: a vector of more than one element."""
    if not add.is_a("Add"):
        return None
    for value in reversed(add.inputs):
        if value is not None and value.constant and value.dims:
            *leading, last = value.dims
            if all(size == 1 for size in leading) and isinstance(last, int) and last > 1:
                return value
    return None


@rule("DynamicQuantizeMatMulFusion", "MatMulIntegerToFloat")
def with_quantizer(program: Program, op: Op) -> bool:
    """The DynamicQuantizeLinear of the first operand, where nothing else reads its results."""
    data, weight, data_scale, scale, data_zero, zero = (op.input(at) for at in range(6))
    rest = op.inputs[6:]
    quantizer = None if data is None else data.producer
    if quantizer is None or not quantizer.is_a("DynamicQuantizeLinear"):
        return False
    if quantizer.outputs != [data, data_scale, data_zero] or not is_internal(quantizer, 3):
        return False
    inputs = [quantizer.input(0), weight, scale, zero, *(rest or [None])]
    program.fuse([quantizer, op], "DynamicQuantizeMatMul", inputs, domain=_DOMAIN)
    return True
