"""What a walk has put into the blocked layout, and the operators that move values into it and out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlsys_lint.program import Op, Program, Value
from mlsys_lint.records.graph import Attribute
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.origins import Origins, own_origins
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.sizes import (
    Dims,
    padded,
    reordered,
    with_channels,
)

NCHWC: Final = "com.microsoft.nchwc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A value's twin in the blocked layout.

    Attributes:
        op: The operator that writes it.
        value: Its channels are padded.
        channels: Without the padding.
        uses: Of the plain value, before anything that reads it was converted.
        origins: Of its sizes.
    """

    op: Op
    value: Value
    channels: int
    uses: int
    origins: Origins

    @property
    def is_bare(self) -> bool:
        """Written by a convolution that applies no activation yet."""
        return self.op.is_a("Conv", NCHWC) and not self.op.text("activation")


class Layout:
    """What a walk has converted so far.

    A converted operator no longer writes its plain value: readers that are converted later read the
    blocked twin, and the others get it from a ReorderOutput at the end.

    Attributes:
        program: The program.
        block: Channels in a block.
        found: Plain value -> its blocked twin, in the order of the walk.
        transpose: The last Transpose from channels last to channels first that one edge reads.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.block = program.block
        self.found: dict[Value, Blocked] = {}
        self.transpose: Op | None = None
        self._reordered: dict[Value, Value] = {}
        self._stored: dict[tuple[Value, tuple[int, ...]], Value] = {}
        self._shapes: dict[tuple[int, ...], Value] = {}

    # -- what operators read ----------------------------------------------------------------

    def of(self, value: Value | None) -> Blocked | None:
        """The twin of a plain value, where it has one."""
        return None if value is None else self.found.get(value)

    def of_all(self, op: Op) -> list[Blocked] | None:
        """The twins of all that an operator reads; None where something has none."""
        found = [one for value in op.inputs if (one := self.of(value)) is not None]
        return found if found and len(found) == len(op.inputs) else None

    def read(self, op: Op, parts: Sequence[Blocked]) -> None:
        """Let an operator read twins instead of plain values."""
        for position, one in enumerate(parts):
            self.program.set_input(op, position, one.value)

    def read_first(self, op: Op) -> Origins | None:
        """Let a converted operator read the twin of its first input; the origins of its sizes.

        None where it had no twin: a ReorderInput makes one, for all that need it.
        """
        plain = op.input(0)
        twin = self.of(plain)
        if twin is not None:
            self.program.set_input(op, 0, twin.value)
        elif plain is not None:
            if plain not in self._reordered:
                self._reordered[plain] = self._reorder(plain)
            self.program.set_input(op, 0, self._reordered[plain])
        return None if twin is None else twin.origins

    def _reorder(self, plain: Value) -> Value:
        """Add a ReorderInput; the Transpose that was remembered becomes part of it."""
        made = self.twin(plain, plain.shape[1] if plain.shape else 0)
        made.dims = reordered(plain, self.block)
        transpose = self.transpose
        if transpose is None or transpose.output is not plain:
            self.program.add("ReorderInput", [plain], [made], domain=NCHWC)
            return made
        last = {"channels_last": 1}
        read = transpose.inputs
        self.program.fuse([transpose], "ReorderInput", read, [made], domain=NCHWC, attributes=last)
        self.transpose = None
        return made

    def stored(self, value: Value, shape: tuple[int, ...]) -> Value:
        """A constant padded to a shape, shared by all that pad it so."""
        if value.shape == shape:
            return value
        if (value, shape) not in self._stored:
            made = self.program.value(value, shape=shape, constant=True)
            made.origin = value.origin
            self._stored[value, shape] = made
        return self._stored[value, shape]

    def target(self, like: Value, *sizes: int) -> Value:
        """The constant shape that a Reshape reads, shared by all that reshape so."""
        if sizes not in self._shapes:
            array = np.array(sizes, np.int64)
            self._shapes[sizes] = self.program.value(
                like, shape=array.shape, dtype="int64", constant=True, array=array
            )
        return self._shapes[sizes]

    # -- what they write --------------------------------------------------------------------

    def twin(self, plain: Value, channels: int) -> Value:
        """A new blocked value; its sizes as known at load are still to be set."""
        whole = padded(channels, self.block)
        return self.program.value(plain, shape=with_channels(plain.shape, whole))

    def convert(
        self,
        op: Op,
        op_type: str,
        inputs: Iterable[Value | None],
        channels: int,
        attributes: Mapping[str, Attribute],
    ) -> Op:
        """Replace an operator by one that writes a twin; `register` must follow."""
        made = [self.twin(op.output, channels)]
        read = list(inputs)
        return self.program.fuse([op], op_type, read, made, domain=NCHWC, attributes=attributes)

    def keep(self, op: Op, channels: int, dims: Dims, origins: Origins | None = None) -> None:
        """Let an operator that reads twins write one, too: it keeps its place."""
        plain = op.output
        self.rewrite(op, self.twin(plain, channels))
        self.register(op, plain, channels, dims, origins)

    def rewrite(self, op: Op, value: Value) -> None:
        """Let an operator write another value than its plain one."""
        plain = op.output
        self.program.extend(op, (), [value])
        plain.producer = None

    def register(
        self, op: Op, plain: Value, channels: int, dims: Dims, origins: Origins | None = None
    ) -> None:
        """Note which operator writes the twin of a plain value, and its sizes as known at load."""
        op.output.dims = dims
        self.found[plain] = Blocked(
            op=op,
            value=op.output,
            channels=channels,
            uses=plain.uses,
            origins=origins or own_origins(plain),
        )

    def absorb(self, into: Blocked, ops: Sequence[Op]) -> None:
        """Let the convolution that writes a twin also compute what follows it."""
        plain = ops[-1].output
        self.program.extend(into.op, ops, into.op.outputs)
        self.register(into.op, plain, into.channels, into.value.dims, into.origins)

    def finish(self) -> None:
        """Add a ReorderOutput for every plain value that is still read.

        ONNX Runtime's order is that of a hash table of addresses and differs from run to run
        (observed); here it is that of the walk.
        """
        for plain, twin in self.found.items():
            if plain.uses:
                self.program.add(
                    "ReorderOutput",
                    [twin.value],
                    [plain],
                    domain=NCHWC,
                    attributes={"channels": twin.channels},
                )
