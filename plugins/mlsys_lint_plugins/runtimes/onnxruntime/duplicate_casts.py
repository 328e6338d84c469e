"""Casts that follow each other (RemoveDuplicateCastTransformer)."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Op, Program, bypass

INSERTED: Final = "InsertedPrecisionFreeCast"
"""Name of a Cast that serves a kernel: what it rounds would not have been there."""

_GROUPS: Final = {
    "bool": "bool",
    **dict.fromkeys(("int8", "int16", "int32", "int64"), "signed"),
    **dict.fromkeys(("uint8", "uint16", "uint32", "uint64"), "unsigned"),
    **dict.fromkeys(("bfloat16", "float16", "float", "double"), "float"),
}
_BITS: Final = {
    "bool": 1,
    **dict.fromkeys(("int8", "uint8"), 8),
    **dict.fromkeys(("int16", "uint16", "bfloat16", "float16"), 16),
    **dict.fromkeys(("int32", "uint32", "float"), 32),
    **dict.fromkeys(("int64", "uint64", "double"), 64),
}


def remove_duplicates(program: Program) -> bool:
    """Of two Casts in a row the first goes; both go where they lead back to the first type.

    They stay where the first one loses what the second could not restore.
    """
    changed = False
    for index in sorted(program.ops):
        op = program.ops.get(index)
        if op is not None and op.is_a("Cast"):
            changed |= _shorten(program, op)
    return changed


def _shorten(program: Program, op: Op) -> bool:
    source, output = op.input(0), op.output
    casts = [reader for reader in output.readers if reader.is_a("Cast")]
    if source is None or not casts:
        return False
    first, second = source.dtype, output.dtype
    lossy = _loses(first, second, op)
    if lossy and any(_loses(one.output.dtype, second, one) for one in casts):
        return False
    gone = [one for one in casts if one.output.dtype == first and not one.output.is_result]
    kept = [one for one in casts if one not in gone]
    alone = output.uses == len(casts) and not output.is_result
    for one in gone:
        bypass(program, one, source, "cancelled")
    if not alone or (lossy and any(one.output.dtype == "bool" for one in kept)):
        return bool(gone)
    for one in kept:
        program.set_input(one, 0, source)
    program.drop(op, "cancelled")
    return True


def _loses(first: str | None, second: str | None, op: Op) -> bool:
    """True where a Cast from the first type to the second may lose something."""
    one, other = _GROUPS.get(first or ""), _GROUPS.get(second or "")
    if first is None or second is None or one is None or other is None:
        return True
    before, after = _BITS[first], _BITS[second]
    if one == "float" and other != "float":
        return True
    if other == "unsigned" and one not in ("bool", "unsigned"):
        return True
    if (one, other) in (("unsigned", "signed"), ("signed", "float"), ("unsigned", "float")):
        return after <= before
    if {first, second} == {"float16", "bfloat16"}:
        return True
    return before > after and op.name != INSERTED
