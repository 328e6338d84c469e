"""Parameters of kernel classes from timed kernels, and how wrong they are.

A class is fitted by non-negative least squares (Lawson & Hanson, 1974) on relative error: every
parameter is a time, so no sum can turn negative and more work never takes less time. Where its
kernels hardly tell a parameter, it leans to that of the plain class, which is fitted first (ridge
regression). The error of a class is that of networks that took no part in its fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from mlsys_lint.records.calibration import KernelModel

Array: TypeAlias = npt.NDArray[np.float64]

_SHORT: Final = 3.0
"""Ticks of the profile's clock below which a relative error says nothing."""
_OUTLIER: Final = 4.0
_SMALLEST_OUTLIER: Final = 0.10
"""Kernels are left out of the second pass when they lie this far off, in relative error and in
median absolute deviations; both must hold."""
_FAIR_PART: Final = 0.15
_NOTHING: Final = 1e-3
_FAR_OFF: Final = 1.5
"""A kernel that is off by more than e^1.5 = 4.5 counts as much: it was not understood at all."""
_MOST: Final = 6.0
_LEAN: Final = 0.05
"""A parameter twice that of the plain class weighs as much as one kernel that is off by 5 %."""
_LEAST_ERROR: Final = 0.02
"""Error that no class is better than: that of a timing repeated on a quiet machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One timed kernel.

    Attributes:
        network: Name of the micro-network that it ran in.
        kernel_class: See Terms.
        terms: Amount by term.
        seconds: Its time, without the profiler's own.
    """

    network: str
    kernel_class: str
    terms: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Kernels of a class as arrays: amounts [rows, terms], seconds [rows].

    Attributes:
        least_s: Errors of shorter kernels are relative to this.
    """

    amounts: Array
    seconds: Array
    least_s: float

    def only(self, rows: npt.NDArray[np.bool_]) -> Data:
        """Some of the rows."""
        return replace(self, amounts=self.amounts[rows], seconds=self.seconds[rows])


def fit_classes(rows: Iterable[Row], plain: str, tick_s: float) -> dict[str, KernelModel]:
    """A model for every class that the rows hold; each rests on its own rows and the plain class.

    Args:
        rows: Timed kernels.
        plain: The class that is fitted first and that others lean to.
        tick_s: Resolution of the times.
    """
    by_class: dict[str, list[Row]] = {}
    for row in rows:
        by_class.setdefault(row.kernel_class, []).append(row)
    base = fit_class(by_class[plain], {}, tick_s) if plain in by_class else None
    lean = base.parameters if base else {}
    found = {
        name: base if base and name == plain else fit_class(own, lean, tick_s)
        for name, own in by_class.items()
    }
    return dict(sorted(found.items()))


def fit_class(rows: Sequence[Row], lean: Mapping[str, float], tick_s: float) -> KernelModel:
    """Parameters from all rows, errors from leaving out one network at a time."""
    terms = sorted({term for row in rows for term in row.terms})
    amounts = np.array([[row.terms.get(term, 0.0) for term in terms] for row in rows])
    seconds = np.array([row.seconds for row in rows])
    prior = np.array([_prior(term, lean) for term in terms])
    data = Data(amounts=amounts, seconds=seconds, least_s=_SHORT * tick_s)
    parameters = robust(data, prior)
    scatter, shift = spread(_left_out(rows, data, prior), rows, np.maximum(seconds, data.least_s))
    return KernelModel(
        parameters=dict(zip(terms, parameters.tolist(), strict=True)),
        cases={
            term: int(count) for term, count in zip(terms, (amounts > 0).sum(axis=0), strict=True)
        },
        kernels=len(rows),
        scatter=scatter,
        shift=shift,
    )


def _prior(term: str, lean: Mapping[str, float]) -> float:
    """What the plain class says of a term; 0 where it says nothing.

    Bytes from a level cost what plain kernels pay for a byte and for reading it from there.
    """
    level = f"read_{term.rpartition('_')[2]}"
    if "_" in term and level in lean:
        return lean.get("byte", 0.0) + lean[level]
    return lean.get(term, 0.0)


def robust(data: Data, prior: Array) -> Array:
    """Non-negative least squares without rows that lie far off; terms stay near their prior.

    A term that nowhere makes up a fair part of a kernel is not told by the rows: small residues of
    other effects would decide it, and be blown up where it is large. It stays within its prior, and
    none exceeds it many times over: bytes cost what bytes cost.
    """
    first = least_squares(data, prior)
    errors = data.amounts @ first / data.seconds - 1
    away = np.abs(errors - np.median(errors))
    limit = max(_SMALLEST_OUTLIER, _OUTLIER * float(np.median(away)))
    kept = data.only(away <= limit)
    result = least_squares(kept, prior)
    told = (kept.amounts * result / kept.seconds[:, None]).max(axis=0, initial=0.0) >= _FAIR_PART
    limits = prior * np.where(told, _MOST, 1.0)
    loose = (prior > 0) & (result > limits)
    if not loose.any():
        return result
    result[loose] = limits[loose]
    rest = kept.seconds - kept.amounts[:, loose] @ limits[loose]
    result[~loose] = least_squares(
        replace(kept, amounts=kept.amounts[:, ~loose]), prior[~loose], rest
    )
    return result


def least_squares(data: Data, prior: Array, wanted: Array | None = None) -> Array:
    """Argmin over x >= 0 of the sum of squared relative errors, and of leaning.

    sum over rows of ((amounts @ x - wanted) / max(seconds, least))^2
    + sum over terms with a prior of (lean * (x / prior - 1))^2

    Args:
        data: Kernels and their times.
        prior: [terms]; 0 where there is none.
        wanted: [rows], what the terms are to add up to; None: the seconds.
    """
    weights = 1 / np.maximum(data.seconds, data.least_s)
    leaning = np.diag(_LEAN / prior[prior > 0])
    pulled = np.zeros((len(leaning), len(prior)))
    pulled[:, prior > 0] = leaning
    weighted = np.vstack([data.amounts * weights[:, None], pulled])
    target = (data.seconds if wanted is None else wanted) * weights
    scale = weighted.max(axis=0)
    scale[scale == 0] = 1.0
    found, _ = nnls(
        weighted / scale,
        np.concatenate([target, np.full(len(leaning), _LEAN)]),
        maxiter=100 * len(prior),
    )
    result: Array = found / scale
    return result


def _left_out(rows: Sequence[Row], data: Data, prior: Array) -> Array:
    """log(measured / predicted) of each row, by parameters from the other networks.

    A class that stands in one network only leaves the fit to all rows as the best that is known; so
    does a network with a term that no other has.
    """
    networks = np.array([row.network for row in rows])
    errors = np.empty(len(rows))
    whole = robust(data, prior)
    for network in dict.fromkeys(networks.tolist()):
        inside = networks == network
        own, others = data.only(inside), data.only(~inside)
        used = own.amounts.any(axis=0)
        known = others.amounts.any(axis=0) | (prior > 0)
        seen = not inside.all() and bool(known[used].all())
        parameters = robust(others, prior) if seen else whole
        predicted = np.maximum(own.amounts @ parameters, _NOTHING * data.least_s)
        errors[inside] = np.clip(np.log(own.seconds / predicted), -_FAR_OFF, _FAR_OFF)
    return errors


def spread(errors: Array, rows: Sequence[Row], weights: Array) -> tuple[float, float]:
    """(scatter, shift): standard deviations within and between networks, weighted (by time).

    Moments of a one-way layout: a network's mean error scatters by the shift and by what is left of
    its kernels' scatter.
    """
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(row.network, []).append(place)
    within = between = total = left = 0.0
    for places in groups.values():
        share = weights[places] / weights[places].sum()
        mean = float(share @ errors[places])
        weight = float(weights[places].sum())
        within += weight * float(share @ (errors[places] - mean) ** 2)
        between += weight * mean**2
        left += weight * float(share @ share)
        total += weight
    scatter = (within / total / max(1 - left / total, 0.25)) ** 0.5 if total else 0.0
    shift = max(0.0, between / total - scatter**2 * left / total) ** 0.5 if total else 0.0
    return max(scatter, _LEAST_ERROR), max(shift, _LEAST_ERROR)
