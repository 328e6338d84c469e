"""A unit: an operator, the DequantizeLinear before it, the QuantizeLinear behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_internal
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.clips import is_redundant
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.parameters import (
    dequantize_of,
    is_quantize,
    quantized_type,
)

BYTES: Final = frozenset({"int8", "uint8"})
WORDS: Final = frozenset({"int16", "uint16"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """An operator with its neighbours.

    Attributes:
        op: The operator.
        sources: The DequantizeLinear that it reads, by position.
        clip: A Relu or Clip behind it that the QuantizeLinear makes redundant.
        sinks: The QuantizeLinear that read it (or the clip), one for each output.
    """

    op: Op
    sources: tuple[Op, ...]
    clip: Op | None
    sinks: tuple[Op, ...]

    @property
    def read(self) -> list[str | None]:
        """Quantized types that it reads."""
        return [quantized_type(op) for op in self.sources]

    @property
    def written(self) -> list[str | None]:
        """Quantized types that it writes."""
        return [quantized_type(op) for op in self.sinks]

    @property
    def types(self) -> set[str | None]:
        """All quantized types."""
        return {*self.read, *self.written}

    @property
    def is_uniform(self) -> bool:
        """True where every end has the same 8-bit type."""
        return len(self.types) == 1 and self.types <= BYTES


def unit_of(program: Program, op: Op) -> Unit | None:
    """The unit around an operator; None where a Relu or Clip behind it has to run."""
    found = [dequantize_of(program, value) for value in op.inputs]
    sources = tuple(one for one in found if one is not None)
    clip = _clip(op)
    sinks = _sinks(clip or op)
    if clip is not None and (len(sinks) != 1 or not is_redundant(clip, sinks[0])):
        return None
    return Unit(op=op, sources=sources, clip=clip, sinks=sinks)


def _clip(op: Op) -> Op | None:
    """The Relu or Clip that alone reads the operator, and that one other reads."""
    edges = [reader for value in op.outputs if value is not None for reader in value.readers]
    if len(edges) != 1 or sum(value.uses - value.is_result for value in op.outputs if value) != 1:
        return None
    (reader,) = edges
    return reader if reader.op_type in ("Relu", "Clip") and is_internal(reader) else None


def _sinks(op: Op) -> tuple[Op, ...]:
    """The QuantizeLinear behind each output; the last one where several read it."""
    found = []
    for value in op.outputs:
        readers = [] if value is None else [one for one in value.readers if is_quantize(one)]
        if readers:
            found.append(max(readers, key=lambda one: one.index))
    return tuple(found)


def is_paired(unit: Unit, sources: int | None = None, *, open_end: bool = False) -> bool:
    """True where nobody else reads the inner ends of a unit.

    Args:
        unit: The unit.
        sources: Number of inputs that a DequantizeLinear writes; None for all of them.
        open_end: It may do without a QuantizeLinear.
    """
    op = unit.op
    wanted = sum(value is not None for value in op.inputs) if sources is None else sources
    if len(unit.sources) != wanted or not all(is_internal(one) for one in unit.sources):
        return False
    if not unit.sinks:
        return open_end
    outputs = sum(value is not None for value in op.outputs)
    return outputs == len(unit.sinks) and is_internal(op, outputs)


def replace(
    program: Program, unit: Unit, op_type: str, domain: str, inputs: Iterable[Value | None]
) -> Op:
    """One operator in the place of a unit.

    What the redundant clip did, and what dequantizes constants, is nobody's work at run time.
    """
    clips = [] if unit.clip is None else [unit.clip]
    stored = [one for one in unit.sources if one.inputs[0] is not None and one.inputs[0].constant]
    written = [value for one in unit.sinks for value in one.outputs] or unit.op.outputs
    return program.fuse(
        [*unit.sources, unit.op, *clips, *unit.sinks],
        op_type,
        inputs,
        written,
        domain=domain,
        attributes=unit.op.attributes,
        folded=[*stored, *clips],
    )


def strip(program: Program, unit: Unit) -> None:
    """Let the operator itself work on the integers; it keeps its place."""
    gone = [*unit.sources, *unit.sinks]
    written = [value for one in unit.sinks for value in one.outputs] or unit.op.outputs
    program.set_input(unit.op, 0, unit.sources[0].input(0))
    program.extend(unit.op, gone, written, folded=gone)
