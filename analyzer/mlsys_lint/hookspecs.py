"""The whole extension API: every hook that a plugin may implement.

A plugin is a module (or object) whose functions are marked with `@hookimpl`; third parties name it
in the entry-point group `mlsys_lint`. Register hooks return data, which the host validates and
merges plugin by plugin: a plugin with one bad value is dropped whole and reported as a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeVar, cast

import pluggy

if TYPE_CHECKING:
    from mlsys_lint.records import (
        DeviceEntry,
        NodeView,
        OpCost,
        OperatorSpec,
        Optimizer,
        Reporter,
        Rule,
        Runtime,
    )

PROJECT: Final = "mlsys_lint"
"""Name of the plugin project and of the entry-point group."""

_F = TypeVar("_F", bound=Callable[..., object])

# pluggy's markers are untyped as decorators; the cast keeps decorated functions typed.
hookspec = cast("Callable[[_F], _F]", pluggy.HookspecMarker(PROJECT))
hookimpl = cast("Callable[[_F], _F]", pluggy.HookimplMarker(PROJECT))
_first_result = pluggy.HookspecMarker(PROJECT)(firstresult=True)


@hookspec
def register_operators() -> Iterable[OperatorSpec]:  # type: ignore[empty-body]
    """Operators with their cost formulas, keyed (domain, op_type, since_version)."""


@hookspec
def register_rules() -> Iterable[Rule]:  # type: ignore[empty-body]
    """Lint rules; third parties bring their own code prefix, MLS is reserved."""


@hookspec
def register_devices() -> Iterable[DeviceEntry]:  # type: ignore[empty-body]
    """Device ids, each with a loader that is called only when the device is asked for."""


@hookspec
def register_runtimes() -> Iterable[Runtime]:  # type: ignore[empty-body]
    """Runtimes: how nodes become kernels, which kernels compute in place."""


@hookspec
def register_optimizers() -> Iterable[Optimizer]:  # type: ignore[empty-body]
    """Training optimizers: states per weight and the cost of an update."""


@hookspec
def register_reporters() -> Iterable[Reporter]:  # type: ignore[empty-body]
    """Output formats of `check`."""


@_first_result
def estimate_unknown(node: NodeView) -> OpCost | None:
    """Cost of a node that no spec and no function body covers.

    Stops at the first result that is not None; the node's status becomes `estimated`.

    :param node: the node, with the types of its inputs and outputs as far as they are known.
    """
