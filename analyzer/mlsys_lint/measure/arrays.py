"""Input arrays: from plans, and from the user's .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import ml_dtypes  # noqa: F401  gives numpy the names bfloat16, float8_e4m3fn, ...
import numpy as np
import numpy.typing as npt

from mlsys_lint.errors import OptionError

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
    shape, recipe = tuple(plan["shape"]), plan["recipe"]
    if recipe == "empty":
        return np.full(shape, "", dtype=object)
    dtype = np.dtype(plan["dtype"])
    random = np.random.default_rng(plan["seed"])
    if recipe == "normal":
        return np.asarray(random.standard_normal(shape, np.float32)).astype(dtype)
    low, dots, high = recipe.partition("..")
    if dots:
        return np.asarray(random.integers(int(low), int(high), size=shape)).astype(dtype)
    value = int(recipe) if recipe.lstrip("+-").isdecimal() else float(recipe)
    return np.full(shape, value).astype(dtype)


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
