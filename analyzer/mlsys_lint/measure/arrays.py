"""Input arrays: from plans, and from the user's .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import ml_dtypes  # also gives numpy the names bfloat16, float8_e4m3fn, ...
import numpy as np
import numpy.typing as npt

from mlsys_lint.errors import OptionError
from mlsys_lint.records.validation import TEXT_RECIPE

Array: TypeAlias = npt.NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]


def make_arrays(
    plans: Sequence[Mapping[str, Any]], npz: str | None
) -> tuple[dict[str, Array], frozenset[str]]:
    """Arrays by input name, and the names of those that came from the file.

    Raises:
        OptionError: the file can't be read or does not fit the model.
    """
    given = _read(npz) if npz is not None else {}
    unknown = sorted(set(given) - {plan["name"] for plan in plans})
    if unknown:
        known = ", ".join(plan["name"] for plan in plans) or "none"
        raise OptionError(
            f"{npz}: array {unknown[0]!r} is no input of the model; its inputs: {known}"
        )
    arrays = {}
    for plan in plans:
        name = plan["name"]
        arrays[name] = _fitting(given[name], plan, npz) if name in given else filled(plan)
    return arrays, frozenset(given)


def filled(plan: Mapping[str, Any]) -> Array:
    """One array by its recipe; the same plan gives the same array."""
    shape, dtype, recipe = tuple(plan["shape"]), np.dtype(plan["dtype"]), plan["recipe"]
    if dtype.kind == "O":
        text = "" if recipe == "empty" else recipe.removeprefix(TEXT_RECIPE)
        return np.full(shape, text, dtype=object)
    if recipe == "normal" or ".." in recipe:
        random = np.random.default_rng(plan["seed"])
        return _without_subnormals(_drawn(random, recipe, dtype, shape))
    values = [int(one) if _is_integer(dtype) else float(one) for one in recipe.split(",")]
    row = np.array(values)
    whole = row.reshape(shape) if row.size == prod(shape) else np.broadcast_to(row, shape)
    return whole.astype(dtype)


def _drawn(
    random: np.random.Generator, recipe: str, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Array:
    if recipe == "normal":
        return np.asarray(random.standard_normal(shape, np.float32)).astype(dtype)
    low, _, high = recipe.partition("..")
    if _is_integer(dtype):
        wide = np.uint64 if dtype == np.uint64 else np.int64
        return np.asarray(random.integers(int(low), int(high), shape, wide)).astype(dtype)
    array: Array = np.asarray(random.uniform(float(low), float(high), shape)).astype(dtype)
    array[array >= float(high)] = float(low)  # rounded up to the end, which is not included
    return array


def _is_integer(dtype: np.dtype[Any]) -> bool:
    """Of numpy's kinds those of integers and truth values; ml_dtypes' int4 and uint4 too."""
    return dtype.kind in "iub" or dtype.name.startswith(("int", "uint"))


def _without_subnormals(array: Array) -> Array:
    """Draws that are subnormal in a narrow float type become 0.

    Of N(0, 1), 5 of 100,000 are subnormal in float16 and 1 of 80 in float8_e4m3fn. In wider types
    none is: numpy's draws are 0 or above 1e-9 in magnitude.
    """
    if array.dtype.itemsize > 2 or _is_integer(array.dtype):
        return array
    least = float(ml_dtypes.finfo(array.dtype).smallest_normal)  # type: ignore[no-untyped-call]
    array[np.abs(array.astype(np.float32)) < least] = 0
    return array


def _read(npz: str) -> dict[str, Array]:
    try:
        with np.load(npz, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise OptionError(f"{npz}: holds one array without a name; write it with np.savez")
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise OptionError(
            f"{npz}: can't be read as .npz ({reason}); write it with np.savez"
        ) from error


def _fitting(array: Array, plan: Mapping[str, Any], npz: str | None) -> Array:
    """The array as the model takes it; its shape and type must be what the prediction is for."""
    shape, dtype = tuple(plan["shape"]), np.dtype(plan["dtype"])
    if array.shape != shape:
        sizes = ",".join(map(str, array.shape))
        raise OptionError(
            f"{npz}: array {plan['name']!r} has shape {list(array.shape)}, the prediction is for "
            f"{list(shape)}; say --input {plan['name']}={sizes}"
        )
    if dtype.kind == "O" and array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize:
        return array.view(dtype)  # .npy files know ml_dtypes' types as bytes only
    if array.dtype != dtype:
        raise OptionError(
            f"{npz}: array {plan['name']!r} is {array.dtype}, the model takes {dtype}; convert it"
        )
    return array
