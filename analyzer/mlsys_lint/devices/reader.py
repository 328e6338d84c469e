"""Reads one TOML profile; every error names the file, the table and the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlsys_lint.devices.calibrations import doubts_of, read_calibration
from mlsys_lint.devices.tables import Tables, shipped_table
from mlsys_lint.dtypes import SHORT_NAMES
from mlsys_lint.records import (
    Calibration,
    DeviceProfile,
    Efficiency,
    Figure,
    MemoryLevel,
    Peak,
)

SCHEMA: Final = 1
_KINDS: Final = ("cpu", "gpu", "tpu", "npu")
_ENGINES: Final = ("matrix", "vector", "special")
_MANAGED: Final = ("hardware", "software")
_TOP: Final = frozenset(
    {
        *("schema", "id", "name", "vendor", "kind", "scope", "software_devices", "runtime"),
        *("asynchronous", "threads", "units", "vector_lanes", "year", "power_w", "notes"),
        *("peak", "memory", "link", "overhead", "efficiency", "hard", "sources"),
        "calibration",
    }
)
_PEAK: Final = frozenset(
    {*("engine", "dtype", "acc", "dense", "low", "high", "hard"), *("at_mhz", "source", "status")}
)
_LEVEL: Final = frozenset({"level", "managed", "bytes", "bw", "hard", "shared_with_host"})
_FIGURE: Final = frozenset({"v", "low", "high", "hard", "source", "status"})
_EFFICIENCY: Final = frozenset({"low", "typ", "high", "source"})
_MARGINS: Final = frozenset({"compute_margin", "memory_margin"})
_MARGIN: Final = frozenset({"v", "source"})
_LINK: Final = frozenset({"bw_one_way", "source"})


class ProfileReader(Tables):
    """Reads one document; every method names the table and key in its errors."""

    def profile(self) -> DeviceProfile:
        """The whole document."""
        top = self.document
        self._known(top, _TOP, "")
        if top.get("schema") != SCHEMA:
            raise self.fail("", f"schema must be {SCHEMA}, got {top.get('schema')!r}")
        kind = self._choice(top, "kind", _KINDS, "")
        prior = shipped_table("priors.toml").get(kind, {})
        vendor = self._text(top, "vendor", "")
        memory = self._memory()
        overhead = self._table(top, "overhead", "[overhead]")
        self._known(overhead, frozenset({"launch_us"}), "[overhead]")
        launches = self._table(overhead, "launch_us", "[overhead.launch_us]")
        efficiency = self._table(top, "efficiency", "[efficiency]")
        calibration = self._calibration()
        return DeviceProfile(
            id=self._text(top, "id", ""),
            name=self._text(top, "name", ""),
            vendor=vendor,
            kind=kind,
            runtime=self._given_text("runtime", _default_runtime(kind, vendor)),
            scope=self._given_text("scope", "card"),
            software_devices=self._count("software_devices") or 1,
            threads=self._count("threads"),
            units=self._count("units"),
            vector_lanes=self._count("vector_lanes"),
            year=self._count("year"),
            peaks=self._peaks(),
            memory=memory,
            launch_s=self.launches({**prior.get("overhead", {}), **launches}),
            asynchronous=self._flag("asynchronous", default=kind != "cpu"),
            efficiency=self.efficiencies({**prior.get("efficiency", {}), **efficiency}),
            links=self._links(),
            power_w=self._number(top["power_w"], "", "power_w") if "power_w" in top else None,
            sources=self.cited,
            notes=self._given_text("notes", ""),
            calibration=calibration,
            doubts=doubts_of(calibration),
        )

    def _peaks(self) -> dict[tuple[str, str], Peak]:
        tables = self._tables("peak")
        if not tables:
            raise self.fail("[[peak]]", "at least one peak is needed")
        margin = self._margin("compute_margin", tables)
        found: dict[tuple[str, str], Peak] = {}
        for position, table in enumerate(tables, start=1):
            where = f"[[peak]] {position}"
            self._known(table, _PEAK, where)
            engine = self._choice(table, "engine", _ENGINES, where)
            dtype = self._choice(table, "dtype", sorted(SHORT_NAMES), where)
            if (engine, dtype) in found:
                raise self.fail(where, f"{engine} {dtype} is given twice")
            dense = self._figure({**table, "v": table.get("dense")}, where, "dense")
            found[engine, dtype] = Peak(
                engine=engine,
                dtype=dtype,
                accumulate=table.get("acc", ""),
                dense=dense,
                hard=self._hard(table, dense, margin, where),
            )
        return found

    def _memory(self) -> tuple[MemoryLevel, ...]:
        levels = []
        margin = self._margin("memory_margin", [_bandwidth(one) for one in self._tables("memory")])
        for position, table in enumerate(self._tables("memory"), start=1):
            where = f"[[memory]] {position}"
            self._known(table, _LEVEL, where)
            size = table.get("bytes")
            bandwidth = None
            if "bw" in table:
                self._known(table["bw"], _FIGURE, f"{where} bw")
                bandwidth = self._figure(table["bw"], f"{where} bw", "v")
            levels.append(
                MemoryLevel(
                    level=self._text(table, "level", where),
                    managed=self._choice(
                        {"managed": "hardware", **table}, "managed", _MANAGED, where
                    ),
                    capacity_bytes=None
                    if size is None
                    else int(self._number(size, where, "bytes")),
                    bandwidth=bandwidth,
                    hard_bandwidth=self._hard(table["bw"], bandwidth, margin, f"{where} bw")
                    if bandwidth
                    else self._number(table["hard"], where, "hard")
                    if "hard" in table
                    else None,
                )
            )
        if not levels or levels[-1].level != "dram" or levels[-1].bandwidth is None:
            raise self.fail("[[memory]]", "the last level must be dram, with its bw")
        return tuple(levels)

    def launches(self, tables: Mapping[str, Any]) -> dict[str, Figure]:
        """Overheads by mode; microseconds in the file, seconds here."""
        found = {}
        for mode, table in tables.items():
            self._known(table, _FIGURE, f"[overhead.launch_us] {mode}")
            figure = self._figure(table, f"[overhead.launch_us] {mode}", "v")
            found[mode] = Figure(
                value=figure.value / 1e6,
                low=figure.low / 1e6,
                high=figure.high / 1e6,
                source=figure.source,
                status=figure.status,
            )
        return found

    def efficiencies(self, tables: Mapping[str, Any]) -> dict[str, Efficiency]:
        """Efficiencies by kernel class."""
        found = {}
        for name, table in tables.items():
            where = f"[efficiency] {name}"
            self._known(table, _EFFICIENCY, where)
            low, typ, high = (
                self._number(table.get(key), where, key) for key in ("low", "typ", "high")
            )
            if not low <= typ <= high:
                raise self.fail(where, f"low <= typ <= high must hold, got {low}, {typ}, {high}")
            found[name] = Efficiency(low=low, typ=typ, high=high, source=self._source(table, where))
        return found

    def _links(self) -> dict[str, float]:
        found = {}
        for name, table in self._table(self.document, "link", "[link]").items():
            self._known(table, _LINK, f"[link.{name}]")
            found[name] = self._number(table.get("bw_one_way"), f"[link.{name}]", "bw_one_way")
            self._source(table, f"[link.{name}]")
        return found

    def _calibration(self) -> Calibration | None:
        if "calibration" not in self.document:
            return None
        return read_calibration(self.document["calibration"], self.place)

    def _hard(self, table: Mapping[str, Any], nominal: Figure, margin: float, where: str) -> float:
        """The rate that can't be exceeded: the table's own, else the highest times the margin."""
        if "hard" not in table:
            return nominal.high * margin
        hard = self._number(table["hard"], where, "hard")
        if hard < nominal.high:
            raise self.fail(where, f"hard must be at least {nominal.high}, got {hard}")
        return hard

    def _margin(self, key: str, rates: Sequence[Any]) -> float:
        """How far a rate may exceed the nominal one: stated in the file, with its source.

        A file whose rates all have a hard one of their own needs none.
        """
        if all(isinstance(one, Mapping) and "hard" in one for one in rates if one is not None):
            return 1.0
        tables = self._table(self.document, "hard", "[hard]")
        self._known(tables, _MARGINS, "[hard]")
        table = tables.get(key)
        if table is None:
            raise self.fail("[hard]", f"{key} is missing: {{v = 1.1, source = ...}}")
        self._known(table, _MARGIN, f"[hard] {key}")
        value = self._number(table.get("v"), "[hard]", key)
        self._source(table, f"[hard] {key}")
        if value < 1:
            raise self.fail("[hard]", f"{key} must be at least 1, got {value}")
        return value


def _bandwidth(level: Any) -> Any:
    return level.get("bw") if isinstance(level, Mapping) else level


def _default_runtime(kind: str, vendor: str) -> str:
    if kind == "cpu":
        return "onnxruntime-cpu"
    return "onnxruntime-cuda" if kind == "gpu" and vendor == "NVIDIA" else "none"
