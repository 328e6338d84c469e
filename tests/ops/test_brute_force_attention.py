"""Attention against nested loops, whose results onnx's reference confirms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brute_force import Array, Counted, agrees, drawn, points

small = st.integers(1, 3)
few = settings(max_examples=20, deadline=None)
Sees = Callable[[int, int], bool]
"""Whether a query sees a key, both by their positions."""


def attention(q: Array, k: Array, v: Array, sees: Sees) -> tuple[Array, int, int]:
    """Result, multiplications with every key, and those that the mask makes unnecessary."""
    batch, heads, queries, size = q.shape
    group, keys = heads // k.shape[1], k.shape[2]
    y, count, hidden = np.zeros((batch, heads, queries, v.shape[3]), np.float32), 0, 0
    for image, head, query in points(batch, heads, queries):
        shared = head // group
        scores = np.full(keys, -np.inf)
        for key in range(keys):
            scores[key] = 0
            for at in range(size):
                scores[key] += q[image, head, query, at] * k[image, shared, key, at]
                count += 1
                hidden += not sees(query, key)
            scores[key] = scores[key] / np.sqrt(size) if sees(query, key) else -np.inf
        weights = np.exp(scores - scores.max()) if np.isfinite(scores).any() else np.zeros(keys)
        weights /= weights.sum() or 1
        for key, at in points(keys, v.shape[3]):
            y[image, head, query, at] += weights[key] * v[image, shared, key, at]
            count += 1
            hidden += not sees(query, key)
    return y, count, hidden


def everything(_query: int, _key: int) -> bool:
    return True


def scaled(*shape: int) -> Array:
    return drawn(*shape) / np.float32(4)


@given(batch=small, shared=small, group=small, queries=small, keys=small, size=small, values=small)
@few
def test_grouped_queries(
    *, batch: int, shared: int, group: int, queries: int, keys: int, size: int, values: int
) -> None:
    q, k = scaled(batch, shared * group, queries, size), scaled(batch, shared, keys, size)
    v = scaled(batch, shared, keys, values)
    y, count, _ = attention(q, k, v, everything)
    agrees("Attention", [q, k, v], (y, count))

    def packed(one: Array) -> Array:
        return one.transpose(0, 2, 1, 3).reshape(*one.shape[::2][:1], one.shape[2], -1)

    call = f"Attention<q_num_heads={shared * group}, kv_num_heads={shared}>"
    agrees(call, [packed(q), packed(k), packed(v)], (packed(y), count))


@given(batch=small, heads=small, queries=small, keys=small, size=small)
@few
def test_causal_masks(*, batch: int, heads: int, queries: int, keys: int, size: int) -> None:
    q, k, v = (scaled(batch, heads, length, size) for length in (queries, keys, keys))
    y, count, hidden = attention(q, k, v, lambda query, key: key <= query)
    agrees("Attention<is_causal=1>", [q, k, v], (y, count), hidden=hidden)


@given(heads=small, queries=small, past=small, size=small)
@few
def test_causal_masks_after_a_past(*, heads: int, queries: int, past: int, size: int) -> None:
    lengths = (queries, queries, queries, past, past)
    q, k, v, past_k, past_v = (
        scaled(1, heads, length, size) + np.float32(at) / 8 for at, length in enumerate(lengths)
    )
    all_k, all_v = (np.concatenate(pair, axis=2) for pair in ((past_k, k), (past_v, v)))
    y, count, hidden = attention(q, all_k, all_v, lambda query, key: key <= query + past)
    agrees("Attention<is_causal=1>", [q, k, v, None, past_k, past_v], (y, count), hidden=hidden)


@pytest.mark.parametrize("causal", [0, 1])
@given(
    queries=st.integers(1, 5),
    keys=st.integers(1, 5),
    left=st.integers(-1, 3),
    right=st.integers(-1, 3),
)
@few
def test_windows(causal: int, queries: int, keys: int, left: int, right: int) -> None:
    def sees(query: int, key: int) -> bool:
        before = left < 0 or key >= query - left
        after = right < 0 or key <= query + right
        return before and after and (not causal or key <= query)

    q, k, v = (scaled(1, 2, length, 3) for length in (queries, keys, keys))
    y, count, hidden = attention(q, k, v, sees)
    call = f"Attention<is_causal={causal}, left_window_size={left}, right_window_size={right}>"
    agrees(call, [q, k, v], (y, count), opset=25, hidden=hidden)


def linear_attention(
    q: Array, k: Array, v: Array, heads: tuple[int, int], *, delta: bool
) -> Counted:
    """[B, T, H * D]: a state for each key head, which each step changes and its query heads read."""
    batch, steps, _ = q.shape
    size, values = k.shape[2] // heads[1], v.shape[2] // heads[1]
    y, count = np.zeros((batch, steps, heads[0] * values), np.float32), 0
    for image, shared in points(batch, heads[1]):
        state = np.zeros((size, values))
        for step in range(steps):
            key = k[image, step, shared * size : (shared + 1) * size]
            value = v[image, step, shared * values : (shared + 1) * values].astype(np.float64)
            if delta:
                held = np.zeros(values)
                for row, column in points(size, values):
                    held[column] += state[row, column] * key[row]
                    count += 1
                value = 0.5 * (value - held)
            for row, column in points(size, values):
                state[row, column] += key[row] * value[column]
                count += 1
            for member in range(heads[0] // heads[1]):
                head = shared * (heads[0] // heads[1]) + member
                for row, column in points(size, values):
                    one = q[image, step, head * size + row] * state[row, column]
                    y[image, step, head * values + column] += one / np.sqrt(size)
                    count += 1
    return y, count


@pytest.mark.parametrize("rule", ["linear", "delta"])
@given(batch=small, steps=small, shared=small, group=small, size=small, values=small)
@few
def test_linear_attention(
    *, rule: str, batch: int, steps: int, shared: int, group: int, size: int, values: int
) -> None:
    heads = shared * group, shared
    q, k = scaled(batch, steps, heads[0] * size), scaled(batch, steps, shared * size)
    v = scaled(batch, steps, shared * values)
    counted = linear_attention(q, k, v, heads, delta=rule == "delta")
    rate = np.full((batch, steps, shared), 0.5, np.float32)
    call = f'LinearAttention<update_rule="{rule}", q_num_heads={heads[0]}, kv_num_heads={heads[1]}>'
    more = [None, None, rate] if rule == "delta" else []
    agrees(call, [q, k, v, *more], counted, opset=27)
