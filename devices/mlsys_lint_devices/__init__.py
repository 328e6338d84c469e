"""Device profiles as data: one TOML file a device, parsed when it is asked for."""

from __future__ import annotations

from functools import partial
from importlib import resources

from mlsys_lint import DeviceEntry, DeviceProfile, hookimpl
from mlsys_lint.devices import parse_profile, shipped_table


@hookimpl
def register_devices() -> list[DeviceEntry]:
    """Every device of the index; a file is read when its device is asked for."""
    return [
        DeviceEntry(
            id=name,
            name=row["name"],
            vendor=row["vendor"],
            kind=row["kind"],
            load=partial(load, row["file"]),
        )
        for name, row in shipped_table("index.toml").items()
    ]


def load(file: str) -> DeviceProfile:
    """Parse one profile of this package."""
    text = resources.files(__name__).joinpath(file).read_text(encoding="utf-8")
    return parse_profile(text, f"devices/{file}", {})
