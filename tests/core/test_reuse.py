"""Reuse distances, by hand on small graphs; every tensor is float."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fusion.emulation import optimized
from mlsys_lint.fusion.reuse import taken, touches_of
from mlsys_lint.records import OpCost, Touch

KIB = 1024


def _touches(text: str) -> list[Sequence[Touch]]:
    program = optimized(text, runtime="none")
    order = program.order()
    found = touches_of(order)
    return [found[op] for op in order]


def test_a_chain_reads_what_was_just_written() -> None:
    """256 floats are 1 KiB. Abs reads x, which the run touched last a whole run ago: 3 KiB distinct
    at most (x, and two computed tensors alive at once). Neg reads a: between its writing and this
    reading lies what Abs touched, x and a."""
    abs_, neg = _touches("g (float[256] x) => (float[256] y) { a = Abs(x) y = Neg(a) }")
    read, written = abs_
    assert (read.kind, read.nbytes, read.distance) == ("read", KIB, 3 * KIB)
    assert (written.kind, written.nbytes) == ("written", KIB)
    assert (neg[0].kind, neg[0].distance) == ("read", 2 * KIB)


def test_a_constant_was_read_a_whole_run_ago() -> None:
    """w is 4 KiB, x and y 1 KiB each: 6 KiB are all that a run touches."""
    text = """g (float[1,256] x) => (float[1,4] y)
    <float[256,4] w = {0}> { y = MatMul(x, w) }"""
    pytest.importorskip("onnx")
    ((x, w, y),) = _touches(text.replace("{0}", "{" + ",".join(["1"] * 1024) + "}"))
    assert (w.kind, w.nbytes) == ("weight", 4 * KIB)
    assert w.distance == x.distance == 4 * KIB + KIB + 16
    assert y.nbytes == 16


def test_an_early_tensor_is_far_away_when_it_is_read_late() -> None:
    """a is written first; b, c and d pass by before it is added."""
    text = """g (float[256] x) => (float[256] y)
    { a = Abs(x) b = Neg(a) c = Exp(b) d = Tanh(c) y = Add(d, a) }"""
    add = _touches(text)[-1]
    near, far = (touch for touch in add if touch.kind == "read")
    assert near.distance == 2 * KIB  # Tanh's c and d
    assert far.distance > near.distance


def test_a_view_is_no_access() -> None:
    text = """g (float[256] x) => (float[16,16] y)
    <int64[2] s = {16,16}> { a = Abs(x) b = Reshape(a, s) y = Neg(b) }"""
    neg = _touches(text)[-1]
    assert neg[0].distance == 2 * KIB + 16  # Abs, and the sizes that Reshape reads


def test_a_table_is_touched_in_the_rows_that_are_taken() -> None:
    """8 of 1000 rows of 64 floats: 2 KiB of the table."""
    table = Touch(kind="weight", nbytes=256_000, distance=300_000)
    index = Touch(kind="read", nbytes=64, distance=100)
    cost = OpCost(bytes_read=2048 + 64, weight_bytes=2048)
    assert taken((table, index), cost) == (
        Touch(kind="weight", nbytes=2048, distance=300_000),
        index,
    )
