"""A line on stderr for work that takes more than two seconds; only on a terminal."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Final, Self

_PATIENCE_S: Final = 2.0
_PERIOD_S: Final = 0.5


class Progress:
    """Context manager; call it with the name of each stage.

    Nothing is printed within the first two seconds, nor to anything but a terminal; the line is
    erased at the end.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._stage = "starting"
        self._start = time.monotonic()
        self._done = threading.Event()
        self._shown = False
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __call__(self, stage: str) -> None:
        """Enter a stage."""
        self._stage = stage

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join(_PERIOD_S)
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _show(self) -> None:
        if self._done.wait(_PATIENCE_S):
            return
        while not self._done.wait(_PERIOD_S):
            elapsed = time.monotonic() - self._start
            sys.stderr.write(f"\r\x1b[K{self.what}: {self._stage} ... {elapsed:.0f} s")
            sys.stderr.flush()
            self._shown = True
