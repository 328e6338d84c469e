"""Bodies by hand, beside ONNX Runtime: it counts at each kernel of every trip; our plan keeps the
trip that holds most. A float[256] has 1,024 bytes (K).
"""

from __future__ import annotations

import numpy as np
import pytest

from memory.observed import Held, observed, planned

K = 1024

pytestmark = pytest.mark.ort


def most(held: Held) -> int:
    return max(nbytes for _, nbytes in held)


def same_peak(text: str) -> int:
    """The peak; ONNX Runtime agrees, with the reuse of buffers and without it."""
    for reuse in (True, False):
        found = planned(text, reuse=reuse)
        assert most(found) == most(observed(text, reuse=reuse))
    return most(planned(text))


BRANCHES = """g (bool c, float[SIZE] x) => (float[SIZE] y) {
    a = Sin(x)
    t = If (c) <
        then_branch = big () => (float[SIZE] r) { p = Sin(a) q = Sin(p) r = Sin(q) },
        else_branch = small () => (float[SIZE] s) { s = Sin(a) }
    >
    y = Add(a, t)
}"""


def test_a_branch_writes_into_the_outputs_of_its_if() -> None:
    # a and t, which is there from the start as its size is known: 2; p; p q (4 in all).
    assert same_peak(BRANCHES.replace("SIZE", "256")) == 4 * K


def test_an_output_of_unknown_size_comes_when_the_branch_writes_it() -> None:
    # a; a p; a p q; a q r; a t y
    text = BRANCHES.replace("SIZE", "N")
    found = planned(text, dims={"N": 256})
    assert found == [
        *[("Sin", K), ("Sin", 2 * K), ("Sin", 3 * K), ("Sin", 3 * K)],
        *[("If", 2 * K), ("Add", 3 * K)],
    ]
    seen = observed(text, dims={"N": 256}, feeds={"c": np.array(True)})
    assert most(found) == most(seen)


def test_an_if_may_take_a_dead_buffer_of_its_graph() -> None:
    # t takes that of z: a a1 z=t, then p and p q.
    text = """g (bool c, float[256] x) => (float[256] y) {
        z = Sin(x) a = Sin(z) a1 = Sin(a)
        t = If (c) <
            then_branch = big () => (float[256] r) { p = Sin(a) q = Sin(p) r = Sin(q) },
            else_branch = small () => (float[256] s) { s = Sin(a) }
        >
        b = Add(a, t) y = Add(a1, b)
    }"""
    assert same_peak(text) == 4 * K


def test_the_larger_branch_counts() -> None:
    text = BRANCHES.replace("SIZE", "256")
    small = observed(text, feeds={"c": np.array(False)})
    assert most(small) == 3 * K  # a t y
    assert most(planned(text)) == 4 * K


LOOP = """g (float[256] x) => (float[256] y STACKED) <int64 n = {TRIPS}, bool t = {1}> {
    a = Sin(x)
    y STACKS = Loop (n, t, a) <body = step (int64 i, bool go, float[256] h)
        => (bool on, float[256] q OUT) {
        on = Identity(go)
        p = Sin(h)
        q = Sin(p)
        LAST
    }>
}"""


def loop(trips: int, *, stacked: bool = False) -> str:
    texts = {
        "TRIPS": str(trips),
        "STACKED": f", float[{trips},256] z" if stacked else "",
        "STACKS": ", z" if stacked else "",
        "OUT": ", float[256] s" if stacked else "",
        "LAST": "s = Cos(q)" if stacked else "",
    }
    text = LOOP
    for name, value in texts.items():
        text = text.replace(name, value)
    return text


def test_a_single_trip_stands_on_counter_and_condition() -> None:
    # a, 8 bytes, 1 byte; p; p q
    assert same_peak(loop(1)) == 3 * K + 9


def test_a_later_trip_stands_on_what_the_one_before_wrote() -> None:
    # a, 8 bytes, the first condition (handed on), the q before; p; p q
    assert same_peak(loop(2)) == 4 * K + 9
    assert same_peak(loop(1000)) == 4 * K + 9


def test_a_new_condition_takes_a_byte_in_each_trip() -> None:
    # a, 8 bytes, condition and q of the trip before; the new condition, which is first; p q
    text = (
        loop(3)
        .replace("on = Identity(go)", "")
        .replace("q = Sin(p)", "q = Sin(p) on = And(go, go)")
    )
    assert same_peak(text) == 4 * K + 9 + 1


def test_stacked_results_pile_up() -> None:
    # Fourth trip: a, 9 bytes, the q before, three s; q and s of its own.
    assert same_peak(loop(4, stacked=True)) == K + 9 + K + 3 * K + 2 * K
    # After the last trip there are a, y and the stacked copy.
    assert planned(loop(4, stacked=True))[-1] == ("Loop", K + K + 4 * K)


def test_a_state_that_is_handed_on_takes_nothing() -> None:
    text = """g (float[256] x) => (float[256] y, float[256] z) <int64 n = {4}, bool t = {1}> {
        a = Sin(x) b = Cos(x)
        y, z = Loop (n, t, a, b) <body = step (int64 i, bool go, float[256] h, float[256] k)
            => (bool on, float[256] q, float[256] l) {
            on = Identity(go) l = Identity(k) p = Sin(h) q = Sin(p)
        }>
    }"""
    # a b, 9 bytes, the q before; p q
    assert same_peak(text) == 5 * K + 9


def test_a_body_may_hand_on_its_input_without_a_node() -> None:
    text = """g (float[256] x) => (float[256] y, float[256] z) <int64 n = {3}, bool t = {1}> {
        a = Sin(x)
        y, z = Loop (n, t, a, x) <body = step (int64 i, bool go, float[256] h, float[256] k)
            => (bool go, float[256] q, float[256] k) { p = Sin(h) q = Add(p, k) }>
    }"""
    # a, 9 bytes, the q before; p q
    assert same_peak(text) == 4 * K + 9


def test_the_buffers_of_a_body_are_its_own() -> None:
    # Inside, Relu may not write over a, although it is its last reader.
    text = loop(2).replace("p = Sin(h)", "p = Relu(a)")
    same_peak(text)


SCAN = """g (float[STEPS,2,64] x, float[2,64] h) => (float[STEPS,2,64] y) {
    s, y = Scan (h, x) <num_scan_inputs = 1, body = step (float[2,64] b, float[2,64] v)
        => (float[2,64] n, float[2,64] o) {
        p = Sin(v) q = Add(p, b) n = Tanh(q) o = Identity(n)
    }>
}"""


@pytest.mark.parametrize(("steps", "spare"), [(1, 0), (2, 1), (3, 2), (10, 2)])
def test_a_scan_writes_into_its_outputs(steps: int, spare: int) -> None:
    # 512 bytes each: the last state, the stacked result, spare states; then p q.
    text = SCAN.replace("STEPS", str(steps))
    assert same_peak(text) == 512 * (1 + steps + spare + 2)


def test_a_loop_in_a_branch_in_a_loop() -> None:
    text = """g (bool c, float[256] x) => (float[256] y) <int64 n = {3}, bool t = {1}> {
        a = Sin(x)
        y = Loop (n, t, a) <body = outer (int64 i, bool go, float[256] h)
            => (bool on, float[256] q) {
            on = Identity(go)
            p = Sin(h)
            r = If (c) <
                then_branch = yes () => (float[256] u) {
                    v = Cos(p)
                    u = Loop (n, t, v) <body = inner (int64 j, bool goes, float[256] k)
                        => (bool ons, float[256] w) { ons = Identity(goes) w0 = Sin(k) w = Sin(w0) }>
                },
                else_branch = no () => (float[256] m) { m = Cos(p) }
            >
            q = Add(p, r)
        }>
    }"""
    # Outer: a, 9, the q before, p; If: r; v; inner: 9, the w before, w0 w.
    assert same_peak(text) == 4 * K + 9 + K + 3 * K + 9
