"""ONNX Runtime's optimizers for models on CUDA: ORT_ENABLE_ALL of release 1.32.0.

What differs from the CPU was read in onnxruntime/core/optimizer (graph_transformer_utils.cc names
the providers of each optimizer) and compared with the graphs that onnxruntime-gpu 1.31.1 saves for
140 models; on the CPU 1.31.1 and 1.32.0 save the same. That was done without a GPU, with stand-ins
for CUDA's libraries: no kernel ran, and which kernels cuDNN and cuBLAS choose is not known here.

- Convolutions take in neither activations nor sums, nor do Gemms: those optimizers are the CPU's.
- No blocked layout, and channels last only where the user asks for it (prefer_nhwc is 0).
- Half precision has kernels: fusions find it, and no Casts surround it.
- Softmax takes in the Add of a mask.
- Quantized pairs stay: of quantized units only products with weights of few bits, MatMulNBits, are
  made for the GPU.
- What has no GPU kernel runs on the CPU, and so does arithmetic on sizes; Memcpy operators carry what
  the other side needs. Of the CPU's own optimizers it gets those of quantized units and layouts.

Left out: AttentionFusion, EmbedLayerNormFusion, GroupQueryAttentionFusion and BiasDropoutFusion,
which none of the 140 models hits, and how operators on both sides take turns.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from mlsys_lint.program import Level, Op, Pass, Program, Rule, Step, Sweep, optimize, rule
from mlsys_lint_plugins.runtimes.onnxruntime import (
    bias_softmax,
    casts,
    fused_matmul,
    gelu,
    layer_norm,
    levels,
    nhwc,
    products,
    quantization,
    skip_layer_norm,
    splits,
)
from mlsys_lint_plugins.runtimes.onnxruntime.cuda_kernels import runs_on_gpu
from mlsys_lint_plugins.runtimes.onnxruntime.functions import inline_functions
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.walk import block
from mlsys_lint_plugins.runtimes.onnxruntime.placement import insert_copies
from mlsys_lint_plugins.runtimes.onnxruntime.quantization import low_bit

_FLOATS: Final = frozenset({"float", "float16", "bfloat16"})


def _on_cpu(*steps: Step) -> tuple[Step, ...]:
    """Rules that are tried only at operators without a GPU kernel; sweeps are none of them."""
    return tuple(
        replace(step, rules=tuple(map(_restricted, step.rules)))
        if isinstance(step, Pass)
        else _restricted(step)
        for step in steps
        if not isinstance(step, Sweep)
    )


def _restricted(one: Rule) -> Rule:
    def apply(program: Program, op: Op) -> bool:
        return not runs_on_gpu(op) and one.apply(program, op)

    return replace(one, apply=apply)


@rule("QDQSelectorActionTransformer", "MatMul", "Gemm")
def _low_bit_product(program: Program, op: Op) -> bool:
    """MatMulNBits, the only quantized unit that runs on CUDA."""
    weight = None if op.domain else low_bit.match(program, op)
    if weight is not None:
        low_bit.replace(program, op, weight)
    return weight is not None


_LEVEL_2: Final = Level(
    name="level 2",
    steps=(
        *_on_cpu(*quantization.CLIPS, *quantization.LEVEL_2),
        _low_bit_product,
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
        *bias_softmax.RULES,
        *fused_matmul.SCALES,
        *quantization.LOW_BIT,
    ),
)
_LEVEL_3: Final = Level(
    name="level 3",
    steps=(
        Sweep(name="NchwcTransformer", run=partial(block, elsewhere=runs_on_gpu)),
        *nhwc.STEPS,
    ),
)
_FUNCTIONS: Final = Sweep(name="InlineNodes", run=partial(inline_functions, elsewhere=runs_on_gpu))
LEVELS: Final = (
    *levels.LEVELS[:2],
    Level(name="functions", steps=(_FUNCTIONS,)),
    _LEVEL_2,
    _LEVEL_3,
)


def rewrite(program: Program) -> None:
    """ORT_ENABLE_ALL on a program whose model runs on CUDA."""
    for graph in program.walk():
        graph.floats = _FLOATS
    optimize(program, LEVELS)
    while casts.insert_casts(program, runs_on_gpu):
        optimize(program, LEVELS[-2:])
    for graph in list(program.walk()):
        insert_copies(graph)
