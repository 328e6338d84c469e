"""Loads plugins one by one, checks what they register, and keeps a bad one from hurting others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import pluggy

from mlsys_lint import hookspecs
from mlsys_lint.errors import PluginError
from mlsys_lint.operators import OperatorTable
from mlsys_lint.records import (
    DeviceEntry,
    NodeView,
    OpCost,
    Optimizer,
    Problem,
    Reporter,
    Rule,
    Runtime,
    Unsupported,
)

DEFAULT_PLUGINS: Final = (
    "mlsys_lint_plugins.ops",
    "mlsys_lint_plugins.rules",
    "mlsys_lint_plugins.runtimes",
    "mlsys_lint_plugins.optimizers",
    "mlsys_lint_plugins.reporters",
    "mlsys_lint_devices",
)
_OWN_PREFIX: Final = "MLS"
_CODE: Final = re.compile(r"[A-Z]{2,5}\d{3}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """A loaded plugin and what it brought, by hook."""

    name: str
    distribution: str | None
    hooks: Mapping[str, int]


class PluginHost:
    """The plugins of one invocation; there is no global state.

    Args:
        third_party: Load the entry points of the group `mlsys_lint` too.
        extra: Further plugin objects by name (tests).

    A built-in that fails raises: it is our bug. A third party's fault becomes a Problem.
    """

    def __init__(
        self, *, third_party: bool = True, extra: Mapping[str, object] | None = None
    ) -> None:
        self.problems: list[Problem] = []
        self.operators = OperatorTable()
        self.rules: dict[str, Rule] = {}
        self.devices: dict[str, DeviceEntry] = {}
        self.runtimes: dict[str, Runtime] = {}
        self.optimizers: dict[str, Optimizer] = {}
        self.reporters: dict[str, Reporter] = {}
        self.owners: dict[str, str] = {}
        self.plugins: list[PluginInfo] = []
        self._estimators: list[tuple[str, Callable[[NodeView], OpCost | None]]] = []
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for name in DEFAULT_PLUGINS:
            self._admit(name, partial(import_module, name), None)
        if third_party:
            for point in sorted(entry_points(group=hookspecs.PROJECT), key=lambda one: one.name):
                self._admit_guarded(point.name, point.load, _distribution(point))
        for name, plugin in (extra or {}).items():
            self._admit_guarded(name, partial(_itself, plugin), None)

    def _admit_guarded(
        self, name: str, load: Callable[[], object], distribution: str | None
    ) -> None:
        try:
            self._admit(name, load, distribution)
        except Exception as error:  # noqa: BLE001  a plugin may raise anything
            self.problems.append(
                Problem(plugin=name, stage="load", message=f"{type(error).__name__}: {error}")
            )

    def _admit(self, name: str, load: Callable[[], object], distribution: str | None) -> None:
        """Load, register and merge one plugin; it enters whole or not at all."""
        plugin = load()
        if self._manager.register(plugin, name) is None:
            raise PluginError(f"the name {name!r} is blocked")
        try:
            self._manager.check_pending()
            offered = {hook: self._collect(hook, plugin) for hook in _REGISTER_HOOKS}
            self._check(offered, name)
            self.operators.merge(offered["register_operators"], name)
        except BaseException:
            self._manager.unregister(plugin)
            raise
        for hook, (attribute, key, _) in _KEYED.items():
            table = getattr(self, attribute)
            for item in offered[hook]:
                table[getattr(item, key)] = item
                self.owners[getattr(item, key)] = name
        estimator = getattr(plugin, "estimate_unknown", None)
        if estimator is not None and self._implements("estimate_unknown", plugin):
            self._estimators.append((name, estimator))
        counts = {hook: len(items) for hook, items in offered.items() if items}
        if self._estimators and self._estimators[-1][0] == name:
            counts["estimate_unknown"] = 1
        self.plugins.append(PluginInfo(name=name, distribution=distribution, hooks=counts))

    def _implements(self, hook: str, plugin: object) -> bool:
        return any(
            impl.plugin is plugin for impl in getattr(self._manager.hook, hook).get_hookimpls()
        )

    def _collect(self, hook: str, plugin: object) -> Sequence[Any]:
        """What one plugin returns from one register hook; nothing when it lacks the hook."""
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            if impl.plugin is plugin:
                if impl.hookwrapper or impl.wrapper:
                    raise PluginError(f"{hook} must return data; hook wrappers are not supported")
                return tuple(impl.function())
        return ()

    def _check(self, offered: Mapping[str, Sequence[Any]], plugin: str) -> None:
        for hook, (attribute, key, kind) in _KEYED.items():
            taken: set[str] = set(getattr(self, attribute))
            for item in offered[hook]:
                if not isinstance(item, kind):
                    raise PluginError(f"{hook} must return {kind.__name__} values, got {item!r}")
                name = getattr(item, key)
                if name in taken:
                    owner = self.owners.get(name, plugin)
                    raise PluginError(
                        f"{kind.__name__} {name!r} is already registered by {owner!r}"
                    )
                taken.add(name)
                _check_name(kind, name, plugin)

    def formula(self, node: NodeView) -> OpCost | None:
        """Cost of a node by its operator's formula; None where there is none or it has no answer."""
        entry = self.operators.find(node.domain, node.op_type, node.opset)
        formula = entry.spec.estimate if entry is not None else None
        if formula is None or isinstance(formula, Unsupported):
            return None
        try:
            cost = formula(node)
        except Exception:  # noqa: BLE001  a plugin may raise anything
            return None
        return cost if isinstance(cost, OpCost) else None

    def estimate_unknown(self, node: NodeView) -> tuple[str, OpCost] | None:
        """First plugin's estimate for a node that nothing else covers; a raising one is blamed."""
        for name, estimator in self._estimators:
            try:
                estimate = estimator(node)
            except Exception as error:  # noqa: BLE001
                message = f"{type(error).__name__}: {error}"
                self.problems.append(
                    Problem(plugin=name, stage="estimate", message=message, node=node.index)
                )
                continue
            if isinstance(estimate, OpCost):
                return name, estimate
        return None


_REGISTER_HOOKS: Final = (
    "register_operators",
    "register_rules",
    "register_devices",
    "register_runtimes",
    "register_optimizers",
    "register_reporters",
)
# hook -> (attribute of the host, key of the record, type of the record)
_KEYED: Final[Mapping[str, tuple[str, str, type[Any]]]] = {
    "register_rules": ("rules", "code", Rule),
    "register_devices": ("devices", "id", DeviceEntry),
    "register_runtimes": ("runtimes", "name", Runtime),
    "register_optimizers": ("optimizers", "name", Optimizer),
    "register_reporters": ("reporters", "name", Reporter),
}


def _check_name(kind: type[object], name: str, plugin: str) -> None:
    if kind is Rule:
        own = name.startswith(_OWN_PREFIX) and plugin in DEFAULT_PLUGINS
        if not _CODE.fullmatch(name) or (name.startswith(_OWN_PREFIX) and not own):
            raise PluginError(
                f"rule code {name!r}: 2 to 5 capitals and 3 digits, and not the prefix "
                f"{_OWN_PREFIX}, which is mlsys-lint's own"
            )
    elif not _NAME.fullmatch(name):
        raise PluginError(f"{kind.__name__} name {name!r} must be lower case without spaces")


def _itself(plugin: object) -> object:
    return plugin


def _distribution(point: EntryPoint) -> str | None:
    return f"{point.dist.name} {point.dist.version}" if point.dist else None
