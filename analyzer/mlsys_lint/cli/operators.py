"""`mlsys-lint ops`: which operators are modelled, and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlsys_lint.cli.listing import FORMAT, show, table
from mlsys_lint.errors import OptionError
from mlsys_lint.records import Unsupported

if TYPE_CHECKING:
    from mlsys_lint.plugin_host import PluginHost


@click.command(epilog="\b\nmlsys-lint ops Conv\nmlsys-lint ops --missing")
@click.argument("op", required=False, metavar="[OP]")
@click.option("--missing", is_flag=True, help="Only what has no formula; exit 1 while any is left.")
@FORMAT
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def ops(op: str | None, style: str, *, missing: bool, debug: bool) -> int:
    """List the operators and how they are costed.

    `exact` by a formula, `expanded` through their body, `unsupported` where a file can't tell the
    cost (with the reason), or `missing`.
    """
    del debug
    from mlsys_lint.plugin_host import PluginHost

    listed = operator_rows(PluginHost())
    if op is not None:
        listed = [
            one for one in listed if op in (one["op_type"], f"{one['domain']}::{one['op_type']}")
        ]
        if not listed:
            raise OptionError(f"ops {op}: no such operator; `mlsys-lint ops` lists all")
    if missing:
        listed = [one for one in listed if one["status"] == "missing"]
    rows: list[list[object]] = [
        [
            f"{one['domain']}::{one['op_type']}",
            one["status"],
            ", ".join(map(str, one["since_versions"])) or "-",
            one["plugin"] or "-",
        ]
        for one in listed
    ]
    text = table(rows, ["operator", "status", "formula since", "plugin"])
    show({"operators": listed}, text, style)
    return 1 if missing and listed else 0


def operator_rows(host: PluginHost) -> list[dict[str, Any]]:
    """Every operator that a plugin or the installed onnx knows, by domain and name."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in host.operators:
        spec = entry.spec
        domain = "ai.onnx" if spec.domain in ("", "ai.onnx") else spec.domain
        reason = spec.estimate.reason if isinstance(spec.estimate, Unsupported) else None
        status = "exact" if reason is None else "unsupported"
        row = rows.setdefault(
            (domain, spec.op_type), _row(domain, spec.op_type, status, entry.plugin, reason)
        )
        row["since_versions"].append(spec.since_version)
    for domain, op_type, status in _schemas():
        rows.setdefault((domain, op_type), _row(domain, op_type, status, None))
    return [rows[key] for key in sorted(rows)]


def _row(
    domain: str, op_type: str, status: str, plugin: str | None, reason: str | None = None
) -> dict[str, Any]:
    return {
        "domain": domain,
        "op_type": op_type,
        "status": status,
        "since_versions": [],
        "plugin": plugin,
        "reason": reason,
    }


def _schemas() -> list[tuple[str, str, str]]:
    """(domain, name, status without a formula) of the operators that the installed onnx knows."""
    from onnx import defs

    control_flow = ("If", "Loop", "Scan")
    found = []
    schema: Any  # the stubs lack has_function
    for schema in defs.get_all_schemas():
        body = schema.has_function or schema.has_context_dependent_function
        expanded = body or (schema.domain == "" and schema.name in control_flow)
        status = "expanded" if expanded else "missing"
        found.append((schema.domain or "ai.onnx", schema.name, status))
    return found
