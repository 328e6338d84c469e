"""Kernels of the CPU provider: what their loops do, and the micro-networks that time them.

Every kernel gets a class and terms; `calibrate` fits a time for each term of each class. Families of
kernels stand in modules of their own, beside the loops that they follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from mlsys_lint.records import DeviceProfile, Kernel
from mlsys_lint.records.calibration import MicroNetwork, Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing import (
    attention,
    convolution,
    detection,
    elementwise,
    generic,
    movement,
    normalization,
    plain_convolution,
    pooling,
    products,
    quantized,
    recurrent,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine, machine_of

_FAMILIES: Final = (
    convolution.terms,
    elementwise.terms,
    movement.terms,
    normalization.terms,
    products.terms,
    pooling.terms,
    plain_convolution.terms,
    quantized.terms,
    attention.terms,
    recurrent.terms,
    detection.terms,
)


def terms(profile: DeviceProfile) -> Callable[[Kernel], Terms]:
    """What kernels are made of on a machine."""
    return partial(_terms, machine=machine_of(profile))


def plain(profile: DeviceProfile) -> Callable[[Kernel], Terms]:
    """The terms that stand in for those of an operator without a class."""
    return partial(generic.terms, machine=machine_of(profile))


def _terms(kernel: Kernel, machine: Machine) -> Terms:
    for family in _FAMILIES:
        found = family(kernel, machine)
        if found is not None:
            return found
    return generic.terms(kernel, machine)


def networks() -> Iterator[MicroNetwork]:
    """Everything that is timed, family by family."""
    from mlsys_lint_plugins.runtimes.onnxruntime.timing.models import FAMILIES

    for family, build in FAMILIES.items():
        for net in build():
            yield MicroNetwork(name=net.name, family=family, model=net.model())
