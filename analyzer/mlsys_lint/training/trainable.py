"""Which stored tensors are trained: inferred from what reads them, or named by the user.

A file does not tell weights from tables. Trained are floating-point parameters that an operator
reads as a weight: contractions, normalizations, recurrent cells, embeddings; and of element-wise
arithmetic what shifts or scales values that other weights reach. Not trained: running statistics
and other buffers, scalars, shape constants, what prepares the graph's inputs (the mean of images), masks
that select, and factors along more than one axis (tables of angles).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from mlsys_lint.errors import OptionError
from mlsys_lint.records import TensorInfo
from mlsys_lint.training.flow import Flow, Step, is_real

_SHIFTS: Final = frozenset({"Add", "Sub", "Sum"})
_SCALES: Final = frozenset({"Mul", "Div"})
_PLAIN: Final = frozenset({"Where", "Min", "Max", "Mean", "Pow", "Mod", "Clip"})
"""Element-wise operators whose constants are limits, masks and exponents."""


@dataclass(slots=True)
class Candidates:
    """Stored tensors that gradients can reach.

    Attributes:
        tensors: By origin.
        inferred: Origins of those that are trained unless the user says otherwise.
        matrices: Origins of those that contractions multiply.
    """

    tensors: dict[str, TensorInfo] = field(default_factory=dict)
    inferred: dict[str, None] = field(default_factory=dict)
    matrices: set[str] = field(default_factory=set)


def find_candidates(flow: Flow, parameters: Collection[str]) -> Candidates:
    """Look at every reader of a constant that counts as a parameter, in executable order."""
    found = Candidates()
    sources: dict[int, tuple[str, ...]] = {}
    reached: set[int] = set()
    multiplied: set[int] = set()
    for step in flow.steps:
        slots = step.slots()
        for position in slots:
            tensor = step.inputs[position]
            if tensor is not None and tensor.origin is not None and tensor.origin in parameters:
                found.tensors.setdefault(tensor.origin, tensor)
                sources[tensor.uid] = (tensor.origin,)
        if step.is_constant:
            _hand_on(step, slots, sources)
            continue
        computed = [position for position in slots if _uid(step, position) in reached]
        trained = [
            position
            for position in slots
            if _uid(step, position) in sources
            and _is_weight(step, position, computed=bool(computed), multiplied=multiplied)
        ]
        for position in trained:
            for origin in sources[_uid(step, position)]:
                found.inferred[origin] = None
                if position < 2 and _contracts(step):
                    found.matrices.add(origin)
        results = [tensor.uid for tensor in step.outputs if tensor is not None and is_real(tensor)]
        if computed or trained:
            reached.update(results)
        if _contracts(step):
            multiplied.update(results)
    return found


def _hand_on(step: Step, slots: Sequence[int], sources: dict[int, tuple[str, ...]]) -> None:
    """What is computed from stored tensors alone stands for them: a transposed weight."""
    origins = [origin for position in slots for origin in sources.get(_uid(step, position), ())]
    for tensor in step.outputs:
        if origins and tensor is not None and is_real(tensor):
            sources[tensor.uid] = tuple(dict.fromkeys(origins))


def _uid(step: Step, position: int) -> int:
    tensor = step.inputs[position]
    return tensor.uid if tensor is not None else -1


def _contracts(step: Step) -> bool:
    return step.one is not None and step.one.cost is not None and bool(step.one.cost.contractions)


def _is_weight(step: Step, position: int, *, computed: bool, multiplied: Collection[int]) -> bool:
    """Whether a node reads the constant at a position as a weight.

    `computed`: another operand depends on a weight. `multiplied`: uids of contractions' results.
    """
    one, tensor = step.one, step.inputs[position]
    if one is None or tensor is None or (one.spec is not None and position in one.spec.buffers):
        return False
    name = one.node.op_type if one.node.domain == "" else ""
    long_axes = sum(size != 1 for size in tensor.shape or ())
    if name in _SHIFTS:
        after_product = any(_uid(step, other) in multiplied for other in range(len(step.inputs)))
        return computed and (long_axes > 0 or after_product)
    if name in _SCALES:
        return computed and long_axes == 1
    if name == "Concat":
        return computed and long_axes > 0
    return name not in _PLAIN


def choose(
    found: Candidates, trainable: Sequence[str], frozen: Sequence[str]
) -> Mapping[str, TensorInfo]:
    """The tensors that are trained, by origin: those inferred, or those that the patterns name.

    Raises:
        OptionError: a pattern matches no stored tensor that gradients can reach.
    """
    for option, patterns in (("--trainable", trainable), ("--frozen", frozen)):
        for pattern in patterns:
            _check_pattern(option, pattern, found.tensors.values())
    origins: Iterable[str] = found.inferred
    if trainable:
        origins = _matching(found, trainable)
    left_out = set(_matching(found, frozen))
    return {origin: found.tensors[origin] for origin in origins if origin not in left_out}


def _matching(found: Candidates, patterns: Sequence[str]) -> Iterator[str]:
    return (
        origin
        for origin, tensor in found.tensors.items()
        if any(fnmatchcase(tensor.name, pattern) for pattern in patterns)
    )


def _check_pattern(option: str, pattern: str, tensors: Iterable[TensorInfo]) -> None:
    names = [tensor.name for tensor in tensors]
    if not any(fnmatchcase(name, pattern) for name in names):
        known = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
        raise OptionError(
            f"{option} {pattern}: no stored tensor that can be trained has such a name; "
            f"there are: {known or 'none'}"
        )
