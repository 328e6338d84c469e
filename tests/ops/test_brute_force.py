"""Matrix products and Einsum against nested loops, whose results onnx's reference confirms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brute_force import Array, Counted, agrees, drawn, multiplications, points

sizes = st.integers(1, 4)
few = settings(max_examples=40, deadline=None)


def matmul(a: Array, b: Array) -> Counted:
    """numpy.matmul: a vector is a row on the left and a column on the right; batches stretch."""
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, (*batch, *left.shape[-2:]))
    right = np.broadcast_to(right, (*batch, *right.shape[-2:]))
    (rows, depth), columns = left.shape[-2:], right.shape[-1]
    y, count = np.zeros((*batch, rows, columns), np.result_type(a)), 0
    for *at, m, n, k in points(*batch, rows, columns, depth):
        y[(*at, m, n)] += left[(*at, m, k)] * right[(*at, k, n)]
        count += 1
    y = y[..., 0, :] if a.ndim == 1 else y
    return (y[..., 0] if b.ndim == 1 else y), count


@given(m=sizes, n=sizes, k=sizes, p=sizes, q=sizes)
@few
def test_matmul(m: int, n: int, k: int, p: int, q: int) -> None:
    for left, right in [
        ((m, k), (k, n)),
        ((p, q, m, k), (k, n)),
        ((m, k), (p, k, n)),
        ((p, 1, m, k), (q, k, n)),
        ((k,), (p, k, n)),
        ((p, m, k), (k,)),
        ((k,), (k,)),
    ]:
        a, b = drawn(*left), drawn(*right)
        agrees("MatMul", [a, b], matmul(a, b))


@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1), (1, 1)])
@given(m=sizes, n=sizes, k=sizes)
@few
def test_gemm(turned: tuple[int, int], m: int, n: int, k: int) -> None:
    a, b, c = drawn(m, k), drawn(k, n), drawn(n)
    product, count = matmul(a, b)
    stored = [one.T.copy() if turn else one for one, turn in zip((a, b), turned, strict=True)]
    call = f"Gemm<transA={turned[0]}, transB={turned[1]}, alpha=0.5, beta=2.0>"
    agrees(call, [*stored, c], (0.5 * product + 2 * c, count))


def shifted(array: Array, zero: Array | None) -> Array:
    """The array as int32, less its zero point (one, one per row of a, or one per column of b)."""
    wide = array.astype(np.int32)
    return wide if zero is None else wide - zero.astype(np.int32)


def unsigned(*shape: int) -> Array:
    return drawn(*shape, low=0, high=9).astype(np.uint8)


@given(m=sizes, n=sizes, k=sizes, p=sizes)
@few
def test_integer_matmul(m: int, n: int, k: int, p: int) -> None:
    for left, right in [((m, k), (k, n)), ((p, m, k), (k, n)), ((p, 1, m, k), (3, k, n))]:
        a, b, three, four = unsigned(*left), unsigned(*right), np.uint8(3), np.uint8(4)
        zeros = np.array(three), np.array(four)
        counted = matmul(shifted(a, zeros[0]), shifted(b, zeros[1]))
        agrees("MatMulInteger", [a, b, *zeros], counted)
        plain = matmul(shifted(a, None), shifted(b, None))
        agrees("MatMulInteger", [a, b], plain)


@given(m=sizes, n=sizes, k=sizes, p=sizes)
@few
def test_quantized_matmul(m: int, n: int, k: int, p: int) -> None:
    # Scales of 1 and 1, and of 8 for the result: rounded to even, shifted by 100, clamped.
    a, b = unsigned(p, m, k), unsigned(k, n)
    zero_a, zero_b, zero_y = (np.array(value, np.uint8) for value in (3, 4, 100))
    one, eight = np.array(1, np.float32), np.array(8, np.float32)
    product, count = matmul(shifted(a, zero_a), shifted(b, zero_b))
    result = np.clip(np.rint(product.astype(np.float64) / 8) + 100, 0, 255).astype(np.uint8)
    agrees("QLinearMatMul", [a, one, zero_a, b, one, zero_b, eight, zero_y], (result, count))


def einsum(equation: str, arrays: Sequence[Array], extent: Callable[[str], int]) -> Counted:
    """One multiplication less than operands for each point of the product of all labels."""
    left, _, result = equation.partition("->")
    terms = left.split(",")
    labels = sorted(set(left) - {","})
    y, count = np.zeros([extent(label) for label in result], np.float32), 0
    for values in points(*map(extent, labels)):
        at = dict(zip(labels, values, strict=True))
        value = np.float32(1)
        for array, term in zip(arrays, terms, strict=True):
            value = value * array[tuple(at[label] for label in term)]
        count += len(arrays) - 1
        y[tuple(at[label] for label in result)] += value
    return y, count


terms = st.text("ijkl", min_size=1, max_size=3)


@given(
    left=terms,
    right=terms,
    keep=st.sets(st.sampled_from("ijkl")),
    extents=st.tuples(*[st.integers(2, 3)] * 4),
)
@few
def test_einsum_of_two_operands(
    left: str, right: str, keep: set[str], extents: tuple[int, int, int, int]
) -> None:
    size = dict(zip("ijkl", extents, strict=True))
    result = "".join(sorted(keep & (set(left) | set(right))))
    equation = f"{left},{right}->{result}"
    arrays = [drawn(*[size[label] for label in term]) for term in (left, right)]
    agrees(f'Einsum<equation="{equation}">', arrays, einsum(equation, arrays, size.__getitem__))


@given(
    term=terms, keep=st.sets(st.sampled_from("ijkl")), extents=st.tuples(*[st.integers(2, 3)] * 4)
)
@few
def test_einsum_of_one_operand(
    term: str, keep: set[str], extents: tuple[int, int, int, int]
) -> None:
    # Sums, diagonals and permutations multiply nothing.
    size = dict(zip("ijkl", extents, strict=True))
    equation = f"{term}->{''.join(sorted(keep & set(term)))}"
    arrays = [drawn(*[size[label] for label in term])]
    agrees(f'Einsum<equation="{equation}">', arrays, einsum(equation, arrays, size.__getitem__))


def pairwise(equation: str, arrays: Sequence[Array], extent: Callable[[str], int]) -> Counted:
    """Two operands meet, their result meets the next: what nothing later needs is summed."""
    left, _, result = equation.partition("->")
    first, *others = left.split(",")
    found, count = arrays[0], 0
    for at, other in enumerate(others):
        later = set(result).union(*others[at + 1 :])
        kept = "".join(sorted((set(first) | set(other)) & later))
        last = at == len(others) - 1
        step = f"{first},{other}->{result if last else kept}"
        found, more = einsum(step, [found, arrays[at + 1]], extent)
        first, count = kept, count + more
    return found, count


@given(
    operands=st.lists(st.text("ijkl", min_size=1, max_size=2), min_size=3, max_size=4),
    keep=st.sets(st.sampled_from("ijkl")),
    extents=st.tuples(*[st.integers(2, 3)] * 4),
)
@few
def test_einsum_of_several_operands(
    operands: list[str], keep: set[str], extents: tuple[int, int, int, int]
) -> None:
    size = dict(zip("ijkl", extents, strict=True))
    result = "".join(sorted(keep & set("".join(operands))))
    equation = f"{','.join(operands)}->{result}"
    arrays = [drawn(*[size[label] for label in term], low=-2, high=2) for term in operands]
    agrees(f'Einsum<equation="{equation}">', arrays, pairwise(equation, arrays, size.__getitem__))


@pytest.mark.parametrize(
    ("equation", "spelled", "shapes"),
    [
        ("...ij,...jk->...ik", "abij,abjk->abik", [(2, 3, 2, 3), (2, 3, 3, 2)]),
        ("i...,...i->...", "iab,abi->ab", [(2, 3, 2), (3, 2, 2)]),
        ("...ij,jk->...ik", "aij,jk->aik", [(2, 2, 3), (3, 4)]),
        ("ij,jk", "ij,jk->ik", [(2, 3), (3, 4)]),
        ("...ij,...jk", "aij,ajk->aik", [(2, 2, 3), (2, 3, 4)]),
    ],
)
def test_einsum_with_ellipsis_and_without_result(
    equation: str, spelled: str, shapes: list[tuple[int, ...]]
) -> None:
    arrays = [drawn(*shape) for shape in shapes]
    letters = spelled.partition("->")[0].split(",")
    size = {
        label: extent
        for term, shape in zip(letters, shapes, strict=True)
        for label, extent in zip(term, shape, strict=True)
    }
    agrees(f'Einsum<equation="{equation}">', arrays, einsum(spelled, arrays, size.__getitem__))


@given(images=sizes, height=sizes, width=sizes, depth=sizes)
@few
def test_affine_grid(images: int, height: int, width: int, depth: int) -> None:
    # Every position of every image takes a product with each element of its matrix.
    for extents in ((height, width), (depth, height, width)):
        rank, count = len(extents), 0
        for _ in points(images, *extents, rank, rank + 1):
            count += 1
        shape = ",".join(map(str, (images, 1, *extents)))
        text = (
            f"g (float[{images},{rank},{rank + 1}] t) => (float[?] y) "
            f"<int64[{rank + 2}] s = {{{shape}}}> {{ y = AffineGrid(t, s) }}"
        )
        assert multiplications(text) == (count, 0)
