"""What mixtures of experts share: sizes, grouped products, routing, what is read of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Final

from mlsys_lint import Contraction

HEAP: Final = "experts are selected by comparisons of a heap of k elements"


def selection_ops(candidates: int, chosen: int) -> int:
    """Selection of the largest, as TopK counts it: n * ceil(log2(k + 1)) comparisons."""
    return candidates * ceil(log2(chosen + 1))


def routing(
    tokens: int, experts: int, chosen: int, *, softmax: bool, normalized: bool
) -> tuple[int, int]:
    """(operations, transcendentals) of k of E experts for each token.

    Softmax over the experts (4 E - 2, one exp each), the selection, and the weights' division by
    their sum (2 k - 1).
    """
    each = selection_ops(experts, chosen)
    each += max(0, 4 * experts - 2) if softmax else 0
    each += 2 * chosen - 1 if normalized else 0
    return tokens * each, tokens * experts if softmax else 0


def sparse_mixer(tokens: int, experts: int) -> tuple[int, int]:
    """(operations, transcendentals) of the two picks of PhiMoE's sparse mixer.

    Each takes the maximum (E - 1), max(|x|, maximum) (2 E), the relative distance to the maximum
    (2 E), a comparison and a selection (2 E), and a softmax (4 E - 2, one exp each).
    """
    return 2 * tokens * max(0, 11 * experts - 3), 2 * tokens * experts


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """E experts, k of which each of N tokens takes: H features, I inside, n results of the first layer.

    `third` says that a separate layer makes the linear half; without it n = 2 I holds both halves.
    """

    tokens: int
    experts: int
    chosen: int
    hidden: int
    inner: int
    first: int
    third: bool

    @property
    def routed(self) -> int:
        """Rows that pass an expert: N * k."""
        return self.tokens * self.chosen

    @property
    def active(self) -> int:
        """Experts that some token takes, at most."""
        return min(self.experts, self.routed)

    @property
    def gated(self) -> bool:
        """True when the first layer makes the gate and the linear half."""
        return self.first == 2 * self.inner and not self.third

    def contractions(self, dtype: str) -> tuple[Contraction, ...]:
        """N k rows by n * H, I * H where there is a third layer, and H * I: one product per expert.

        The rows stand spread evenly over the active experts; their number is what counts.
        """
        layers = [(self.first, self.hidden), (self.hidden, self.inner)]
        if self.third:
            layers.insert(1, (self.inner, self.hidden))
        rows, more = divmod(self.routed, max(1, self.active))
        shares = [(more, rows + 1), (self.active - more, rows)]
        return tuple(
            Contraction(batch=batch, m=m, n=n, k=k, dtype=dtype)
            for n, k in layers
            for batch, m in shares
            if batch and m
        )

    @property
    def combined(self) -> int:
        """Operations to weigh and add k results per token: N * H * (2 k - 1)."""
        return self.tokens * self.hidden * (2 * self.chosen - 1)

    def biases(self, *given: bool) -> int:
        """One operation per result of each layer (first, second, third) that has a bias."""
        widths = (self.first, self.hidden, self.inner)
        return self.routed * sum(
            width for width, present in zip(widths, given, strict=False) if present
        )

    def notes(self) -> Sequence[str]:
        """One token, or all experts for each: surely as many; else routing decides."""
        if self.tokens <= 1 or self.chosen >= self.experts:
            return (HEAP,)
        return (f"data-dependent: {self.active} of {self.experts} experts are read", HEAP)
