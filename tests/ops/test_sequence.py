"""Sequences: a tensor is copied where it goes in or comes out, the others are shared."""

from __future__ import annotations

from mlsys_lint.testing import estimate_text


def moves(text: str) -> list[tuple[str, int, int]]:
    """(operator, bytes read, bytes written) by node."""
    found = estimate_text(f"g {text}")
    assert all(one.cost is not None for one in found), [one.reason for one in found]
    return [
        (one.node.op_type, one.cost.bytes_read, one.cost.bytes_written)
        for one in found
        if one.cost is not None
    ]


def test_tensors_are_copied_in_and_out() -> None:
    # Tensors of 24 bytes; a position of int64 where one is given.
    text = (
        "(float[2,3] a, float[2,3] b, int64 at) => (float[?] y, int64 n, seq(float[?]) f) { "
        "s = SequenceConstruct(a, b) t = SequenceInsert(s, a) u = SequenceErase(t, at) "
        "n = SequenceLength(u) y = SequenceAt(u, at) e = SequenceEmpty() "
        "f = SequenceInsert(e, b) }"
    )
    assert moves(text) == [
        ("SequenceConstruct", 48, 48),
        ("SequenceInsert", 24, 24),
        ("SequenceErase", 0, 0),
        ("SequenceLength", 0, 8),
        ("SequenceAt", 24, 24),
        ("SequenceEmpty", 0, 0),
        ("SequenceInsert", 24, 24),
    ]


def test_split_and_joined() -> None:
    # 6 rows of 4, 96 bytes, apart and together again.
    text = "(float[6,4] x) => (float[?] y) { s = SplitToSequence<axis=0>(x) y = ConcatFromSequence<axis=0>(s) }"
    split, joined = estimate_text(f"g {text}")
    for one in (split, joined):
        assert one.cost is not None, one.reason
        assert (one.cost.bytes_read, one.cost.bytes_written) == (96, 96)
    # Joined without being split here: how many parts there are is not known.
    text = "g (seq(float[1,4]) s) => (float[?,?] y) { y = ConcatFromSequence<axis=0>(s) }"
    (joined,) = estimate_text(text)
    assert (joined.cost, joined.status.value) == (None, "declined")


def test_a_joined_extent_that_is_given() -> None:
    # Parts of [n,3] become [n,6], twice: what comes out is read and written.
    for n in (4, 8):
        text = f"g (seq(float[{n},3]) s) => (float[?,?] y) {{ y = ConcatFromSequence<axis=1>(s) }}"
        (found,) = estimate_text(text, dims={"y:1": 6})
        assert found.cost is not None, found.reason
        assert found.node.output().dims == (n, 6)
        assert (found.cost.bytes_read, found.cost.bytes_written) == (24 * n, 24 * n)


def test_optionals_are_views() -> None:
    text = "(float[2,3] x) => (float[?] y, bool b) { o = Optional(x) b = OptionalHasElement(o) y = OptionalGetElement(o) }"
    assert moves(text) == [
        ("Optional", 0, 0),
        ("OptionalHasElement", 0, 1),
        ("OptionalGetElement", 0, 0),
    ]
