"""Our lint rules, one module each; `mlsys-lint explain CODE` prints a module's docstring."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mlsys_lint import Rule, hookimpl
from mlsys_lint_plugins.rules import (
    buffer_reuse_raises_peak,
    channels_off_block,
    depthwise_on_wide_device,
    fits_only_with_checkpointing,
    gemv_shaped_matmul,
    latency_budget_at_risk,
    latency_budget_broken,
    memory_budget_at_risk,
    memory_budget_broken,
    memory_does_not_fit,
    one_tensor_dominates_peak,
    optimizer_states_dominate,
    unbound_dynamic_dimension,
    unmodelled_operator,
)

RULES: Final = (
    unbound_dynamic_dimension.RULE,
    unmodelled_operator.RULE,
    gemv_shaped_matmul.RULE,
    channels_off_block.RULE,
    depthwise_on_wide_device.RULE,
    memory_does_not_fit.RULE,
    fits_only_with_checkpointing.RULE,
    buffer_reuse_raises_peak.RULE,
    one_tensor_dominates_peak.RULE,
    optimizer_states_dominate.RULE,
    latency_budget_broken.RULE,
    memory_budget_broken.RULE,
    latency_budget_at_risk.RULE,
    memory_budget_at_risk.RULE,
)


@hookimpl
def register_rules() -> Iterable[Rule]:
    """The rules with the prefix MLS."""
    return RULES
