"""Whether the machine was quiet, and which networks to time again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mlsys_lint.calibration.running import Timed
from mlsys_lint.records import Kernel
from mlsys_lint.records.calibration import Calibration, Terms

LARGEST_SCATTER: Final = 1.10
NOISY_SHARE: Final = 0.10
LARGEST_DRIFT: Final = 0.03
AGAIN_SCATTER: Final = 0.03
AGAIN_EXCESS: Final = 0.05
"""A network is doubtful when its median run exceeds the lower quartile, or its time what its kernels
are expected to take, by more."""


def unsteady(
    timed: Iterable[Timed], found: Calibration, terms: Callable[[Kernel], Terms]
) -> list[str]:
    """Names of networks to time again, worst first: their runs scatter, or took long for their work.

    A disturbance that outlasts a network's runs shows only in comparison with all others.
    """
    doubts = {}
    for one in timed:
        expected = found.run_s + sum(
            sum(found.classes[name].parameters[term] * amount for term, amount in amounts.items())
            for name, amounts in map(terms, (kernel for kernel, _ in one.pairs))
        )
        excess = one.total / expected - 1 if one.pairs and expected else 0.0
        doubt = max((one.scatter - 1) / AGAIN_SCATTER, excess / AGAIN_EXCESS)
        if doubt > 1:
            doubts[one.name] = doubt
    return sorted(doubts, key=lambda name: -doubts[name])


def noise_of(timed: Sequence[Timed]) -> tuple[str, ...]:
    """What made the machine unsteady; the last network is the first once more."""
    reasons = []
    ratio = timed[-1].total / timed[0].total
    if max(ratio, 1 / ratio) > 1 + LARGEST_DRIFT:
        change = "slower" if ratio > 1 else "faster"
        reasons.append(f"the machine got {abs(ratio - 1):.1%} {change} from first to last network")
    uneven = sum(one.scatter > LARGEST_SCATTER for one in timed)
    if uneven > NOISY_SHARE * len(timed):
        reasons.append(
            f"in {uneven} of {len(timed)} networks the median run took over "
            f"{LARGEST_SCATTER - 1:.0%} longer than the lower quartile"
        )
    return tuple(reasons)
