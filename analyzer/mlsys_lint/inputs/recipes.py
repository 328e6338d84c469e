"""Recipes that the user writes, checked against the type and the size of the input."""

from __future__ import annotations

from math import inf, isfinite, prod

import ml_dtypes

from mlsys_lint.errors import OptionError
from mlsys_lint.inputs.constants import Shape
from mlsys_lint.records.validation import TEXT_RECIPE


def checked(name: str, recipe: str, dtype: str, shape: Shape) -> str:
    """The recipe of one input as it is recorded.

    Args:
        name: The input.
        recipe: A number; numbers for all elements or for those of the last axis (`1,-1,64`);
            `LOW..HIGH`; `normal`; for strings the text.
        dtype: numpy's name of the input's type.
        shape: The input's shape.

    Raises:
        OptionError: the input can't be filled like that.
    """
    if dtype == "object":
        return f"{TEXT_RECIPE}{recipe}"
    if fits(recipe, dtype, shape):
        return recipe
    raise OptionError(f"input {name!r}: {recipe!r} is no recipe for {_wanted(dtype, shape)}")


def fits(recipe: str, dtype: str, shape: Shape) -> bool:
    """Whether numbers by this recipe exist in the type, and are as many as the shape needs."""
    if recipe == "normal":
        return not _is_integer(dtype)
    low, dots, high = recipe.partition("..")
    if dots:
        ends = _holds(dtype, low) and _holds(dtype, high, beyond=1)
        return ends and -inf < float(low) < float(high) < inf
    values = recipe.split(",")
    return len(values) in (1, prod(shape), *shape[-1:]) and all(
        _holds(dtype, one) for one in values
    )


def limits(dtype: str) -> tuple[int, int]:
    """Least and greatest integer of a type; of other types no limits that matter for indices."""
    if dtype == "bool":
        return 0, 1
    if not _is_integer(dtype):
        return -(2**31), 2**31 - 1
    info = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    return int(info.min), int(info.max)


def _is_integer(dtype: str) -> bool:
    return dtype == "bool" or dtype.startswith(("int", "uint"))


def _holds(dtype: str, text: str, *, beyond: int = 0) -> bool:
    """Whether a type has this number; integers also at most `beyond` above its greatest."""
    try:
        if _is_integer(dtype):
            low, high = limits(dtype)
            return low <= int(text) <= high + beyond
        value = float(text)
    except ValueError:
        return False
    return not isfinite(value) or abs(value) <= _greatest(dtype)


def _greatest(dtype: str) -> float:
    """The greatest finite number of a type of floats; complex ones are as wide as double here."""
    if dtype.startswith("complex"):
        return inf
    return float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]


def _wanted(dtype: str, shape: Shape) -> str:
    counts = " or ".join(str(one) for one in dict.fromkeys((prod(shape), *shape[-1:])) if one > 1)
    each = f", {counts} numbers with commas between them" if counts else ""
    if not _is_integer(dtype):
        return f"{dtype}; write a number, LOW..HIGH with LOW below HIGH{each}, or normal"
    low, high = limits(dtype)
    return f"{dtype}; write an integer from {low} to {high}, or LOW..HIGH with LOW below HIGH{each}"
