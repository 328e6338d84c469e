"""What `calibrate` learned about this machine: seconds per unit of each thing that kernels do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from mlsys_lint.records.frozen import record

if TYPE_CHECKING:
    import onnx

    from mlsys_lint.records.device import DeviceProfile, Kernel

Terms: TypeAlias = tuple[str, Mapping[str, float]]
"""A kernel's calibration class, and the amount of each thing that its loops do."""


@record
class KernelModel:
    """Time of the kernels of one class: the sum over terms of parameter x amount.

    Attributes:
        parameters: Term -> seconds per unit; never negative.
        cases: Term -> kernels of the calibration that have it.
        kernels: Kernels that the parameters were fitted to.
        scatter: Standard deviation of log(measured / predicted) of a kernel about the mean of its
            network, where that network took no part in the fit.
        shift: Standard deviation of that mean from network to network: the error that kernels of a
            class have in common within one model.
    """

    parameters: Mapping[str, float]
    cases: Mapping[str, int]
    kernels: int
    scatter: float
    shift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The kernels of a runtime on one machine with one number of threads.

    Attributes:
        runtime: Name of the runtime plugin.
        version: Of the runtime that was timed.
        threads: Worker threads of an operator.
        cpu: Name of the processor.
        flags: Its instruction sets that kernels choose by.
        run_s: Seconds that a run takes besides its kernels.
        drift: Standard deviation of log(total / sum of predicted kernels) over the networks: the
            error that a whole model has in common.
        classes: By calibration class.
        flop_per_s: Short dtype -> best rate that a kernel reached.
        bytes_per_s: Best rate at which memory was streamed; None when nothing streamed.
        left_out: Networks of which other kernels were executed than expected.
        noise: What made the machine unsteady; empty on a quiet one.
        seconds: How long the calibration took.
    """

    runtime: str
    version: str
    threads: int
    cpu: str
    flags: tuple[str, ...] = ()
    run_s: float
    drift: float
    classes: Mapping[str, KernelModel]
    flop_per_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    bytes_per_s: float | None = None
    left_out: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    seconds: float = 0.0


@record
class Quantity:
    """What a term counts.

    Attributes:
        unit: Of the amount: `FLOP`, `byte`, `element`.
        meaning: In words, for readers of a profile.
        bound: What a kernel is bound by when this term takes most of its time: `compute`, `memory`
            or `overhead`.
    """

    unit: str
    meaning: str
    bound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroNetwork:
    """A small model whose kernels are timed; `family` groups those that belong together."""

    name: str
    family: str
    model: onnx.ModelProto


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How a runtime's kernels are calibrated.

    Attributes:
        terms: (device) -> (kernel -> class and terms).
        plain: Likewise, the terms of the fallback class for any kernel.
        networks: The micro-networks, in the order in which they are timed.
        quantity: (term) -> what it counts; None where that is not known.
        fallback: Class that stands in for one that was not calibrated.
    """

    terms: Callable[[DeviceProfile], Callable[[Kernel], Terms]]
    plain: Callable[[DeviceProfile], Callable[[Kernel], Terms]]
    networks: Callable[[], Iterable[MicroNetwork]]
    quantity: Callable[[str], Quantity | None]
    fallback: str
