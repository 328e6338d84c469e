"""Quantized operators behind QuantizeLinear and DequantizeLinear, and dynamic quantization."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Step
from mlsys_lint_plugins.runtimes.onnxruntime.quantization import (
    clips,
    dynamic,
    low_bit,
    node_units,
    pairs,
    propagation,
    signs,
    weights,
)

PREPARE: Final[tuple[Step, ...]] = (pairs.own_dequantize,)
"""Before and in level 1: EnsureUniqueDQForNodeUnit."""
LEVEL_1: Final[tuple[Step, ...]] = (pairs.double_pair, pairs.constant_unit)
"""DoubleQDQPairsRemover at its start."""
LEVEL_1_END: Final[tuple[Step, ...]] = (
    *propagation.STEPS,
    weights.quantize_parameters,
    pairs.own_dequantize,
    pairs.where_constant,
)
"""QDQPropagation, WeightBiasQuantization, EnsureUniqueDQForNodeUnit, WhereDummyDq."""
CLIPS: Final[tuple[Step, ...]] = (clips.RULES,)
"""ClipQuantFusion and ReluQuantFusion, the rules at the start of level 2."""
LEVEL_2: Final[tuple[Step, ...]] = (signs.signed_pair, node_units.selected)
"""QDQS8ToU8, QDQSelectorAction."""
DYNAMIC: Final[tuple[Step, ...]] = (dynamic.to_float, dynamic.with_quantizer)
"""MatMulIntegerToFloat, DynamicQuantizeMatMul."""
LOW_BIT: Final[tuple[Step, ...]] = (low_bit.bias, pairs.cleanup)
"""MatMulNBits, QDQFinalCleanup."""
