"""The order in which ONNX Runtime applies its optimizers (its verbose log, release 1.32.0)."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Level, Pass, Program, optimize
from mlsys_lint_plugins.runtimes.onnxruntime import (
    algebra,
    casts,
    convolutions,
    elimination,
    folding,
    functions,
    fused_matmul,
    gelu,
    layer_norm,
    nchwc,
    nhwc,
    products,
    quantization,
    reshapes,
    skip_layer_norm,
    splits,
    transposes,
)

_LEVEL_1: Final = Level(
    name="level 1",
    steps=(
        Pass(
            rules=(
                *elimination.RULES,
                *algebra.RULES,
                *products.GEMM,
                *convolutions.CONSTANTS,
            )
        ),
        *quantization.LEVEL_1,
        *folding.SHARING,
        folding.COMMON_SUBEXPRESSIONS,
        folding.CONSTANT_FOLDING,
        *products.MATMUL_ADD,
        *reshapes.RULES,
        *reshapes.SPACE_TO_DEPTH,
        *gelu.LEVEL_1,
        *layer_norm.LEVEL_1,
        *quantization.LEVEL_1_END,
        *transposes.LEVEL_1,
    ),
)
_LEVEL_2: Final = Level(
    name="level 2",
    steps=(
        *quantization.CLIPS,
        *transposes.CPU,
        *quantization.LEVEL_2,
        *products.ACTIVATIONS,
        *quantization.DYNAMIC,
        *convolutions.ACTIVATIONS,
        *gelu.LEVEL_2,
        *layer_norm.LEVEL_2,
        *splits.SPLIT,
        *splits.SLICE,
        *fused_matmul.TRANSPOSES,
        *gelu.BIAS,
        *products.MATMUL_ADD_AGAIN,
        *skip_layer_norm.RULES,
        *gelu.FAST,
        *gelu.QUICK,
        *fused_matmul.SCALES,
        *quantization.LOW_BIT,
    ),
)
_LEVEL_3: Final = Level(name="level 3", steps=(*nchwc.STEPS, *nhwc.STEPS, *convolutions.RESIDUALS))
LEVELS: Final = (
    Level(name="before", steps=quantization.PREPARE, rounds=1),
    _LEVEL_1,
    Level(name="functions", steps=functions.STEPS),
    _LEVEL_2,
    _LEVEL_3,
)


def rewrite(program: Program) -> None:
    """ORT_ENABLE_ALL on a program."""
    optimize(program, LEVELS)
    while casts.insert_casts(program):
        optimize(program, (_LEVEL_2, _LEVEL_3))
