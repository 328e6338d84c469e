"""The parts of README.md that are made from the product; `python tests/docs/readme_tables.py` rewrites them.

A part stands between `<!-- NAME -->` and `<!-- end NAME -->`.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mlsys_lint import hookspecs
from mlsys_lint.cli.operators import operator_rows
from mlsys_lint.dtypes import stored_bytes
from mlsys_lint.formatting import significant
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Weight

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
FIRST = (
    "mlsys-lint sample_models/depthwise_separable.onnx --batch 8 --device i7-12700k "
    "--device nv-l4 --max-latency 2ms"
)
TRAINING = (
    "mlsys-lint transformer_encoder.onnx --batch 8 --dim seq=128 --device i7-12700k "
    "--training --optimizer adamw --checkpointing sqrt --loss mse"
)


def first_report() -> str:
    """The first command and its real output."""
    command = [sys.executable, "-m", "mlsys_lint", *FIRST.split()[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    install = "pip install '.[cpu]'"
    return f"```console\n$ {install} && {FIRST}\n{done.stdout.rstrip()}\n```"


def devices() -> str:
    """Table of devices by kind."""
    rows = ["| kind | devices |", "|---|---|"]
    host = PluginHost(third_party=False)
    for kind in ("cpu", "gpu", "tpu", "npu"):
        ids = [f"`{name}`" for name, one in sorted(host.devices.items()) if one.kind == kind]
        rows.append(f"| {kind} | {', '.join(ids)} |")
    return "\n".join(rows)


def rules() -> str:
    """Table of rules with the first line of their documentation."""
    rows = ["| code | name | severity | what it finds |", "|---|---|---|---|"]
    for code, rule in sorted(PluginHost(third_party=False).rules.items()):
        summary = rule.doc.strip().splitlines()[0].partition(": ")[2]
        rows.append(f"| {code} | {rule.name} | {rule.severity} | {summary} |")
    return "\n".join(rows)


def hooks() -> str:
    """Table of hooks with the first line of their documentation."""
    rows = ["| hook | what it returns |", "|---|---|"]
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction):
        if function.__module__ == hookspecs.__name__ and not name.startswith("_"):
            summary = (function.__doc__ or "").strip().splitlines()[0]
            arguments = ", ".join(inspect.signature(function).parameters)
            rows.append(f"| `{name}({arguments})` | {summary} |")
    return "\n".join(rows)


def runtimes() -> str:
    """List of runtimes and the release each follows."""
    found = sorted(PluginHost(third_party=False).runtimes.values(), key=lambda one: one.name)
    return ", ".join(
        f"`{one.name}`" + (f" (follows {one.version})" if one.version else "") for one in found
    )


def operators() -> str:
    """Operators with a formula by domain, those with a body, and those that have neither."""
    by_domain: dict[str, list[str]] = {}
    reasons: dict[str, list[str]] = {}
    bodies = []
    for row in operator_rows(PluginHost(third_party=False)):
        name = f"{row['domain']}::{row['op_type']}".removeprefix("ai.onnx::")
        if row["status"] == "unsupported":
            reasons.setdefault(row["reason"], []).append(name)
        elif row["status"] == "expanded":
            bodies.append(name)
        else:
            by_domain.setdefault(row["domain"], []).append(row["op_type"])
    rows = ["| domain | operators with a formula |", "|---|---|"]
    rows += [f"| {domain} | {', '.join(names)} |" for domain, names in by_domain.items()]
    rows += ["", f"Walked into: {', '.join(bodies)}, calls of a model's functions.", ""]
    rows += ["| no formula can exist | what a file does not tell |", "|---|---|"]
    rows += [f"| {', '.join(names)} | {reason} |" for reason, names in reasons.items()]
    return "\n".join(rows)


def training_report() -> str:
    """The training block of a real report."""
    command = [sys.executable, "-m", "mlsys_lint", *TRAINING.split()[1:]]
    folder = ROOT / "sample_models"
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    block = done.stdout[done.stdout.index("training step") :].partition("\n\nfindings")[0]
    return f"```console\n$ cd sample_models && {TRAINING}\n...\n{block}\n```"


def optimizers() -> str:
    """Optimizers with what they keep and compute for a 4096 x 4096 matrix in fp32."""
    rows = [
        "| optimizer | states, bytes a weight | update, FLOPs a weight | after |",
        "|---|---|---|---|",
    ]
    side, found = 4096, PluginHost(third_party=False).optimizers
    for name, one in sorted(found.items()):
        shapes = [(side, one.rank or 0), (one.rank or 0, side)] if one.adapters else [(side, side)]
        weights = [Weight(name="", shape=shape, dtype="float", is_matrix=True) for shape in shapes]
        states = [(state, w) for w in weights for state in one.states(w, one.rank or 0)]
        held = sum(stored_bytes(state.dtype or w.dtype, state.elements) for state, w in states)
        updates = [one.update(w, one.rank or 0) for w in weights]
        flops = sum(update.vector_ops + update.contraction_flops for update in updates)
        rank = f" (rank {one.rank})" if one.rank else ""
        texts = [significant(value / side**2) for value in (held, flops)]
        rows.append(f"| `{name}`{rank} | {texts[0]} | {texts[1]} | {one.source} |")
    return "\n".join(rows)


PARTS: dict[str, Callable[[], str]] = {
    "first report": first_report,
    "devices": devices,
    "rules": rules,
    "hooks": hooks,
    "runtimes": runtimes,
    "operators": operators,
    "training report": training_report,
    "optimizers": optimizers,
}


def part(text: str, name: str) -> str:
    """What stands in README between the marks of a part."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end {name} -->", text, re.DOTALL)
    assert found is not None, f"README.md lacks the part {name!r}"
    return found.group(1)


def main() -> None:
    """Rewrite every part."""
    text = README.read_text(encoding="utf-8")
    for name, make in PARTS.items():
        marked = f"<!-- {name} -->\n{make()}\n<!-- end {name} -->"
        text = text.replace(f"<!-- {name} -->\n{part(text, name)}\n<!-- end {name} -->", marked)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
