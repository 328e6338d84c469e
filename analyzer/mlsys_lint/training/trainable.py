"""Which stored tensors are trained: inferred from what reads them, or named by the user.

A file does not tell weights from tables. Trained are floating-point parameters that an operator
reads as a weight: contractions, normalizations, recurrent cells, embeddings; and of element-wise
arithmetic what shifts or scales values that other weights reach. Not trained: running statistics
and other buffers, scalars, shape constants, what prepares the graph's inputs (the mean of images), masks
that select, and factors along more than one axis (tables of angles).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from mlsys_lint.errors import OptionError
from mlsys_lint.records import TensorInfo
from mlsys_lint.training.flow import Flow, Step, is_real
from mlsys_lint.training.options import TrainingOptions

_SHIFTS: Final = frozenset({"Add", "Sub", "Sum"})
_SCALES: Final = frozenset({"Mul", "Div"})
_PLAIN: Final = frozenset({"Where", "Min", "Max", "Mean", "Pow", "Mod", "Clip"})
"""Element-wise operators whose constants are limits, masks and exponents."""

_REARRANGE: Final = frozenset(
    {
        *("Expand", "Tile", "Reshape", "Squeeze", "Unsqueeze", "Flatten"),
        *("Transpose", "Slice", "Identity", "Cast", "CastLike"),
    }
)
"""What they make of a constant is judged by its reader."""


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
        if step.is_constant or _rearranges(step, sources):
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


def _rearranges(step: Step, sources: Mapping[int, tuple[str, ...]]) -> bool:
    node = step.one.node if step.one is not None else None
    named = node is not None and node.domain == "" and node.op_type in _REARRANGE
    return named and _uid(step, 0) in sources


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


def choose(found: Candidates, options: TrainingOptions) -> Mapping[str, TensorInfo]:
    """The tensors that are trained, by origin: those inferred, or those that the patterns name.

    Raises:
        OptionError: a pattern matches no stored tensor that gradients can reach.
    """
    check_patterns([tensor.name for tensor in found.tensors.values()], options)
    origins: Iterable[str] = found.tensors if options.trainable else found.inferred
    return {
        origin: found.tensors[origin]
        for origin in origins
        if is_chosen(found.tensors[origin].name, options)
    }


def is_chosen(name: str, options: TrainingOptions) -> bool:
    """True where the patterns (`*` and `?` as in a shell) let a tensor be trained."""
    if any(fnmatchcase(name, pattern) for pattern in options.frozen):
        return False
    return not options.trainable or any(fnmatchcase(name, one) for one in options.trainable)


def check_patterns(names: Sequence[str], options: TrainingOptions) -> None:
    """Refuse patterns that fit nothing: OptionError."""
    for option, patterns in (("--trainable", options.trainable), ("--frozen", options.frozen)):
        for pattern in patterns if options.strict else ():
            if not any(fnmatchcase(name, pattern) for name in names):
                known = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
                raise OptionError(
                    f"{option} {pattern}: no tensor that can be trained has such a name; "
                    f"there are: {known or 'none'}"
                )
