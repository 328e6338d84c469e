"""Fourier transforms: 5 n log2 n operations for n complex samples, half for real ones."""

from __future__ import annotations

import pytest

from mlsys_lint import OpCost
from mlsys_lint.testing import estimate_text
from node_costs import cost_of, counts, moved


def stored(call: str, inputs: str, constants: str, opset: int = 23) -> OpCost:
    text = f"g ({inputs}) => (float[?] y) <{constants}> {{ y = {call} }}"
    (found,) = estimate_text(text, opset=opset)
    assert found.cost is not None, found.reason
    return found.cost


@pytest.mark.parametrize(
    ("inputs", "attributes", "operations"),
    [
        # 3 lines of 8: 5 * 8 * 3 = 120 each, half of it for real ones.
        ("float[3,8,2] x", "", 3 * 120),
        ("float[3,8,1] x", "", 3 * 60),
        ("float[3,8,1] x", "onesided=1", 3 * 60),
        # The inverse scales 48 numbers.
        ("float[3,8,2] x", "inverse=1", 3 * 120 + 48),
        # 5 samples: log2 is rounded up to 3.
        ("float[3,5,2] x", "", 3 * 75),
        ("float[3,1,2] x", "", 0),
    ],
)
def test_transforms(inputs: str, attributes: str, operations: int) -> None:
    call = f"DFT<{attributes}>(x)" if attributes else "DFT(x)"
    cost = cost_of(call, inputs)
    assert (cost.vector_ops, cost.kernel_class) == (operations, "fft")


def test_transforms_along_another_axis() -> None:
    # 8 lines of 4: 5 * 4 * 2 = 40 each; the axis is an attribute (default 1) before opset 20.
    assert stored("DFT(x, , a)", "float[4,8,2] x", "int64 a = {0}").vector_ops == 320
    assert counts("DFT<axis=0>(x)", "float[4,8,2] x", opset=17) == (320, 0)
    assert counts("DFT(x)", "float[4,8,2] x", opset=17) == (480, 0)
    # Padded to 16: 5 * 16 * 4 for each of 4 lines.
    padded = stored("DFT(x, n)", "float[4,8,2] x", "int64 n = {16}")
    assert (padded.vector_ops, padded.bytes_written) == (1280, 4 * 16 * 2 * 4)


def test_short_transforms() -> None:
    # (32 - 8) / 4 + 1 = 7 frames of 8 real samples for each of 2 signals: a product with the window
    # and half of 5 * 8 * 3; 5 frequencies come out.
    cost = stored("STFT<onesided=1>(x, step, w)", "float[2,32,1] x", "int64 step = {4}, float[8] w")
    assert cost.vector_ops == 14 * (8 + 60)
    assert (cost.bytes_read, cost.bytes_written) == (256 + 32, 14 * 5 * 2 * 4)
    bare = stored(
        "STFT<onesided=1>(x, step, , n)", "float[2,32,1] x", "int64 step = {4}, int64 n = {8}"
    )
    assert bare.vector_ops == 14 * 60


@pytest.mark.parametrize(
    ("name", "each", "cosines"),
    [("HannWindow", 4, 1), ("HammingWindow", 4, 1), ("BlackmanWindow", 7, 2)],
)
def test_windows(name: str, each: int, cosines: int) -> None:
    # Position, angle, product, difference; Blackman doubles the angle and adds a second term.
    cost = stored(f"{name}(n)", "float u", "int64 n = {10}")
    assert (cost.vector_ops, cost.transcendentals) == (10 * each, 10 * cosines)
    assert (cost.bytes_read, cost.bytes_written) == (0, 40)


def test_mel_filters() -> None:
    # 8 / 2 + 1 = 5 frequencies by 3 bands; 5 edges.
    cost = stored(
        "MelWeightMatrix(b, n, r, low, high)",
        "float u",
        "int64 b = {3}, int64 n = {8}, int64 r = {16}, float low = {0}, float high = {8}",
    )
    assert (cost.vector_ops, cost.transcendentals) == (2 * 15 + 8 * 5, 5)
    assert (cost.bytes_read, cost.bytes_written) == (0, 60)


def test_unknown_windows_are_declined() -> None:
    (found,) = estimate_text("g (int64 n) => (float[?] y) { y = HannWindow(n) }")
    assert found.cost is None


def test_all_of_a_signal_is_read() -> None:
    assert moved("DFT(x)", "float[3,8,2] x") == (192, 192)


def test_a_shorter_transform_reads_less() -> None:
    # 4 of 8 complex samples in each of 3 lines; 4 of 8 real ones.
    cost = stored("DFT(x, n)", "float[3,8,2] x", "int64 n = {4}")
    assert (cost.bytes_read, cost.bytes_written) == (3 * 4 * 8, 96)
    cost = stored("DFT<onesided=1>(x, n)", "float[3,8,1] x", "int64 n = {4}")
    assert (cost.bytes_read, cost.bytes_written) == (3 * 4 * 4, 3 * 3 * 8)
    # 4 real samples come from 3 of 6 complex ones, whose others mirror them.
    cost = stored("DFT<inverse=1, onesided=1>(x, n)", "float[3,6,2] x", "int64 n = {4}")
    assert (cost.bytes_read, cost.bytes_written) == (3 * 3 * 8, 3 * 4 * 4)


def test_an_axis_that_is_not_known_is_the_longest() -> None:
    # 2 * 4 = 8 lines of 16 complex samples: 5 * 16 * 4 operations each (32 lines of 4 take 40 each).
    text = "g (float[2,4,16,2] x, int64 a) => (float[2,4,16,2] y) { y = DFT(x, , a) }"
    (found,) = estimate_text(text)
    assert found.cost is not None, found.reason
    assert (found.cost.vector_ops, found.status.value) == (8 * 320, "estimated")
    # Along axis 1 it is half of that: 32 lines of 4.
    cost = stored("DFT(x, , a)", "float[2,4,16,2] x", "int64 a = {1}")
    assert cost.vector_ops == 32 * 40


def test_samples_between_and_after_frames_are_not_read() -> None:
    # Frames of 4 every 8 of 30 samples begin at 0, 8, 16 and 24: 4 frames of 4 floats.
    # Every 2 of 11: at 0, 2, 4 and 6, the last 1 is left over.
    for length, step, read in ((30, 8, 4 * (4 - 1) + 4), (11, 2, 2 * (4 - 1) + 4)):
        constants = f"int64 s = {{{step}}}, int64 l = {{4}}"
        cost = stored("STFT(x, s, , l)", f"float[1,{length},1] x", constants)
        assert (cost.bytes_read, cost.bytes_written) == (4 * read, 4 * 3 * 8)
