"""Figures of the sequence models in sample_models/README.md are those of the report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sample_models.reports import FOLDER, report

TEXT = (FOLDER / "README.md").read_text(encoding="utf-8").partition("## Sequence models")[2]


def table(*heading: str) -> Iterator[list[str]]:
    """Cells of the rows of the table whose heading begins or ends in the given cells."""
    inside = False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|--"):
            yield cells
        elif heading in (tuple(cells[: len(heading)]), tuple(cells[-len(heading) :])):
            inside = True


def numbers(text: str) -> list[int]:
    """Whole numbers of a text, their thousands separated by commas."""
    return [int(one.replace(",", "")) for one in re.findall(r"\d[\d,]*", text)]


def sized(capsys: pytest.CaptureFixture[str], name: str, sizes: str) -> Any:
    return report(capsys, name, *(part for size in sizes.split() for part in ("--dim", size)))


MODELS = list(table("sizes", "MACs", "operations", "transcendentals", "parameters"))


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row[0])
def test_models(row: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    document = sized(capsys, row[1].strip("`").removesuffix(".onnx"), row[3])
    found = [document["totals"][key] for key in ("macs", "vector_ops", "transcendentals")]
    assert [*found, document["model"]["parameters"]] == numbers(" ".join(row[4:]))


def test_tables_are_found() -> None:
    assert len(MODELS) == 22
    assert len(HEADS) == len(MASKS) == 3
    assert len(LOOPS) == 2


HEADS = list(table("H", "MACs"))


@pytest.mark.parametrize("row", HEADS, ids=lambda row: f"H={row[0]}")
def test_heads(row: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    document = sized(capsys, f"multi_head_{row[0]}", "B=1 S=128")
    totals = document["totals"]
    (scores,) = [one for one in document["nodes"] if one["outputs"][0]["name"] == "scores"]
    found = [totals["macs"], scores["bytes_written"], totals["transcendentals"]]
    assert [*found, totals["peak_activation_bytes"]] == [numbers(cell)[0] for cell in row[1:]]


MASKS = list(table("mask", "in data"))


@pytest.mark.parametrize(
    ("row", "name", "sizes", "in_data"),
    [
        (MASKS[0], None, "", "attention_full"),
        (MASKS[1], "attention_operator", "B=1 S=128", "attention_causal"),
        (MASKS[2], "attention_prefix_operator", "B=1 P=32 R=96", "attention_prefix"),
    ],
)
def test_masks(
    row: list[str], name: str | None, sizes: str, in_data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sized(capsys, in_data, "B=1 S=128")["totals"]["macs"] == numbers(row[1])[-1]
    if name is not None:
        totals = sized(capsys, name, sizes)["totals"]
        dense, masked = totals["macs"], totals["macs_masked"]
        assert [dense, masked, dense - masked] == numbers(" ".join(row[2:]))


LOOPS = list(table("", "blocks run"))


@pytest.mark.parametrize("row", LOOPS, ids=lambda row: row[0])
def test_loops(row: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    document = sized(capsys, row[0].strip("`"), "B=1 S=128")
    totals = document["totals"]
    found = [document["model"]["parameters"], totals["macs"], totals["weight_bytes"]]
    assert found == numbers(" ".join(row[2:]))


@pytest.mark.parametrize(("at", "sizes"), [(1, "B=1 S=512 P=0"), (2, "B=1 S=1 P=511")])
def test_prefill_and_decode(at: int, sizes: str, capsys: pytest.CaptureFixture[str]) -> None:
    column = {row[0].split(":")[0]: row[at] for row in table("", "prefill, S = 512, P = 0")}
    document = sized(capsys, "gpt2", sizes)
    totals = document["totals"]
    assert numbers(column["MACs"])[0] == totals["macs"]
    assert [*numbers(column["MACs"]), 0][1] == totals["macs_masked"]
    assert numbers(column["weights read"]) == [totals["weight_bytes"]]
    ratio = float(column["MACs for each byte of weights"])
    assert totals["macs"] / totals["weight_bytes"] == pytest.approx(ratio, rel=0.01)
