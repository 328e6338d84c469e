"""FusedMatMul: products that read transposed operands and scale their result."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Op, Program, Rule, Value, rule


def _is_product(program: Program, op: Op) -> bool:
    known = op.is_a("MatMul") or op.is_a("FusedMatMul", "com.microsoft")
    source = op.input(0)
    return known and source is not None and source.dtype in {*program.floats, "double"}


@rule("MatmulTransposeFusion", "MatMul", "FusedMatMul")
def matmul_transpose(program: Program, op: Op) -> bool:
    """Transposes of the last two axes, or of the first batch axis to their side, before a product.

    A Transpose that others read too stays for them.
    """
    if not _is_product(program, op):
        return False
    ranks = {value.rank for value in op.inputs if value is not None}
    found = [_transpose(op.input(position), batched=len(ranks) == 1) for position in (0, 1)]
    if not any(found):
        return False
    inputs = list(op.inputs)
    attributes = dict(op.attributes)
    gone: list[Op] = []
    for position, (side, transpose) in enumerate(zip("AB", found, strict=True)):
        if transpose is None:
            continue
        rows, batch = _sides(transpose.integers("perm") or ()) or (False, False)
        inputs[position] = transpose.input(0)
        attributes[f"trans{side}"] = op.integer(f"trans{side}", 0) ^ rows
        attributes[f"transBatch{side}"] = op.integer(f"transBatch{side}", 0) ^ batch
        if transpose not in gone and set(transpose.output.readers) == {op}:
            gone.append(transpose)
    program.fuse([*gone, op], "FusedMatMul", inputs, domain="com.microsoft", attributes=attributes)
    return True


def _transpose(value: Value | None, *, batched: bool) -> Op | None:
    """The Transpose that writes an operand and that the product can do itself.

    `batched`: the operands have one rank, so a batch axis may move too (observed).
    """
    op = value.producer if value is not None else None
    if value is None or op is None or not op.is_a("Transpose") or value.is_result:
        return None
    perm = op.integers("perm")
    sides = None if perm is None else _sides(perm)
    return op if sides is not None and (batched or not sides[1]) else None


def _sides(perm: tuple[int, ...]) -> tuple[bool, bool] | None:
    """(rows and columns change places, batch axes begin at 1); None for any other permutation.

    The source's last axis must stay among the last two, batch axes must be in order and adjacent.
    """
    rank = len(perm)
    if rank < 2 or rank - 1 not in perm[-2:]:
        return None
    batch = perm[:-2]
    if batch and (batch[0] > 1 or batch != tuple(range(batch[0], batch[0] + len(batch)))):
        return None
    return perm[-2] == rank - 1, bool(batch) and batch[0] == 1


@rule("MatMulScaleFusion", "MatMul", "FusedMatMul")
def matmul_scale(program: Program, op: Op) -> bool:
    """Multiplication or division by a scalar constant before an operand or after the product.

    A scale that others read too stays for them (onnxruntime/core/optimizer/matmul_scale_fusion.cc).
    """
    if not _is_product(program, op):
        return False
    inputs, gone = list(op.inputs), []
    for position in (0, 1):
        value = op.inputs[position]
        scale = value.producer if value is not None else None
        unscaled = _unscaled(scale)
        if value is None or scale is None or unscaled is None or not unscaled.dims:
            continue
        inputs[position] = unscaled
        if not value.is_result and set(value.readers) == {op} and scale not in gone:
            gone.append(scale)
    after = op.output.only_reader
    last = [after] if after is not None and _unscaled(after) is op.output else []
    if inputs == op.inputs and not last:
        return False
    program.fuse(
        [*gone, op, *last],
        "FusedMatMul",
        inputs,
        domain="com.microsoft",
        attributes=op.attributes,
        folded=[*gone, *last],
    )
    return True


def _unscaled(op: Op | None) -> Value | None:
    """What a Mul or Div by a scalar constant scales."""
    if op is None or op.domain or op.op_type not in ("Mul", "Div"):
        return None
    first, second = op.inputs
    pairs = [(second, first)] if op.op_type == "Div" else [(first, second), (second, first)]
    for scale, value in pairs:
        if scale is None or value is None or scale.number() is None:
            continue
        if (scale.rank or 0) <= (value.rank or 0):
            return value
    return None


TRANSPOSES: Final[tuple[Rule, ...]] = (matmul_transpose,)
"""Level 2: MatmulTransposeFusion."""
SCALES: Final[tuple[Rule, ...]] = (matmul_scale,)
"""Level 2: MatMulScaleFusion."""
