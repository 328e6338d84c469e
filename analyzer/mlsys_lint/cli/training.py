"""`--training` and the options that go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from mlsys_lint.errors import OptionError

if TYPE_CHECKING:
    from mlsys_lint.training import TrainingOptions

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS: Final = (
    click.option(
        "--training", is_flag=True, help="Work and memory of a training step, besides inference."
    ),
    click.option("--optimizer", metavar="NAME", help="Optimizer of --training. Default: adam."),
    click.option("--rank", type=click.IntRange(min=1), help="Rank of galore and lora."),
    click.option(
        "--checkpointing",
        metavar="POLICY",
        help="Keep few activations and compute the others again: every-N (stages) or sqrt.",
    ),
    click.option(
        "--trainable",
        multiple=True,
        metavar="PATTERN",
        help="Train these stored tensors (`*`, `?`) instead of those inferred. Repeatable.",
    ),
    click.option(
        "--frozen", multiple=True, metavar="PATTERN", help="Do not train these. Repeatable."
    ),
    click.option(
        "--accumulation", type=click.IntRange(min=1), help="Micro-batches for one update."
    ),
    click.option(
        "--mixed-precision",
        type=click.Choice(["fp16", "bf16"]),
        help="Train in 16 bits beside fp32 master weights.",
    ),
    click.option(
        "--loss",
        type=click.Choice(["mse", "cross-entropy"]),
        help="Loss of a model whose file ends at its predictions.",
    ),
)
_FIELDS: Final[Mapping[str, str]] = {
    # option of the command line -> field of TrainingOptions
    "optimizer": "optimizer",
    "rank": "rank",
    "checkpointing": "checkpointing",
    "trainable": "trainable",
    "frozen": "frozen",
    "accumulation": "accumulation",
    "mixed_precision": "mixed",
    "loss": "loss",
}


def training_options(function: _F) -> _F:
    """--training, --optimizer, --checkpointing ..."""
    return reduce(lambda done, option: option(done), reversed(_OPTIONS), function)


def training_of(given: Mapping[str, object], *, strict: bool) -> TrainingOptions | None:
    """The training step that was asked for; None without --training.

    Args:
        given: Values of all options by name.
        strict: A pattern that names nothing is an error.

    Raises:
        OptionError: an option that goes with --training stands without it.
    """
    chosen: dict[str, Any] = {
        field: given[name] for name, field in _FIELDS.items() if given[name] not in (None, ())
    }
    if given["training"]:
        from mlsys_lint.training import TrainingOptions

        return TrainingOptions(**chosen, strict=strict)
    if chosen:
        name = next(name for name, field in _FIELDS.items() if field in chosen)
        raise OptionError(f"--{name.replace('_', '-')} goes with --training")
    return None
