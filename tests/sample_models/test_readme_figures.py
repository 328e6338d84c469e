"""Figures in the tables of sample_models/README.md are those of the report, for one sample."""

from __future__ import annotations

import re

import pytest

from sample_models.reports import FOLDER, report

TEXT = (FOLDER / "README.md").read_text(encoding="utf-8").partition("## Sequence models")[0]


def rows(*columns: str) -> list[tuple[str, list[int]]]:
    """Model and figures of the table rows whose heading ends in the given columns."""
    found: list[tuple[str, list[int]]] = []
    names: list[str] = []
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|--"):
            continue
        if not line.startswith("|"):
            names = []
        elif not names:
            names = cells
        elif tuple(names[-len(columns) :]) == columns:
            (model,) = re.findall(r"`(\w+)\.onnx`", line)
            figures = [int(one.replace(",", "")) for one in cells[-len(columns) :]]
            found.append((model, figures))
    return found


DENSE = rows("MACs", "operations", "transcendentals", "parameters")
CONVOLUTIONAL = rows("MACs", "operations", "parameters")


@pytest.mark.parametrize(("name", "figures"), DENSE)
def test_dense_table(name: str, figures: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, name)
    keys = ("macs", "vector_ops", "transcendentals")
    found = [document["totals"][key] for key in keys]
    assert [*found, document["model"]["parameters"]] == figures


@pytest.mark.parametrize(("name", "figures"), CONVOLUTIONAL)
def test_convolutional_table(
    name: str, figures: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, name)
    found = [document["totals"][key] for key in ("macs", "vector_ops")]
    assert [*found, document["model"]["parameters"]] == figures


def test_every_model_stands_in_the_tables() -> None:
    whole = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert {path.stem for path in FOLDER.glob("*.onnx")} <= set(re.findall(r"\w+", whole))
    assert len(DENSE) == 5
    assert len(CONVOLUTIONAL) == 14


@pytest.mark.parametrize(("name", "nbytes"), rows("bytes"))
def test_peak_table(name: str, nbytes: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert [report(capsys, name)["totals"]["peak_activation_bytes"]] == nbytes
