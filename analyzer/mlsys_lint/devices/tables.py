"""Values of a TOML document, each checked where it is read; errors name file, table and key."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from mlsys_lint.errors import DeviceError
from mlsys_lint.records import Figure

_DATA: Final = "mlsys_lint_devices"
_STATUSES: Final = ("spec", "measured", "derived", "approximation", "unverified")


@cache
def shipped_table(name: str) -> Mapping[str, Any]:
    """A TOML table that ships with the device profiles, parsed once."""
    text = resources.files(_DATA).joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


class Tables:
    """A document and the sources that it may cite."""

    def __init__(
        self,
        document: Mapping[str, Any],
        place: str,
        sources: Mapping[str, str],
    ) -> None:
        self.document = document
        self.place = place
        own = self._table(document, "sources", "[sources]")
        self.sources = {**shipped_table("sources.toml"), **sources, **own}
        self.cited: dict[str, str] = {}

    def fail(self, table: str, problem: str) -> DeviceError:
        """An error that names the file, the table and the fault."""
        return DeviceError(f"{self.place}: {table + ': ' if table else ''}{problem}")

    def _figure(self, table: Mapping[str, Any], where: str, key: str) -> Figure:
        value = self._number(table.get("v"), where, key)
        low = self._number(table.get("low", value), where, "low")
        high = self._number(table.get("high", value), where, "high")
        if not low <= value <= high:
            raise self.fail(where, f"low <= {key} <= high must hold, got {low}, {value}, {high}")
        return Figure(
            value=value,
            low=low,
            high=high,
            source=self._source(table, where),
            status=self._choice(table, "status", _STATUSES, where),
        )

    def _source(self, table: Mapping[str, Any], where: str) -> str:
        key = self._text(table, "source", where)
        if key not in self.sources:
            raise self.fail(where, f"source {key!r} is not in sources.toml or [sources]")
        self.cited[key] = str(self.sources[key])
        return key

    def _number(self, value: object, where: str, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(where, f"{key} must be a number > 0, got {value!r}")
        if not math.isfinite(value) or value <= 0:
            raise self.fail(where, f"{key} must be > 0, got {value!r}")
        return float(value)

    def _text(self, table: Mapping[str, Any], key: str, where: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise self.fail(where, f"{key} is missing: a text")
        return value

    def _given_text(self, key: str, default: str) -> str:
        """A text that a file may leave out."""
        value = self.document.get(key, default)
        if not isinstance(value, str):
            raise self.fail("", f"{key} must be a text, got {value!r}")
        return value

    def _count(self, key: str) -> int | None:
        """A whole number that a file may leave out."""
        value = self.document.get(key)
        if value is not None and (type(value) is not int or value < 1):
            raise self.fail("", f"{key} must be a whole number > 0, got {value!r}")
        return value

    def _flag(self, key: str, *, default: bool) -> bool:
        value = self.document.get(key, default)
        if not isinstance(value, bool):
            raise self.fail("", f"{key} must be true or false, got {value!r}")
        return value

    def _table(self, table: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
        """A table that a file may leave out."""
        value = table.get(key, {})
        if not isinstance(value, Mapping):
            raise self.fail(where, f"a table is expected, got {value!r}")
        return value

    def _tables(self, key: str) -> Sequence[Any]:
        """The [[tables]] of a name, in order."""
        value = self.document.get(key, [])
        if not isinstance(value, list):
            raise self.fail(f"[[{key}]]", f"tables are expected, got {value!r}")
        return value

    def _choice(
        self, table: Mapping[str, Any], key: str, choices: Sequence[str], where: str
    ) -> str:
        value = self._text(table, key, where)
        if value not in choices:
            raise self.fail(where, f"{key} must be one of {', '.join(choices)}, got {value!r}")
        return value

    def _known(self, table: object, keys: frozenset[str], where: str) -> None:
        if not isinstance(table, Mapping):
            raise self.fail(where, f"a table is expected, got {table!r}")
        if unknown := sorted(set(table) - keys):
            raise self.fail(where, f"unknown key {unknown[0]!r}; known: {', '.join(sorted(keys))}")
