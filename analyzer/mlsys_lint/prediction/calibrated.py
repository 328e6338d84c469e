"""Time of kernels on a machine where the runtime's kernels were timed.

A kernel's time is the sum over its terms of parameter x amount (see records.calibration). Its error
has two parts: one of its own, and one that all kernels of its class share within a model. Errors
are taken as log-normal; a model's variance adds the own parts as independent, the shared ones as one
for each class, and what whole networks have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, hypot, log
from typing import Final

from mlsys_lint.prediction.nominal import Estimate
from mlsys_lint.records import DeviceProfile, Kernel
from mlsys_lint.records.calibration import Calibration, KernelModel, Timing

NORMAL_80: Final = 1.2816
"""Half-width of the central 80 % of a normal distribution, in standard deviations."""
UNKNOWN_ERROR: Final = log(4.0)
"""Standard deviation for a class that was not calibrated: its time may be off by a factor of 4."""
_NO_MODEL: Final = KernelModel(
    parameters={}, cases={}, kernels=0, scatter=UNKNOWN_ERROR, shift=UNKNOWN_ERROR
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A kernel's predicted time and the size of its error.

    Attributes:
        kernel_class: Calibration class.
        seconds: Of one execution.
        repeat: Executions in a run.
        scatter, shift: Standard deviations of log(time): its own, and that of its class in a model.
        bound: `compute`, `memory` or `overhead`: the kind of its largest term.
    """

    kernel_class: str
    seconds: float
    repeat: int
    scatter: float
    shift: float
    bound: str
    known: bool = True
    """False where the class, or a term of the kernel, was never timed."""


def timed(
    kernels: Sequence[Kernel], profile: DeviceProfile, calibration: Calibration, timing: Timing
) -> tuple[Timed, ...]:
    """Each kernel's time by the parameters of its class.

    A kernel of a class that was never timed counts as the fallback class sees it: by its bytes.
    """
    terms, plain = timing.terms(profile), timing.plain(profile)
    spare = calibration.classes.get(timing.fallback, _NO_MODEL)
    found = []
    for kernel in kernels:
        name, amounts = terms(kernel)
        model = calibration.classes.get(name)
        if model is None:
            _, amounts = plain(kernel)
        parts = _parts(amounts, (model or spare).parameters, spare.parameters)
        told = model is not None and not _untold(amounts, model.parameters, spare.parameters)
        largest = max(parts, key=lambda term: parts[term], default="")
        found.append(
            Timed(
                kernel_class=name,
                seconds=sum(parts.values()),
                repeat=kernel.repeat,
                scatter=model.scatter if model and told else UNKNOWN_ERROR,
                shift=model.shift if model else UNKNOWN_ERROR,
                bound=_bound(largest, timing) if parts.get(largest) else "overhead",
                known=told and name != timing.fallback,
            )
        )
    return tuple(found)


def _untold(
    amounts: Mapping[str, float], parameters: Mapping[str, float], spare: Mapping[str, float]
) -> set[str]:
    """Terms that neither the class nor the fallback was timed with: their time is not known."""
    used = {term for term, amount in amounts.items() if amount}
    return used - parameters.keys() - spare.keys()


def of_class(name: str, amounts: Mapping[str, float], classes: Mapping[str, KernelModel]) -> Timed:
    """A kernel whose class and terms are known; its bound is left open."""
    model = classes[name]
    return Timed(
        kernel_class=name,
        seconds=sum(_parts(amounts, model.parameters, {}).values()),
        repeat=1,
        scatter=model.scatter,
        shift=model.shift,
        bound="overhead",
    )


def _bound(term: str, timing: Timing) -> str:
    quantity = timing.quantity(term)
    return quantity.bound if quantity is not None else "overhead"


def _parts(
    amounts: Mapping[str, float], parameters: Mapping[str, float], spare: Mapping[str, float]
) -> dict[str, float]:
    """Seconds by term; a term that the class was never timed with costs what it does elsewhere."""
    return {
        term: amount * parameters.get(term, spare.get(term, 0.0))
        for term, amount in amounts.items()
    }


def estimate(one: Timed, drift: float) -> Estimate:
    """A kernel alone: its own error, that of its class and that of the whole."""
    width = exp(NORMAL_80 * hypot(one.scatter, one.shift, drift))
    return Estimate(
        low=one.seconds / width,
        expected=one.seconds,
        high=one.seconds * width,
        bound=one.bound,
    )


def of_model(found: Sequence[Timed], calibration: Calibration) -> tuple[float, float, float]:
    """(low, expected, high) seconds of a run."""
    expected = calibration.run_s + sum(one.seconds * one.repeat for one in found)
    width = exp(NORMAL_80 * deviation(found, calibration.drift))
    return expected / width, expected, expected * width


def deviation(found: Sequence[Timed], drift: float) -> float:
    """Standard deviation of log(time) of a run.

    Own errors of a repeated kernel are one error; those of different kernels are independent.
    """
    total = sum(one.seconds * one.repeat for one in found)
    if not total:
        return drift
    own = sum((one.seconds * one.repeat * one.scatter) ** 2 for one in found)
    shared: dict[str, float] = {}
    for one in found:
        moved = one.seconds * one.repeat * one.shift
        shared[one.kernel_class] = shared.get(one.kernel_class, 0.0) + moved
    return hypot(own**0.5 / total, *(part / total for part in shared.values()), drift)
