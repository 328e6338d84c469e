"""A training step: what its memory and its work go to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from mlsys_lint import formatting
from mlsys_lint.records import Training
from mlsys_lint_plugins.reporters.text.layout import clipped, paragraph, table

_BAR: Final = 40
"""Columns of a bar that stands for the whole."""

_MOST_OPERATORS: Final = 5


def lines(training: Training) -> Iterator[str]:
    """How it trains, the memory and the work with bars, which operators the backward pass pays."""
    yield paragraph(_head(training), rest="  ")
    yield from _bars("memory", _memory(training), formatting.size, training.total_bytes)
    if training.activation_bytes is None:
        yield "  activations and total unknown: the size of a tensor that is kept is missing"
    yield ""
    yield from _bars("work", _work(training), formatting.count, sum(dict(_work(training)).values()))
    if training.is_lower_bound:
        yield "  at least: some nodes have no cost"
    yield from _operators(training)
    if training.assumptions:
        yield paragraph("; ".join(training.assumptions), first="  assumed: ", rest="    ")


def _head(training: Training) -> str:
    rank = f" of rank {training.rank}" if training.rank is not None else ""
    trained, frozen = training.trainable_parameters, training.frozen_parameters
    parts = [
        f"training step, {training.optimizer}{rank}",
        f"{formatting.count(trained)} parameters trained, {formatting.count(frozen)} frozen",
        f"loss {training.loss}" if training.loss != "none" else "no loss",
    ]
    if training.precision != "as-is":
        parts.append(training.precision)
    if training.accumulation > 1:
        parts.append(f"{training.accumulation} micro-batches")
    if training.checkpointing != "none":
        segments = f"{training.segments} segment{'s' * (training.segments != 1)}"
        parts.append(f"checkpoints {training.checkpointing} ({segments})")
    return "; ".join(parts)


def _memory(training: Training) -> list[tuple[str, int]]:
    parts = [
        ("weights", training.weight_bytes),
        ("master weights", training.master_weight_bytes),
        ("gradients", training.gradient_bytes),
        ("optimizer states", training.optimizer_state_bytes),
        ("activations", training.activation_bytes or 0),
    ]
    return [part for part in parts if part[1] or part[0] != "master weights"]


def _work(training: Training) -> list[tuple[str, int]]:
    parts = [
        ("forward", training.forward_flops),
        ("backward", training.backward_flops),
        ("recomputation", training.recompute_flops),
        ("update", training.update_flops),
    ]
    return [part for part in parts if part[1] or part[0] != "recomputation"]


def _bars(
    title: str, parts: Sequence[tuple[str, int]], text: Callable[[float], str], whole: int | None
) -> Iterator[str]:
    """A row for each part; shares and bars where the whole is known."""
    rows = [[name, text(value), *_share(value, whole)] for name, value in parts]
    if whole is not None:
        rows.append(["total", text(whole), "", ""])
    heading = "FLOPs" if title == "work" else "bytes"
    yield table([title, heading, "share", ""], rows, numbers=(heading, "share"), indent="  ")


def _share(value: int, whole: int | None) -> tuple[str, str]:
    if not whole:
        return formatting.UNKNOWN, ""
    return formatting.percent(value / whole), "#" * round(_BAR * value / whole)


def _operators(training: Training) -> Iterator[str]:
    """`backward by operator: Conv 98 %, Relu 1.2 %`."""
    whole = training.backward_flops
    if whole:
        shares = [
            f"{name.removeprefix('ai.onnx::')} {formatting.percent(flops / whole)}"
            for name, flops in training.by_operator.items()
        ]
        text = ", ".join(clipped(shares, _MOST_OPERATORS))
        yield paragraph(text, first="  backward by operator: ", rest="    ")
