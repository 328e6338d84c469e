"""Options that several commands share, and their parsing into values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from mlsys_lint.cli.progress import Progress
from mlsys_lint.errors import MlsysLintError, ModelError, OptionError
from mlsys_lint.records import DeviceProfile
from mlsys_lint.shapes import Bindings

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")

_SHAPE_OPTIONS: Final = (
    click.option(
        "--dim",
        "dims",
        multiple=True,
        metavar="NAME=INT",
        help="Size of a dynamic dimension, by name or INPUT:AXIS. Repeatable.",
    ),
    click.option("--batch", type=click.IntRange(min=1), help="Size of every dynamic axis 0."),
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=1,3,48,192",
        help="Whole shape of an input. Repeatable.",
    ),
    click.option(
        "--trip-count",
        "trips",
        multiple=True,
        metavar="LOOP=INT",
        help="Trips of a Loop, by node index or name, where the file does not tell. Repeatable.",
    ),
)
_PLUGIN_OPTIONS: Final = (
    click.option("--strict-plugins", is_flag=True, help="A plugin's fault is exit status 2."),
    click.option("--debug", is_flag=True, help="Show the traceback of a failure."),
)


def shape_options(function: _F) -> _F:
    """--dim, --batch, --input, --trip-count."""
    return reduce(lambda done, option: option(done), reversed(_SHAPE_OPTIONS), function)


def plugin_options(function: _F) -> _F:
    """--strict-plugins, --debug."""
    return reduce(lambda done, option: option(done), reversed(_PLUGIN_OPTIONS), function)


def bindings_of(
    dims: Sequence[str],
    batch: int | None,
    inputs: Sequence[str],
    trips: Sequence[str],
    *,
    strict: bool,
) -> Bindings:
    """Parse the shape options; `NAME=INT` splits at the last `=`."""
    return Bindings(
        dims=dict(_named_integer("--dim", text) for text in dims),
        batch=batch,
        inputs=dict(_named_shape(text) for text in inputs),
        trips=dict(_named_integer("--trip-count", text) for text in trips),
        strict=strict,
    )


def _named_integer(option: str, text: str) -> tuple[str, int]:
    name, _, size = text.rpartition("=")
    if not name or not size.strip().isdecimal():
        raise OptionError(f"{option} {text}: expected NAME=INT, for example N=8")
    return name, int(size)


def _named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, shape = text.rpartition("=")
    sizes = [size.strip() for size in shape.split(",")] if shape else []
    if not name or not all(size.isdecimal() for size in sizes):
        raise OptionError(f"--input {text}: expected NAME=SIZES, for example x=1,3,224,224")
    return name, tuple(int(size) for size in sizes)


def profiles_of(names: Sequence[str], threads: int | None, offered: Any) -> list[DeviceProfile]:
    """The devices asked for, or this machine."""
    from mlsys_lint.devices import find_device

    return [find_device(name, offered, threads=threads) for name in names or ("host",)]


def for_each_model(
    paths: Sequence[Path], work: Callable[[Path, Progress], _T]
) -> tuple[list[_T], bool]:
    """Results of all models that work, and whether any did not; of several, one bad file hides none."""
    results, failed = [], False
    for position, path in enumerate(paths, start=1):
        label = f"{path.name} ({position} of {len(paths)})" if len(paths) > 1 else path.name
        try:
            with Progress(label) as progress:
                results.append(work(path, progress))
        except ModelError as error:
            if len(paths) == 1:
                raise
            click.echo(f"mlsys-lint: {error}", err=True)
            failed = True
    return results, failed


def write_file(path: Path, content: bytes) -> None:
    """Write an --output file."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise MlsysLintError(f"--output {path}: {error.strerror or error}") from error
