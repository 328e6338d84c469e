"""Device profiles: lookup by id or path, TOML -> DeviceProfile."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from mlsys_lint.devices.reader import ProfileReader, shipped_table
from mlsys_lint.errors import DeviceError
from mlsys_lint.records import (
    DeviceEntry,
    DeviceProfile,
    Efficiency,
    Figure,
)

__all__ = ["HOST", "find_device", "load_file", "parse_profile", "priors", "shipped_table"]

HOST: Final = "host"


def find_device(
    name: str, offered: Mapping[str, DeviceEntry], *, threads: int | None = None
) -> DeviceProfile:
    """A device by id, `host`, or the path of a profile file (a separator in it, or .toml).

    Raises:
        DeviceError: there is no such device, or its file is wrong.
    """
    if name == HOST:
        from mlsys_lint.host import detect_host

        return detect_host(threads)
    if name in offered:
        return offered[name].load()
    if name.endswith(".toml") or "/" in name or "\\" in name:
        return load_file(Path(name))
    close = get_close_matches(name, [HOST, *offered], n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    raise DeviceError(f"unknown device {name!r}: {hint}`mlsys-lint devices` lists all")


def load_file(path: Path) -> DeviceProfile:
    """A profile of the user's own; its sources stand in its own [sources] table."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(f"{path}: can't be read: {error}") from error
    return parse_profile(text, str(path), {})


def parse_profile(text: str, place: str, sources: Mapping[str, str]) -> DeviceProfile:
    """Parse a profile; efficiencies and overheads that it leaves out are the priors of its kind.

    Args:
        text: TOML.
        place: Where the text stands, for messages.
        sources: Citations by key; the file's own [sources] and ours come on top.

    Raises:
        DeviceError: a key is missing, unknown or wrong; nothing is guessed.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeviceError(f"{place}: not TOML: {error}") from error
    return ProfileReader(document, place, sources).profile()


def priors(kind: str) -> tuple[dict[str, Efficiency], dict[str, Figure], dict[str, str]]:
    """Efficiencies, overheads and their citations for a kind of device (priors.toml)."""
    reader = ProfileReader({}, "priors.toml", {})
    prior = shipped_table("priors.toml").get(kind, {})
    efficiency = reader.efficiencies(prior.get("efficiency", {}))
    return efficiency, reader.launches(prior.get("overhead", {})), reader.cited
