"""`mlsys-lint ops`: which operators are modelled, and what is left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from mlsys_lint.cli.listing import FORMAT, show, table
from mlsys_lint.errors import OptionError, RuntimeUnavailableError
from mlsys_lint.records import Unsupported

if TYPE_CHECKING:
    from mlsys_lint.plugin_host import PluginHost

Known: TypeAlias = tuple[str, str, int]
"""Domain, op_type and since_version of a schema."""


@click.command(epilog="\b\nmlsys-lint ops Conv\nmlsys-lint ops --missing")
@click.argument("op", required=False, metavar="[OP]")
@click.option(
    "--missing",
    is_flag=True,
    help="Only what has no formula, of all that the installed onnx and onnxruntime know; "
    "exit 1 while any is left.",
)
@FORMAT
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def ops(op: str | None, style: str, *, missing: bool, debug: bool) -> int:
    """List the operators and how they are costed.

    `exact` by a formula, `expanded` through their body, `unsupported` where a file can't tell the
    cost (with the reason), or `missing`.
    """
    del debug
    from mlsys_lint.plugin_host import PluginHost

    listed = operator_rows(PluginHost(), _registered() if missing else ())
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
            one["reason"] or "",
        ]
        for one in listed
    ]
    text = table(rows, ["operator", "status", "formula since", "plugin", "reason"])
    show({"operators": listed}, text, style)
    return 1 if missing and listed else 0


def operator_rows(host: PluginHost, registered: Iterable[Known] = ()) -> list[dict[str, Any]]:
    """Every operator that a plugin, the installed onnx or `registered` knows, by domain and name.

    An operator is missing where any version of its schema has neither a formula nor a body.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in host.operators:
        spec = entry.spec
        reason = spec.estimate.reason if isinstance(spec.estimate, Unsupported) else None
        status = "exact" if reason is None else "unsupported"
        key = (spec.domain or "ai.onnx", spec.op_type)
        row = rows.setdefault(key, _row(*key, status, entry.plugin, reason))
        row["since_versions"].append(spec.since_version)
    bodies = _with_bodies()
    for domain, op_type, version in sorted({*_schemas(), *registered}):
        if host.operators.find(domain, op_type, version) is None:
            key = (domain or "ai.onnx", op_type)
            if (domain, op_type) in bodies:
                rows.setdefault(key, _row(*key, "expanded", None))
            else:
                row = rows.setdefault(key, _row(*key, "missing", None))
                row |= {"status": "missing", "reason": f"version {version} has no formula"}
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


def _registered() -> list[Known]:
    """What the installed ONNX Runtime registers; none, said on stderr, where there is none."""
    from mlsys_lint.measure import registered_operators

    try:
        return registered_operators()
    except RuntimeUnavailableError as error:
        click.echo(f"ONNX Runtime's operators are not compared: {error}", err=True)
        return []


def _schemas() -> list[Known]:
    """(domain, name, since_version) of all that the installed onnx knows, at every version."""
    from onnx import defs

    return [
        (schema.domain, schema.name, schema.since_version)
        for schema in defs.get_all_schemas_with_history()
    ]


def _with_bodies() -> set[tuple[str, str]]:
    """Operators whose cost is that of the nodes in a body: onnx's functions, control flow."""
    from onnx import defs

    found = {("", name) for name in ("If", "Loop", "Scan")}
    schema: Any  # the stubs lack has_function
    for schema in defs.get_all_schemas_with_history():
        if schema.has_function or schema.has_context_dependent_function:
            found.add((schema.domain, schema.name))
    return found
