"""Arithmetic on permutations, beside numpy's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mlsys_lint_plugins.runtimes.onnxruntime.transposes import permutations


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_permutations_agree_with_numpy(rank: int) -> None:
    array = np.arange(24, dtype=np.int64).repeat(5).reshape(*(2, 3, 4, 5)[:rank], -1)
    for perm in itertools.permutations(range(rank + 1)):
        moved = array.transpose(perm)
        assert permutations.permuted(array.shape, perm) == moved.shape
        assert (moved.transpose(permutations.inverse(perm)) == array).all()
        for second in itertools.permutations(range(rank + 1)):
            one = permutations.composed(perm, second)
            assert (array.transpose(one) == moved.transpose(second)).all()


@pytest.mark.parametrize("axes", [(0,), (1, 3), (0, 4), (2,)])
def test_new_axes_stay_in_their_place(axes: tuple[int, ...]) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    for perm in itertools.permutations(range(3)):
        wide = permutations.with_axes(perm, axes)
        expected = np.expand_dims(array.transpose(perm), axes)
        assert (np.expand_dims(array, axes).transpose(wide) == expected).all()
        assert permutations.without_axes(wide, axes) == perm
        assert permutations.unsqueezed(array.shape, axes, 1) == np.expand_dims(array, axes).shape
        assert permutations.squeezed(np.expand_dims(array, axes).shape, axes) == array.shape
        for axis in range(3):
            place = permutations.unsqueezed_axis(axis, axes)
            assert np.expand_dims(array, axes).shape[place] == array.shape[axis]
