"""`mlsys-lint check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlsys_lint.cli.options import (
    bindings_of,
    for_each_model,
    plugin_options,
    profiles_of,
    shape_options,
    write_file,
)
from mlsys_lint.cli.training import training_of, training_options
from mlsys_lint.errors import OptionError, PluginError

if TYPE_CHECKING:
    from mlsys_lint.pipeline import CheckOptions
    from mlsys_lint.plugin_host import PluginHost
    from mlsys_lint.records import ModelReport


@click.command(
    epilog="\b\nmlsys-lint resnet50.onnx --batch 8 --device nv-a100-sxm4-80 --device host\n"
    "mlsys-lint models/ --format json --output report.json\n"
    "mlsys-lint bert.onnx --dim seq=128 --max-latency 20ms --max-memory 4GiB"
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="ID|FILE",
    help="Device id (see `devices`) or profile file; repeatable. Default: host, this machine.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Worker threads on the host.")
@click.option("--runtime", metavar="NAME", help="Runtime whose kernels are predicted.")
@click.option(
    "--precision",
    type=click.Choice(["as-is", "fp32", "fp16", "bf16", "int8", "int4"]),
    default="as-is",
    show_default=True,
    help="What if: take the model's numbers in another format.",
)
@shape_options
@click.option("--max-batch", is_flag=True, help="Search the largest batch each device holds.")
@click.option("--max-latency", metavar="TIME", help="Budget of one run, for example 20ms.")
@click.option("--max-memory", metavar="SIZE", help="Budget of memory, for example 4GiB.")
@training_options
@click.option("--select", multiple=True, metavar="CODES", help="Only these rules (prefixes).")
@click.option("--ignore", multiple=True, metavar="CODES", help="Not these rules (prefixes).")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    default="error",
    show_default=True,
    help="Lightest finding that makes the exit status 1.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="NAME",
    help="text (default), json, or a plugin's.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file; the i-th belongs to the i-th --format.",
)
@plugin_options
def check(models: Sequence[str], **given: object) -> int:
    """Say what a model computes, needs and takes, without running it.

    MODEL is a file, a folder or a glob pattern.
    """
    from mlsys_lint.linting import exit_status
    from mlsys_lint.loading import model_paths
    from mlsys_lint.pipeline import check as check_model
    from mlsys_lint.plugin_host import PluginHost

    host = PluginHost()
    writers = _writers(host, given)
    paths = model_paths(models)
    options = _options(host, given, several=len(paths) > 1)
    reports, failed = for_each_model(
        paths, lambda path, progress: check_model(path, host, options, progress)
    )
    for problem in dict.fromkeys(problem for one in reports for problem in one.problems):
        place = f", node {problem.node}" if problem.node is not None else ""
        click.echo(f"plugin {problem.plugin}, {problem.stage}{place}: {problem.message}", err=True)
    _write(writers, reports, host)
    if given["strict_plugins"] and any(one.problems for one in reports):
        raise PluginError("a plugin failed (see above); without --strict-plugins this is no error")
    if failed:
        return 2
    findings = [finding for one in reports for finding in one.findings]
    return exit_status(findings, str(given["fail_on"]))


def _options(host: PluginHost, given: dict[str, object], *, several: bool) -> CheckOptions:
    from mlsys_lint.formatting import parse_bytes, parse_duration
    from mlsys_lint.pipeline import CheckOptions

    budgets: dict[str, float] = {}
    if given["max_latency"] is not None:
        budgets["latency"] = parse_duration(str(given["max_latency"]), "--max-latency")
    if given["max_memory"] is not None:
        budgets["memory"] = parse_bytes(str(given["max_memory"]), "--max-memory")
    return CheckOptions(
        bindings=bindings_of(
            _texts(given["dims"]),
            _integer(given["batch"]),
            _texts(given["inputs"]),
            _texts(given["trips"]),
            strict=not several,
        ),
        devices=profiles_of(_texts(given["devices"]), _integer(given["threads"]), host.devices),
        runtime=str(given["runtime"]) if given["runtime"] else None,
        precision=str(given["precision"]),
        max_batch=bool(given["max_batch"]),
        training=training_of(given, strict=not several),
        budgets=budgets,
        select=_codes(given["select"]),
        ignore=_codes(given["ignore"]),
    )


def _writers(host: PluginHost, given: dict[str, object]) -> list[tuple[str, Path | None]]:
    formats = _texts(given["formats"]) or ("text",)
    outputs = given["outputs"]
    files: list[Path | None] = list(outputs) if isinstance(outputs, tuple) else []
    if len(files) > len(formats):
        raise OptionError("--output: more files than formats; give a --format for each")
    for name in formats:
        if name not in host.reporters:
            known = ", ".join(sorted(host.reporters))
            raise OptionError(f"--format {name}: unknown; known formats: {known}")
    files += [None] * (len(formats) - len(files))
    return list(zip(formats, files, strict=True))


def _write(
    writers: Sequence[tuple[str, Path | None]], reports: Sequence[ModelReport], host: PluginHost
) -> None:
    if not reports:
        return
    for name, path in writers:
        try:
            content = host.reporters[name].render(reports)
        except Exception as error:
            raise PluginError(
                f"reporter {name!r} of {host.owners.get(name)!r} failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        data = content.encode() if isinstance(content, str) else content
        if path is None:
            click.echo(data, nl=not data.endswith(b"\n"))
            continue
        write_file(path, data)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, tuple) else ()


def _codes(value: object) -> tuple[str, ...]:
    """Codes, given one by one or separated by commas."""
    return tuple(code for text in _texts(value) for code in text.split(",") if code)


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None
