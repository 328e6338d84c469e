"""Peak resident memory of a process: its own, not that of the tests that start it.

A process begins with its parent's pages, and the kernel keeps their peak through `exec`; so a small
process stands between.
"""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

_BETWEEN = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
scale = 1 if sys.platform == "darwin" else 1024
sys.stderr.write(f"\\n{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss * scale}")
"""


class Run(NamedTuple):
    """What a process left."""

    status: int
    output: str
    errors: str
    peak_bytes: int


def run(command: list[str]) -> Run:
    """Run a command to its end; its first word is the path of the program."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _BETWEEN, *command],
        check=True,
        capture_output=True,
        text=True,
    )
    errors, _, figures = done.stderr.rpartition("\n")
    status, peak = figures.split()
    return Run(int(status), done.stdout, errors, int(peak))
