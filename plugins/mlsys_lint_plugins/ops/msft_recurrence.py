"""Linear attention as a recurrence: a state matrix per head, updated and read once a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlsys_lint import Contraction, Declined, NodeView

_RULES: Final[Mapping[str, tuple[bool, bool]]] = {
    # update_rule: (the state decays, the value is corrected by what the state holds)
    "linear": (False, False),
    "gated": (True, False),
    "delta": (False, True),
    "gated_delta": (True, True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What `update_rule` asks for: a decay of the state, a retrieval from it."""

    decays: bool
    retrieves: bool


def rule_of(node: NodeView) -> Rule | Declined:
    """The rule that the node names."""
    name = node.text("update_rule", "gated_delta")
    if name not in _RULES:
        return Declined(f"update_rule {name!r} has no formula")
    decays, retrieves = _RULES[name]
    return Rule(decays=decays, retrieves=retrieves)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Sizes: N tokens in all, H states of [Dk, Dv], and R queries that read a state in each token."""

    tokens: int
    states: int
    readers: int
    key_size: int
    value_size: int

    @property
    def state_elements(self) -> int:
        """Elements of the states, over all tokens: N * H * Dk * Dv."""
        return self.tokens * self.states * self.key_size * self.value_size

    @property
    def values(self) -> int:
        """Elements of the values: N * H * Dv."""
        return self.tokens * self.states * self.value_size

    def contractions(self, rule: Rule, dtype: str) -> tuple[Contraction, ...]:
        """K (x) v, q^T S, and S^T k where the rule retrieves; each Dk * Dv MACs."""
        many = self.tokens * self.states
        outer = Contraction(batch=many, m=self.key_size, n=self.value_size, k=1, dtype=dtype)
        retrieval = Contraction(batch=many, m=1, n=self.value_size, k=self.key_size, dtype=dtype)
        readout = Contraction(
            batch=self.tokens * self.readers,
            m=1,
            n=self.value_size,
            k=self.key_size,
            dtype=dtype,
        )
        return (outer, retrieval, readout) if rule.retrieves else (outer, readout)

    def vector_ops(self, rule: Rule) -> int:
        """As onnx's body: per element of a state the sum S + k (x) v, and the decay's product.

        Per element of a value the difference and the rate (2) where the rule retrieves; the scale
        once per element of the result. The outer product is a contraction over an axis of 1.
        """
        updates = (1 + rule.decays) * self.state_elements
        corrections = 2 * self.values if rule.retrieves else 0
        return updates + corrections + self.tokens * self.readers * self.value_size
