"""Matrix products that take in their neighbours."""

from __future__ import annotations

from math import prod
from typing import Final

import numpy as np

from mlsys_lint.program import Op, Program, Rule, Value, rule

_GEMM_TYPES: Final = frozenset({"float", "float16", "bfloat16"})


@rule("GemmSumFusion", "Sum")
def gemm_sum(program: Program, op: Op) -> bool:
    """A Gemm without C and a Sum (no Add) of two: the other addend becomes C."""
    if len(op.inputs) != 2:
        return False
    for position in (0, 1):
        value, other = op.inputs[position], op.inputs[1 - position]
        gemm = value.producer if value is not None else None
        if value is None or other is None or gemm is None or not gemm.is_a("Gemm"):
            continue
        if gemm.input(2) is None and value.only_reader is op and _broadcasts(other, op.output):
            inputs = [*gemm.inputs[:2], other]
            program.fuse([gemm, op], "Gemm", inputs, attributes=gemm.attributes)
            return True
    return False


def _broadcasts(value: Value, target: Value) -> bool:
    """True where a value of rank 1 or 2 fits the product, in one direction."""
    dims, wanted = value.dims, target.dims
    if dims is None or wanted is None or len(dims) > len(wanted):
        return False
    tail = wanted[len(wanted) - len(dims) :]
    return all(size in (1, full) for size, full in zip(dims, tail, strict=True))


@rule("GemmTransposeFusion", "Gemm")
def gemm_transpose(program: Program, op: Op) -> bool:
    """Transposes of A and B, and of a product without C, become transA and transB."""
    left, right = _transposed(op.input(0)), _transposed(op.input(1))
    after = op.output.only_reader
    turned = op.input(2) is None and after is not None and _is_swap(after)
    if left is None and right is None and not turned:
        return False
    inputs = list(op.inputs)
    flags = [op.integer("transA", 0), op.integer("transB", 0)]
    gone = []
    for position, transpose in enumerate((left, right)):
        if transpose is not None:
            inputs[position] = transpose.input(0)
            flags[position] ^= 1
            if transpose not in gone and set(transpose.output.readers) == {op}:
                gone.append(transpose)
    if turned and after is not None:
        inputs[0], inputs[1] = inputs[1], inputs[0]
        flags = [1 - flags[1], 1 - flags[0]]
    attributes = {**op.attributes, "transA": flags[0], "transB": flags[1]}
    last = [after] if turned and after is not None else []
    program.fuse([*gone, op, *last], "Gemm", inputs, attributes=attributes)
    return True


def _transposed(value: Value | None) -> Op | None:
    """The Transpose of a matrix that writes a value."""
    op = value.producer if value is not None else None
    if value is None or op is None or value.is_result or not _is_swap(op):
        return None
    return op


def _is_swap(op: Op) -> bool:
    return op.is_a("Transpose") and op.integers("perm") == (1, 0)


@rule("MatmulBNFusion", "MatMul")
def matmul_bn(program: Program, op: Op) -> bool:
    """A product of matrices with stored weights, and BatchNormalization: its scale goes into B."""
    after, weight = op.output.only_reader, op.input(1)
    if after is None or not after.is_a("BatchNormalization") or weight is None:
        return False
    constants = [weight, *after.inputs[1:5]]
    if not all(value is not None and value.constant for value in constants):
        return False
    if op.output.rank != 2 or weight.rank != 2 or len(after.outputs) > 1:
        return False
    bias = after.inputs[2]
    program.fuse([op, after], "Gemm", [op.input(0), weight, bias], folded=[after])
    return True


GEMM: Final[tuple[Rule, ...]] = (gemm_sum, gemm_transpose, matmul_bn)
"""Level 1, rule based: GemmSumFusion, GemmTransposeFusion, MatmulBNFusion."""


@rule("MatMulAddFusion", "MatMul")
def matmul_add(program: Program, op: Op) -> bool:
    """MatMul and Add, except around BERT's attention, which waits for AttentionFusion."""
    return _matmul_add(program, op, spared=True)


@rule("MatMulAddFusion", "MatMul")
def matmul_add_all(program: Program, op: Op) -> bool:
    """MatMul and Add, what AttentionFusion left included."""
    return _matmul_add(program, op, spared=False)


def _matmul_add(program: Program, op: Op, *, spared: bool) -> bool:
    """MatMul with a matrix on the right, and Add of what Gemm can broadcast.

    Of other ranks than 2 the left operand must have static sizes: it is reshaped to a matrix, and
    the product back (onnxruntime/core/optimizer/matmul_add_fusion.cc).
    """
    add, left, right = op.output.only_reader, op.input(0), op.input(1)
    if op.domain or add is None or not add.is_a("Add") or left is None or right is None:
        return False
    if left.dtype not in _GEMM_TYPES or left.dims is None or right.rank != 2:
        return False
    bias = add.inputs[1] if add.inputs[0] is op.output else add.inputs[0]
    if bias is None or not _is_bias(bias, left, right):
        return False
    if left.rank == 2:
        program.fuse([op, add], "Gemm", [left, right, bias])
        return True
    if left.static is None or right.static is None or (spared and _is_attention(op, add)):
        return False
    _reshaped_gemm(program, op, add, (left, right, bias))
    return True


def _is_bias(bias: Value, left: Value, right: Value) -> bool:
    """(N), and beside a matrix (1, N), (M, 1) or (M, N)."""
    dims, columns = bias.dims, (right.dims or (None, None))[1]
    if dims is None or columns is None:
        return False
    if len(dims) == 1:
        return dims[0] == columns
    if len(dims) != 2 or left.dims is None or len(left.dims) != 2:
        return False
    rows = left.dims[0]
    fits = dims[1] in (1, columns) and rows is not None and dims[0] == rows
    return fits or (dims[0] == 1 and dims[1] == columns)


def _is_attention(op: Op, add: Op) -> bool:
    """The products around BERT's attention.

    Three follow a LayerNormalization whose only other readers are one Add and Shapes; a fourth is
    that Add's other operand.
    """
    value = op.input(0)
    norm = value.producer if value is not None else None
    if norm is not None and norm.op_type == "LayerNormalization" and _residual(norm) is not None:
        return True
    residual = add.output.only_reader
    if residual is None or not residual.is_a("Add"):
        return False
    others = [one.producer for one in residual.inputs if one is not None and one is not add.output]
    return any(
        one is not None and one.op_type == "LayerNormalization" and _residual(one) is add
        for one in others
    )


def _residual(norm: Op) -> Op | None:
    """The Add that a LayerNormalization's output is added to, where it begins an attention."""
    value = norm.output
    kinds = [one.op_type for one, times in value.readers.items() for _ in range(times)]
    if kinds.count("MatMul") != 3 or kinds.count("Add") != 1:
        return None
    if kinds.count("Shape") != len(kinds) - 4:
        return None
    add = next(one for one in value.readers if one.op_type == "Add")
    other = add.inputs[1] if add.inputs[0] is value else add.inputs[0]
    found = other.producer if other is not None else None
    return found if found is not None and found.op_type == "Add" else None


def _reshaped_gemm(program: Program, op: Op, add: Op, operands: tuple[Value, Value, Value]) -> None:
    left, right, bias = operands
    sizes, (depth, columns) = left.static or (), right.static or (0, 0)
    rows = prod(sizes[:-1])
    result = add.output
    members = op.members | add.members
    folded = op.folded | add.folded
    program.remove(op)
    program.remove(add)
    matrix = program.value(left, shape=(rows, depth))
    product = program.value(result, shape=(rows, columns), dtype=left.dtype)
    program.add("Reshape", [left, _shape(program, left, (rows, depth))], [matrix])
    full = (*sizes[:-1], columns)
    program.add("Reshape", [product, _shape(program, left, full)], [result])
    program.add("Gemm", [matrix, right, bias], [product], members=members, folded=folded)


def _shape(program: Program, like: Value, sizes: tuple[int, ...]) -> Value:
    array = np.asarray(sizes, np.int64)
    return program.value(like, shape=(len(sizes),), dtype="int64", constant=True, array=array)


MATMUL_ADD: Final[tuple[Rule, ...]] = (matmul_add,)
"""Level 1: MatMulAddFusion."""
MATMUL_ADD_AGAIN: Final[tuple[Rule, ...]] = (matmul_add_all,)
"""Level 2: MatMulAddFusion."""

_GEMM_ACTIVATIONS: Final = frozenset(
    {
        *("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Elu", "Selu"),
        *("Softplus", "Softsign", "ThresholdedRelu"),
    }
)


@rule("GemmActivationFusion", "Gemm")
def gemm_activation(program: Program, op: Op) -> bool:
    """Gemm in fp32 and the activation that alone reads it."""
    after, source = op.output.only_reader, op.input(0)
    if after is None or source is None or after.domain or after.op_type not in _GEMM_ACTIVATIONS:
        return False
    if op.domain or source.dtype != "float":
        return False
    attributes = {**op.attributes, "activation": after.op_type}
    attributes |= {f"activation_{name}": value for name, value in after.attributes.items()}
    program.fuse([op, after], "FusedGemm", op.inputs, domain="com.microsoft", attributes=attributes)
    return True


ACTIVATIONS: Final[tuple[Rule, ...]] = (gemm_activation,)
"""Level 2: GemmActivationFusion."""
