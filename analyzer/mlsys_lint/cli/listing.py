"""`devices`, `rules`, `explain` and `plugins`: what is there to choose from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from mlsys_lint.errors import OptionError

if TYPE_CHECKING:
    from mlsys_lint.records import DeviceProfile, Figure

FORMAT: Final = click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the output.",
)


def show(document: dict[str, Any], text: str, style: str) -> None:
    """Print a listing as text or JSON."""
    click.echo(json.dumps(document, indent=1) if style == "json" else text)


def table(rows: Sequence[Sequence[object]], headers: list[str]) -> str:
    """A plain table."""
    from tabulate import tabulate

    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True)


@click.command(epilog="\b\nmlsys-lint devices\nmlsys-lint devices nv-h100-sxm5 --format json")
@click.argument("name", required=False, metavar="[ID]")
@FORMAT
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def devices(name: str | None, style: str, *, debug: bool) -> None:
    """List the devices, or one device with its figures and their sources."""
    del debug
    from mlsys_lint.devices import find_device
    from mlsys_lint.plugin_host import PluginHost

    host = PluginHost()
    if name is not None:
        document = _device_document(find_device(name, host.devices))
        show({"devices": [document]}, _device_text(document), style)
        return
    listed = [
        {"id": one.id, "name": one.name, "vendor": one.vendor, "kind": one.kind}
        for _, one in sorted(host.devices.items())
    ]
    host_row = {"id": "host", "name": "this machine", "vendor": "", "kind": "cpu"}
    rows = [[one["id"], one["kind"], one["vendor"], one["name"]] for one in [host_row, *listed]]
    text = table(rows, ["id", "kind", "vendor", "name"])
    show({"devices": [host_row, *listed]}, text, style)


def _figure(figure: Figure | None, unit: str) -> dict[str, object] | None:
    if figure is None:
        return None
    return {
        unit: figure.value,
        "low": figure.low,
        "high": figure.high,
        "status": figure.status,
        "source": figure.source,
    }


def _device_document(profile: DeviceProfile) -> dict[str, Any]:
    bandwidth = profile.dram.bandwidth
    return {
        "id": profile.id,
        "name": profile.name,
        "vendor": profile.vendor,
        "kind": profile.kind,
        "runtime": profile.runtime,
        "threads": profile.threads,
        "calibrated": profile.calibrated,
        "peaks": [
            {
                "engine": peak.engine,
                "dtype": peak.dtype,
                "dense": _figure(peak.dense, "flop_per_s"),
                "hard_flop_per_s": peak.hard,
                "ridge": peak.dense.value / bandwidth.value if bandwidth else None,
            }
            for peak in profile.peaks.values()
        ],
        "memory": [
            {
                "level": level.level,
                "managed": level.managed,
                "capacity_bytes": level.capacity_bytes,
                "bandwidth": _figure(level.bandwidth, "bytes_per_s"),
            }
            for level in profile.memory
        ],
        "launch": {mode: _figure(one, "s") for mode, one in profile.launch_s.items()},
        "sources": dict(profile.sources),
        "notes": profile.notes,
    }


def _device_text(document: dict[str, Any]) -> str:
    from mlsys_lint.formatting import quantity, size

    def ranged(figure: dict[str, Any] | None, unit: str) -> tuple[str, str, str]:
        if figure is None:
            return "-", "", ""
        value = next(iter(figure.values()))
        spread = (
            ""
            if figure["low"] == figure["high"]
            else (f"{quantity(figure['low'], unit)} .. {quantity(figure['high'], unit)}")
        )
        return quantity(value, unit), spread, f"{figure['status']}, {figure['source']}"

    threads = f", {document['threads']} threads" if document["threads"] else ""
    lines = [
        f"{document['id']}   {document['name']} ({document['vendor']}, {document['kind']}{threads})"
    ]
    peaks = [
        [
            one["engine"],
            one["dtype"],
            *ranged(one["dense"], "FLOP/s"),
            f"{one['ridge']:.1f} F/B" if one["ridge"] else "-",
        ]
        for one in document["peaks"]
    ]
    lines += ["", table(peaks, ["engine", "type", "peak", "range", "status, source", "ridge"])]
    levels = [
        [
            one["level"],
            size(one["capacity_bytes"]) if one["capacity_bytes"] else "-",
            *ranged(one["bandwidth"], "B/s"),
        ]
        for one in document["memory"]
    ]
    lines += ["", table(levels, ["memory", "capacity", "bandwidth", "range", "status, source"])]
    lines += ["", *(f"{key}: {text}" for key, text in document["sources"].items())]
    if document["notes"]:
        lines += ["", document["notes"]]
    return "\n".join(lines)


@click.command(epilog="\b\nmlsys-lint rules --format json")
@FORMAT
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def rules(style: str, *, debug: bool) -> None:
    """List the lint rules."""
    del debug
    from mlsys_lint.plugin_host import PluginHost

    host = PluginHost()
    listed = [
        {
            "code": rule.code,
            "name": rule.name,
            "severity": str(rule.severity),
            "plugin": host.owners[rule.code],
        }
        for _, rule in sorted(host.rules.items())
    ]
    rows = [[one["code"], one["name"], one["severity"], one["plugin"]] for one in listed]
    show({"rules": listed}, table(rows, ["code", "name", "severity", "plugin"]), style)


@click.command(epilog="\b\nmlsys-lint explain MLS203\nmlsys-lint explain channels-off-block")
@click.argument("code")
@FORMAT
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def explain(code: str, style: str, *, debug: bool) -> None:
    """Print what a rule looks for, why, and what to do instead."""
    del debug
    from mlsys_lint.plugin_host import PluginHost

    host = PluginHost()
    found = next((rule for rule in host.rules.values() if code in (rule.code, rule.name)), None)
    if found is None:
        known = ", ".join(sorted(host.rules))
        raise OptionError(f"explain {code}: no such rule; known rules: {known}")
    document = {
        "code": found.code,
        "name": found.name,
        "severity": str(found.severity),
        "doc": found.doc,
    }
    show(document, f"{found.code} {found.name} ({found.severity})\n\n{found.doc.strip()}", style)


@click.command(epilog="\b\nmlsys-lint plugins --format json")
@FORMAT
@click.option("--strict-plugins", is_flag=True, help="A plugin's fault is exit status 2.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def plugins(style: str, *, strict_plugins: bool, debug: bool) -> int:
    """List the loaded plugins, what they bring, and what is wrong with them."""
    del debug
    from mlsys_lint.plugin_host import PluginHost

    host = PluginHost()
    listed = [
        {"name": one.name, "distribution": one.distribution, "hooks": dict(one.hooks)}
        for one in host.plugins
    ]
    problems = [
        {"plugin": one.plugin, "stage": one.stage, "message": one.message} for one in host.problems
    ]
    rows = [
        [
            one.name,
            one.distribution or "mlsys-lint",
            ", ".join(f"{hook.removeprefix('register_')} {n}" for hook, n in one.hooks.items()),
        ]
        for one in host.plugins
    ]
    text = table(rows, ["plugin", "distribution", "brings"])
    for problem in problems:
        text += f"\nproblem: {problem['plugin']} ({problem['stage']}): {problem['message']}"
    show({"plugins": listed, "problems": problems}, text, style)
    return 2 if strict_plugins and problems else 0
