"""One walk through a program, in which every operator that can run in the blocked layout does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from mlsys_lint.program import Op, Program
from mlsys_lint_plugins.runtimes.onnxruntime.matching import never
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.convolutions import convolution, normalization
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.elementwise import activation, concat, multiply
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.layout import Layout
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.pooling import (
    pool,
    resize,
    track_transpose,
    transpose,
)
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.sums import add

_Convert: TypeAlias = Callable[[Layout, Op], None]
_MICROSOFT: Final = "com.microsoft"
_AXES: Final = 4
_ANYWHERE: Final[Mapping[tuple[str, str], _Convert]] = {
    ("", "Conv"): convolution,
    (_MICROSOFT, "FusedConv"): convolution,
    ("", "MaxPool"): pool,
    ("", "AveragePool"): pool,
    ("", "Mul"): multiply,
}
_DETACHED: Final[Mapping[tuple[str, str], _Convert]] = {
    ("", "Add"): add,
    ("", "Sum"): add,
    ("", "Concat"): concat,
    **{("", name): activation for name in ("Relu", "HardSigmoid", "Sigmoid", "Tanh", "Gelu")},
    (_MICROSOFT, "Gelu"): activation,
    (_MICROSOFT, "QuickGelu"): activation,
    ("", "BatchNormalization"): normalization,
    ("", "Transpose"): transpose,
    ("", "Upsample"): resize,
    ("", "Resize"): resize,
    ("", "GlobalMaxPool"): pool,
    ("", "GlobalAveragePool"): pool,
}
"""Only where no operator outside the blocked layout computes an input."""


def block(program: Program, elsewhere: Callable[[Op], bool] = never) -> bool:
    """Convert a program's operators in execution order, then reorder what plain operators read.

    What runs `elsewhere` than on the CPU is such a plain operator.
    """
    if not program.block:
        return False
    layout = Layout(program)
    for op in program.order():
        if op.program is not program or not _is_image(op):  # absorbed meanwhile, or no matter
            continue
        if op.is_a("Transpose"):
            track_transpose(layout, op)
        kind = (op.domain, op.op_type)
        convert = _ANYWHERE.get(kind) or (_DETACHED.get(kind) if _is_detached(op) else None)
        if convert is not None and not elsewhere(op):
            convert(layout, op)
    layout.finish()
    return bool(layout.found)


def _is_image(op: Op) -> bool:
    """Whether the first result can have four axes, as all have that take part in the layout."""
    value = op.outputs[0] if op.outputs else None
    known = () if value is None else (value.shape, value.dims)
    return all(sizes is None or len(sizes) == _AXES for sizes in known)


def _is_detached(op: Op) -> bool:
    producers = [value.producer for value in op.inputs if value is not None]
    return all(one is None or one.program is not op.program for one in producers)
