"""A Transpose before a Transpose or a Reshape: they cancel, become one, or change places."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mlsys_lint.program import Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.edits import cancel, release
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import (
    Permutation,
    composed,
    permuted,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.pushing import Push
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.reading import (
    elements,
    is_enclosed,
    maker_of,
    permutation_of,
    source_of,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.writing import (
    integers,
    replace_readers,
    set_attribute,
    write_to,
)


def transpose(push: Push) -> bool:
    """A second Transpose of the same rank."""
    own = permutation_of(push.op)
    return own is not None and len(own) == push.rank and _merge(push, own)


def reshape(push: Push) -> bool:
    """A Reshape to a constant shape, of known sizes.

    One that only moves axes of size 1 is a Transpose. One that splits axes can split those of the
    Transpose's source instead: (0, 3, 1, 2) and [1, 24, 12, 20] -> [1, 3, 8, 12, 20] become
    [1, 12, 20, 24] -> [1, 12, 20, 3, 8] and (0, 3, 4, 1, 2) (observed).
    """
    before, wanted = push.transpose.output.static, elements(push.op.input(1))
    if before is None or wanted is None:
        return False
    keeps_zeros = push.program.opset >= 14 and push.op.integer("allowzero", 0) == 1
    after = _final_sizes(before, wanted, keeps_zeros=keeps_zeros)
    if after is None:
        return False
    if len(after) != push.rank:
        groups = _split_groups(before, after)
        return groups is not None and _split_first(push, groups)
    own = _as_permutation(before, after)
    return own is not None and _merge(push, own)


def _final_sizes(
    source: tuple[int, ...], wanted: tuple[int, ...], *, keeps_zeros: bool
) -> tuple[int, ...] | None:
    """Sizes after a Reshape; None where the counts of elements differ."""
    sizes = [
        source[axis] if size == 0 and not keeps_zeros and axis < len(source) else size
        for axis, size in enumerate(wanted)
    ]
    rest = prod(size for size in sizes if size != -1)
    if -1 in sizes and rest:
        sizes[sizes.index(-1)] = prod(source) // rest
    return tuple(sizes) if prod(sizes) == prod(source) and min(sizes, default=0) >= 0 else None


def _split_groups(source: tuple[int, ...], target: tuple[int, ...]) -> list[tuple[int, ...]] | None:
    """The sizes into which each axis is split, the fewest that make up its size."""
    rest = list(reversed(target))
    groups = []
    for size in source:
        group = [rest.pop()] if rest else []
        while rest and prod(group) < size:
            group.append(rest.pop())
        if not group or prod(group) != size:
            return None
        groups.append(tuple(group))
    return None if rest else groups


def _split_first(push: Push, groups: Sequence[tuple[int, ...]]) -> bool:
    """Split the axes before the Transpose, which then moves their parts together."""
    moved = permuted(groups, push.inverse)
    starts = [sum(map(len, moved[:axis])) for axis in range(push.rank)]
    perm = tuple(starts[axis] + part for axis in push.perm for part in range(len(moved[axis])))
    output = push.op.output
    sizes = integers(push.program, output, tuple(size for group in moved for size in group))
    push.program.set_input(push.op, 1, sizes)
    return push.through(perm)


def _as_permutation(source: tuple[int, ...], target: tuple[int, ...]) -> Permutation | None:
    """The permutation that leaves sizes other than 1 in their order; None where there is none."""
    free = list(enumerate(source))
    perm = []
    for size in target:
        found = next((one for one in free if one[1] == size or (one[1] != 1 and size != 1)), None)
        if found is None or found[1] != size:
            return None
        free.remove(found)
        perm.append(found[0])
    return tuple(perm)


def _merge(push: Push, own: Permutation) -> bool:
    """Cancel the two, or let the second do the work of both."""
    program, op = push.program, push.op
    if own == push.inverse:
        _cancel_both(push)
        return True
    source, perm = source_of(push.transpose), composed(push.perm, own)
    if op.op_type == "Reshape":
        op = program.fuse([op], "Transpose", [source], attributes={"perm": perm})
    else:
        program.set_input(op, 0, source)
        set_attribute(program, op, "perm", perm)
    op.members |= release(program, push.transpose)
    return True


def _cancel_both(push: Push) -> None:
    program, op = push.program, push.op
    source, result = source_of(push.transpose), op.output
    if is_enclosed(result):
        replace_readers(program, result, source)
        program.drop(op, "cancelled")
    else:
        program.drop(op, "cancelled")
        _hand_over(program, source, result)
    cancel(program, release(program, push.transpose))


def _hand_over(program: Program, source: Value, result: Value) -> None:
    """Let the producer of `source` write `result`; a copy does where neither may go."""
    maker = maker_of(program, source)
    if maker is None or not is_enclosed(source):
        program.add("Identity", [source], [result])
        return
    replace_readers(program, source, result)
    write_to(maker, maker.outputs.index(source), result)
    source.producer = None
