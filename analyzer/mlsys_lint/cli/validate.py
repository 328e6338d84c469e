"""`mlsys-lint validate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlsys_lint.cli.options import (
    bindings_of,
    for_each_model,
    plugin_options,
    profiles_of,
    shape_options,
    write_file,
)

if TYPE_CHECKING:
    from mlsys_lint.pipeline import CheckOptions, RunOptions
    from mlsys_lint.plugin_host import PluginHost
    from mlsys_lint.records.validation import (
        ValidationReport,
    )


@click.command(
    epilog="\b\nmlsys-lint validate resnet50.onnx --threads 1\n"
    "mlsys-lint validate bert.onnx --dim seq=128 --inputs tokens.npz --max-error 0.3\n\n"
    "Needs ONNX Runtime: pip install 'mlsys-lint[cpu]' or 'mlsys-lint[cuda]'."
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Execution provider; a silent fallback is an error.",
)
@click.option("--device", metavar="ID|FILE", help="Device to predict for. Default: host.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of one operator.")
@click.option("--runs", type=click.IntRange(min=1), help="Timed runs. Default: about 2 s of them.")
@click.option(
    "--inputs",
    "arrays",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.npz",
    help="Arrays by input name; inputs that it lacks are generated.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    metavar="S",
    help="Limit for each model, in seconds.",
)
@click.option(
    "--max-error",
    type=click.FloatRange(min=0),
    metavar="FRACTION",
    help="Exit with 1 when the prediction is off by more, for example 0.2.",
)
@shape_options
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the output.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file instead."
)
@plugin_options
def validate(models: Sequence[str], **given: Any) -> int:
    """Run a model in ONNX Runtime and compare with what `check` predicts.

    The model runs in a child process of its own, with generated inputs where none are given.
    """
    from mlsys_lint.loading import model_paths
    from mlsys_lint.pipeline import validate as validate_model
    from mlsys_lint.plugin_host import PluginHost
    from mlsys_lint.validation import exit_status

    host = PluginHost()
    paths = model_paths(models)
    options, run = _options(host, given, several=len(paths) > 1)
    reports, failed = for_each_model(
        paths, lambda path, progress: validate_model(path, host, options, run, progress)
    )
    if reports:
        text = _rendered(reports, given["style"], several=len(paths) > 1)
        if given["output"] is None:
            click.echo(text)
        else:
            write_file(given["output"], f"{text}\n".encode())
    if failed:
        return 2
    return max((exit_status(one, given["max_error"]) for one in reports), default=0)


def _options(
    host: PluginHost, given: dict[str, Any], *, several: bool
) -> tuple[CheckOptions, RunOptions]:
    from mlsys_lint.pipeline import CheckOptions, RunOptions

    # A CUDA run is compared with the profile that the user names: this machine's CPU is none.
    named = [given["device"]] if given["device"] else []
    wanted = bool(named) or given["provider"] == "cpu"
    profiles = profiles_of(named, given["threads"], host.devices) if wanted else []
    threads = given["threads"] or next((one.threads for one in profiles if one.threads), None) or 1
    check = CheckOptions(
        bindings=bindings_of(
            given["dims"], given["batch"], given["inputs"], given["trips"], strict=not several
        ),
        devices=profiles,
    )
    return check, RunOptions(
        provider=given["provider"],
        threads=threads,
        runs=given["runs"],
        arrays=given["arrays"],
        timeout_s=given["timeout"],
    )


def _rendered(reports: Sequence[ValidationReport], style: str, *, several: bool) -> str:
    from mlsys_lint.validation import to_document, to_text

    if style == "text":
        return "\n\n".join(to_text(one) for one in reports)
    documents = [to_document(one) for one in reports]
    if not several:
        return json.dumps(documents[0], indent=1)
    head = {key: documents[0][key] for key in ("schema_version", "tool")}
    return json.dumps({**head, "reports": documents}, indent=1)
