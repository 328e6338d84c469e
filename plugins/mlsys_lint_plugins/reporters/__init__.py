"""Output formats of `check`; each is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from mlsys_lint import ModelReport, Reporter, hookimpl


def _text(reports: Sequence[ModelReport]) -> str:
    from mlsys_lint_plugins.reporters.text import render

    return render(reports)


def _json(reports: Sequence[ModelReport]) -> str:
    from mlsys_lint_plugins.reporters.json import render

    return render(reports)


@hookimpl
def register_reporters() -> list[Reporter]:
    """Text for people, JSON for programs."""
    return [
        Reporter(name="text", render=_text, suffix=".txt"),
        Reporter(name="json", render=_json, suffix=".json"),
    ]
