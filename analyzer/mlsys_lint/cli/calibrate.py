"""`mlsys-lint calibrate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from mlsys_lint.cli.options import plugin_options, write_file
from mlsys_lint.errors import RuntimeUnavailableError
from mlsys_lint.records import DeviceProfile


@click.command(
    epilog="\b\nmlsys-lint calibrate\n"
    "mlsys-lint calibrate --threads 1 --threads 4 --output server.toml\n\n"
    "Takes about a minute for each number of threads: leave the machine alone meanwhile. "
    "Needs ONNX Runtime and scipy: pip install 'mlsys-lint[cpu]'."
)
@click.option(
    "--threads",
    "counts",
    type=click.IntRange(min=1),
    multiple=True,
    help="Threads of one operator. Repeatable. Default: what the runtime takes, all cores.",
)
@click.option("--provider", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the profile. Default: where `--device host` finds it.",
)
@click.option("--strict", is_flag=True, help="Exit with 2 when the machine stayed noisy.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@plugin_options
def calibrate(
    counts: Sequence[int],
    provider: str,
    output: Path | None,
    *,
    strict: bool,
    style: str,
    strict_plugins: bool,  # noqa: ARG001  plugins are not at work here
    debug: bool,  # noqa: ARG001  read by the entry point
) -> int:
    """Time this machine's kernels in ONNX Runtime, so that predictions rest on what it can do.

    Small networks of every kind of kernel are run; from their times come seconds for each unit of
    work, with the error that such a prediction has.
    """
    from mlsys_lint.calibration import calibrated_profile, timing_of, to_toml
    from mlsys_lint.devices import saved_host
    from mlsys_lint.plugin_host import PluginHost

    if provider == "cuda":
        raise RuntimeUnavailableError(
            "calibrate --provider cuda: kernels can be timed on the CPU provider only; name the "
            "GPU's profile with --device, `mlsys-lint devices` lists them"
        )
    host = PluginHost()
    profiles = []
    for count in sorted(set(counts)) or (None,):
        with _progress(count) as progress:
            profiles.append(calibrated_profile(host, count, progress))
    timing = timing_of(host.runtimes[profiles[0].runtime])
    path = output or saved_host()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, to_toml(profiles, timing.quantity).encode())
    click.echo(_json(profiles, path) if style == "json" else _summary(profiles, path))
    return _judged(profiles, strict=strict)


@contextmanager
def _progress(threads: int | None) -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr, on a terminal only."""
    label = "calibrating" if threads is None else f"calibrating, {threads} threads"
    if not sys.stderr.isatty():
        yield lambda _name, _share: None
        return
    with click.progressbar(
        length=1000, label=label, file=sys.stderr, item_show_func=lambda name: name
    ) as bar:

        def report(name: str, share: float) -> None:
            bar.update(max(0, int(share * 1000) - bar.pos), name)

        yield report


def _judged(profiles: Sequence[DeviceProfile], *, strict: bool) -> int:
    noisy = False
    for profile in profiles:
        for reason in profile.calibration.noise if profile.calibration else ():
            noisy = True
            click.echo(
                f"mlsys-lint: {profile.threads} threads: noisy machine: {reason}; the profile says "
                "so and its intervals are wider; calibrate again when it is idle",
                err=True,
            )
        if profile.calibration is not None and (names := profile.calibration.left_out):
            click.echo(
                f"mlsys-lint: {profile.threads} threads: ONNX Runtime "
                f"{profile.calibration.version} runs other kernels than expected in "
                f"{', '.join(names)}: they were left out",
                err=True,
            )
    return 2 if noisy and strict else 0


def _json(profiles: Sequence[DeviceProfile], path: Path) -> str:
    return json.dumps(
        {
            "schema_version": "1",
            "profile": str(path),
            "calibrations": [
                {
                    "threads": one.threads,
                    "runtime": one.runtime,
                    "runtime_version": one.calibration.version,
                    "seconds": one.calibration.seconds,
                    "noise": list(one.calibration.noise),
                    "classes": {
                        name: {
                            "kernels": model.kernels,
                            "scatter": model.scatter,
                            "shift": model.shift,
                            "parameters": dict(model.parameters),
                        }
                        for name, model in one.calibration.classes.items()
                    },
                }
                for one in profiles
                if one.calibration is not None
            ],
        },
        indent=1,
    )


def _summary(profiles: Sequence[DeviceProfile], path: Path) -> str:
    from tabulate import tabulate

    lines = []
    for profile in profiles:
        calibration = profile.calibration
        if calibration is None:
            continue
        kernels = sum(one.kernels for one in calibration.classes.values())
        lines.append(
            f"{calibration.cpu}, {profile.threads} threads, ONNX Runtime {calibration.version}: "
            f"{kernels} kernels timed in {calibration.seconds:.0f} s"
        )
        rows = [
            (name, one.kernels, f"{one.scatter:.0%}", f"{one.shift:.0%}")
            for name, one in calibration.classes.items()
        ]
        headers = ("class", "kernels", "error of a kernel", "of a class in a model")
        lines += ["", tabulate(rows, headers), ""]
    return "\n".join([*lines, f"written to {path}"])
