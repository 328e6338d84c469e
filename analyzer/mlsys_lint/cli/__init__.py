"""The command line: parse, call the pipeline, print, exit. `check` is the default command."""

from __future__ import annotations

import gc
import os
import sys
from typing import Final

import click

from mlsys_lint import __version__
from mlsys_lint.errors import MlsysLintError

_COMMANDS: Final = {
    "calibrate": ("mlsys_lint.cli.calibrate", "calibrate"),
    "check": ("mlsys_lint.cli.check", "check"),
    "devices": ("mlsys_lint.cli.listing", "devices"),
    "explain": ("mlsys_lint.cli.listing", "explain"),
    "ops": ("mlsys_lint.cli.operators", "ops"),
    "plugins": ("mlsys_lint.cli.listing", "plugins"),
    "rules": ("mlsys_lint.cli.listing", "rules"),
    "validate": ("mlsys_lint.cli.validate", "validate"),
}
_INTERRUPTED: Final = 130
_GC_THRESHOLD: Final = 100_000


class _Commands(click.Group):
    """Loads a command's module when it is called; without a command's name, `check` it is."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        from importlib import import_module

        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in _COMMANDS and args[0] not in ("--help", "-h", "--version"):
            args = ["check", *args]
        return super().parse_args(ctx, args)


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Shell completion: eval "$(_MLSYS_LINT_COMPLETE=bash_source mlsys-lint)"',
)
@click.version_option(__version__, prog_name="mlsys-lint")
def cli() -> None:
    """Know what a neural network costs before it is deployed.

    \b
    mlsys-lint model.onnx                      the whole story on this machine
    mlsys-lint model.onnx --device nv-l4       on another device
    mlsys-lint model.onnx --max-latency 20ms   as a gate: exit status 1 when it can't hold
    mlsys-lint calibrate                       time this machine's kernels, for sharper predictions
    mlsys-lint validate model.onnx             run it, compare with the prediction

    Exit status: 0 nothing to report, 1 findings at or above --fail-on, 2 could not do the work.
    """  # noqa: D301  click reads \b


def main() -> None:
    """Run the command line and exit."""
    # Nearly all that a short run makes lives to its end: collecting it would only cost time.
    gc.set_threshold(_GC_THRESHOLD)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; every expected failure is one line on stderr and status 2."""
    debug = "--debug" in arguments
    try:
        status = cli.main(arguments, prog_name="mlsys-lint", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted")
        return _INTERRUPTED
    except click.ClickException as error:
        _complain(error.format_message(), _usage_hint(error))
        return 2
    except MlsysLintError as error:
        if debug:
            raise
        _complain(str(error))
        return 2
    except BrokenPipeError:  # the reader of a pipe went away: nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, RecursionError) as error:
        if debug:
            raise
        kind = type(error).__name__
        _complain(f"internal error: {kind}: {error}; --debug shows where, please report it")
        return 2
    return status if isinstance(status, int) else 0


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f" (try '{context.command_path} --help')" if context is not None else ""


def _complain(message: str, hint: str = "") -> None:
    text = " ".join(message.split())
    click.echo(f"mlsys-lint: {text}{hint}", err=True)
