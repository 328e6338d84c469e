from __future__ import annotations

from dataclasses import replace

from mlsys_lint.records import Dimension
from mlsys_lint_plugins.rules.unbound_dynamic_dimension import check
from report_values import model, report

SOURCES = ("given", "batch", "derived", "assumed")


def test_only_assumed_dimensions_are_reported_each_by_name() -> None:
    dims = tuple(Dimension(name=f"{source}_dim", value=1, source=source) for source in SOURCES)
    assumed = (*dims, Dimension(name="x:0", value=1, source="assumed"))
    hits = list(check(report(info=replace(model(), dims=assumed))))
    assert ["assumed_dim" in hits[0].message, "x:0" in hits[1].message] == [True, True]
    assert [hit.help for hit in hits] == [
        "give its size with --dim assumed_dim=SIZE",
        "give its size with --dim x:0=SIZE",
    ]


def test_a_static_model_is_quiet() -> None:
    assert list(check(report())) == []
