from __future__ import annotations

from dataclasses import replace

import pytest

from mlsys_lint.records import Contraction, Kernel, NodeView
from mlsys_lint_plugins.runtimes.onnxruntime.timing.attention import terms, turned_elements
from timed_kernels import kernel, machine, tensor


def attention(op: str, sizes: tuple[int, int, int, int], masked: int = 0) -> Kernel:
    """One batch of (heads, queries, keys, width); `masked` pairs of a head are hidden from it."""
    heads, queries, keys, size = sizes
    query, key = tensor(1, queries, heads * size), tensor(1, keys, heads * size)
    one = kernel(op, [query, key, key], query, domain="com.microsoft")
    products = (
        Contraction(batch=heads, m=queries, n=keys, k=size, dtype="float"),
        Contraction(batch=heads, m=queries, n=size, k=keys, dtype="float"),
    )
    cost = replace(
        one.cost,
        contractions=products,
        bytes_read=4 * (query.numel + 2 * key.numel),
        bytes_written=4 * query.numel,
        macs_masked=masked * heads * 2 * size,
    )
    return replace(one, cost=cost)


def amounts(one: Kernel, threads: int = 1) -> dict[str, float]:
    found = terms(one, machine(threads))
    assert found is not None
    return dict(found[1])


def einsum(equation: str, *shapes: tuple[int, ...]) -> NodeView:
    *inputs, output = shapes
    one = kernel("Einsum", [tensor(*shape) for shape in inputs], tensor(*output), equation=equation)
    assert one.view is not None
    return one.view


def test_heads_multiply_scale_and_multiply() -> None:
    found = terms(attention("MultiHeadAttention", (2, 12, 32, 16)), machine())
    assert found is not None
    name, amount = found
    assert name == "attention"
    # Scores: 12 rows x 2 vectors x 16; mixture: 12 rows x 1 vector x 32; 2 heads.
    assert amount["flop"] == 2 * 2 * 16 * (12 * 2 * 16 + 12 * 1 * 32)
    assert amount["pack_transposed"] == 2 * 32 * 16
    assert amount["pack"] == 2 * 16 * 32
    assert amount["softmax"] == 2 * 12 * 32
    assert amount["row"] == 2 * 12
    assert amount["moved"] == 2 * 12 * 32 + 2 * 32 * 32


def test_grouped_queries_take_the_softmax_of_what_they_see() -> None:
    one = attention("GroupQueryAttention", (2, 4, 4, 16), masked=6)
    assert amounts(one)["softmax"] == 2 * (16 - 6)


def test_rotary_embedding_turns_rows() -> None:
    one = kernel("RotaryEmbedding", [tensor(1, 2, 5, 8), tensor(9, 4), tensor(9, 4)], tensor(1))
    assert terms(one, machine()) == ("rotary", {"element": 80, "row": 10, "kernel": 1})


@pytest.mark.parametrize(
    ("equation", "shapes", "expected"),
    [
        # [both, left, summed], [both, summed, right]: nothing to do.
        ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5), (2, 3, 5)), 0),
        ("bij,bkj->bik", ((2, 3, 4), (2, 5, 4), (2, 3, 5)), 40),
        ("bji,bjk->bik", ((2, 4, 3), (2, 4, 5), (2, 3, 5)), 24),
        ("bij,bjk->bki", ((2, 3, 4), (2, 4, 5), (2, 5, 3)), 30),
        ("ij->ji", ((3, 4), (4, 3)), 12),
        ("ij->ij", ((3, 4), (3, 4)), 0),
        ("...ij,...jk->...ik", ((2, 3, 4), (2, 4, 5), (2, 3, 5)), 0),
    ],
)
def test_einsum_turns_operands(
    equation: str, shapes: tuple[tuple[int, ...], ...], expected: int
) -> None:
    assert turned_elements(einsum(equation, *shapes)) == expected


@pytest.mark.parametrize("op", ["MultiHeadAttention", "GroupQueryAttention"])
def test_more_keys_never_cost_less_and_two_threads_never_more(op: str) -> None:
    small, large = (amounts(attention(op, (4, 64, keys, 64))) for keys in (64, 128))
    shared = amounts(attention(op, (4, 64, 128, 64)), threads=2)
    assert all(amount <= large[name] for name, amount in small.items())
    assert all(amount <= large[name] for name, amount in shared.items() if name != "fork")


def test_other_kernels_are_none_of_its_business() -> None:
    assert terms(kernel("Relu", [tensor(2)], tensor(2)), machine()) is None
