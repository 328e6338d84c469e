"""`mlsys-lint validate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
from mlsys_lint.errors import ModelError, OptionError

if TYPE_CHECKING:
    from mlsys_lint.pipeline import CheckOptions, RunOptions
    from mlsys_lint.plugin_host import PluginHost
    from mlsys_lint.records.validation import (
        ValidationReport,
    )


@click.command(
    epilog="\b\nmlsys-lint validate resnet50.onnx --threads 1\n"
    "mlsys-lint validate bert.onnx --dim seq=128 --inputs tokens.npz --max-error 0.3\n"
    "mlsys-lint validate bert.onnx --provider cuda --provider-option use_tf32=0 --device nv-l4\n\n"
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
@click.option(
    "--provider-option",
    "provider_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the CUDA provider, for example use_tf32=0; repeatable.",
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
    "--fill",
    "fills",
    multiple=True,
    metavar="INPUT=RECIPE",
    help="How to generate an input: a number, LOW..HIGH (HIGH excluded), A,B,C (one number per "
    "element, or of the last axis) or normal; of strings the text. For example tokens=0..30522. Repeatable.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the generated inputs.",
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
@click.option(
    "--save-profile",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep ONNX Runtime's profile of the kernels, for trace viewers.",
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
    """Run a model in ONNX Runtime and compare with what `check` predicts, kernel by kernel.

    MODEL is a file, a folder or a glob pattern. It runs in a child process of its own, with
    generated inputs where none are given.
    """
    from mlsys_lint.loading import model_paths
    from mlsys_lint.pipeline import validate as validate_model
    from mlsys_lint.plugin_host import PluginHost
    from mlsys_lint.validation import exit_status

    host = PluginHost()
    paths = model_paths(models)
    several = len(paths) > 1
    options, run = _options(host, given, several=several)
    faults: list[tuple[Path, ModelError]] = []

    def work(path: Path, progress: Callable[[str], None]) -> ValidationReport:
        try:
            return validate_model(path, host, options, run, progress)
        except ModelError as error:
            faults.append((path, error))
            raise

    reports, failed = for_each_model(paths, work)
    if reports or given["style"] == "json":
        text = _rendered(reports, faults, given["style"], several=several)
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

    if several and given["save_profile"] is not None:
        raise OptionError("--save-profile: takes one model; validate the models one by one")
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
        provider_options=_provider_options(given["provider_options"]),
        threads=threads,
        runs=given["runs"],
        arrays=given["arrays"],
        fills=_fills(given["fills"]),
        seed=given["seed"],
        timeout_s=given["timeout"],
        save_profile=given["save_profile"],
    )


def _fills(given: Sequence[str]) -> dict[str, str]:
    """Recipes by input; split at the last `=`, as --dim is: names may hold one."""
    fills: dict[str, str] = {}
    for one in given:
        name, _, recipe = one.rpartition("=")
        if not (name and recipe):
            raise OptionError(f"--fill {one}: say INPUT=RECIPE, for example tokens=0..30522")
        if name in fills:
            raise OptionError(f"--fill {one}: {name} is given twice")
        fills[name] = recipe
    return fills


def _provider_options(given: Sequence[str]) -> dict[str, str]:
    options = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not (key and equals):
            raise OptionError(f"--provider-option {one}: say KEY=VALUE, for example use_tf32=0")
        if key in options:
            raise OptionError(f"--provider-option {one}: {key} is given twice")
        options[key] = value
    return options


def _rendered(
    reports: Sequence[ValidationReport],
    faults: Sequence[tuple[Path, ModelError]],
    style: str,
    *,
    several: bool,
) -> str:
    from mlsys_lint import __version__
    from mlsys_lint.documents import tool_document
    from mlsys_lint.pipeline import SCHEMA_VERSION
    from mlsys_lint.validation import models_lines, to_document, to_text

    if style == "text":
        parts = [to_text(one).rstrip() for one in reports]
        return "\n\n".join((*parts, "\n".join(models_lines(reports))) if several else parts)
    documents = [to_document(one) for one in reports]
    if not several:
        return json.dumps(documents[0], indent=1)
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": tool_document(__version__),
            "reports": documents,
            "failed": [{"path": str(path), "message": str(error)} for path, error in faults],
        },
        indent=1,
    )
