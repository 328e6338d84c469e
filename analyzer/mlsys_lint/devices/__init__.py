"""Device profiles: lookup by id or path, TOML -> DeviceProfile."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from mlsys_lint.devices.calibrations import chosen
from mlsys_lint.devices.reader import ProfileReader
from mlsys_lint.devices.tables import shipped_table
from mlsys_lint.errors import DeviceError
from mlsys_lint.records import (
    DeviceEntry,
    DeviceProfile,
    Efficiency,
    Figure,
)

__all__ = [
    "HOST",
    "calibrated_threads",
    "find_device",
    "load_file",
    "parse_profile",
    "priors",
    "saved_host",
    "shipped_table",
]

HOST: Final = "host"


def find_device(
    name: str, offered: Mapping[str, DeviceEntry], *, threads: int | None = None
) -> DeviceProfile:
    """A device by id, `host`, or the path of a profile file (a separator in it, or .toml).

    Raises:
        DeviceError: there is no such device, or its file is wrong.
    """
    if name == HOST:
        return _host(threads)
    if name in offered:
        return offered[name].load()
    if name.endswith(".toml") or "/" in name or "\\" in name:
        return load_file(Path(name), threads)
    close = get_close_matches(name, [HOST, *offered], n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    raise DeviceError(f"unknown device {name!r}: {hint}`mlsys-lint devices` lists all")


def saved_host() -> Path:
    """Where `calibrate` keeps this machine's profile: in MLSYS_LINT_HOME, or the user's own folder."""
    from click import get_app_dir

    return Path(os.environ.get("MLSYS_LINT_HOME") or get_app_dir("mlsys-lint")) / "host.toml"


def _host(threads: int | None) -> DeviceProfile:
    """The saved profile where it has the number of threads, else what can be detected."""
    from mlsys_lint.host import detect_host, other_machine

    path = saved_host()
    if not path.is_file() or (threads is not None and threads not in calibrated_threads(path)):
        return detect_host(threads)
    profile = load_file(path, threads)
    doubt = other_machine(profile.calibration) if profile.calibration is not None else None
    if doubt is None:
        return profile
    return replace(profile, doubts=(*profile.doubts, f"{doubt}; calibrate again"))


def calibrated_threads(path: Path) -> tuple[int, ...]:
    """Numbers of threads for which a file holds a profile, rising."""
    tables = _document(_read(path), str(path)).get("threads")
    return tuple(sorted(map(int, tables))) if isinstance(tables, dict) else ()


def load_file(path: Path, threads: int | None = None) -> DeviceProfile:
    """A profile of the user's own; its sources stand in its own [sources] table."""
    return parse_profile(_read(path), str(path), {}, threads=threads)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(f"{path}: can't be read: {error}") from error


def parse_profile(
    text: str, place: str, sources: Mapping[str, str], *, threads: int | None = None
) -> DeviceProfile:
    """Parse a profile; efficiencies and overheads that it leaves out are the priors of its kind.

    Args:
        text: TOML.
        place: Where the text stands, for messages.
        sources: Citations by key; the file's own [sources] and ours come on top.
        threads: Which table of a file that has one for each number of threads.

    Raises:
        DeviceError: a key is missing, unknown or wrong; nothing is guessed.
    """
    document = chosen(_document(text, place), threads, place)
    return ProfileReader(document, place, sources).profile()


def _document(text: str, place: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeviceError(f"{place}: not TOML: {error}") from error


def priors(kind: str) -> tuple[dict[str, Efficiency], dict[str, Figure], dict[str, str]]:
    """Efficiencies, overheads and their citations for a kind of device (priors.toml)."""
    reader = ProfileReader({}, "priors.toml", {})
    prior = shipped_table("priors.toml").get(kind, {})
    efficiency = reader.efficiencies(prior.get("efficiency", {}))
    return efficiency, reader.launches(prior.get("overhead", {})), reader.cited
