from __future__ import annotations

from dataclasses import replace
from math import floor, log10

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsys_lint import formatting
from mlsys_lint.errors import OptionError
from mlsys_lint.records import Interval, MemoryLevel
from report_values import device, kernel

_SI = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def _half_of_last_digit(number: str) -> float:
    return 0.5 * 10.0 ** -len(number.partition(".")[2])


def _order(value: float) -> int:
    return floor(log10(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4_089_184_256, "4.09 G"),
        (25_690_112, "25.7 M"),
        (864, "864"),
        (0, "0"),
        (1000, "1.00 k"),
        (999_600, "1.00 M"),  # 999.6 k has three digits only as 1000 k
        (7e15, "7.00 P"),
    ],
)
def test_counts(value: int, text: str) -> None:
    assert formatting.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (102_228_128, "102.2 MB"),
        (1_605_632, "1.6 MB"),
        (512, "512 B"),
        (0, "0 B"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),  # one decimal of 999.96 kB would be 1000.0
    ],
)
def test_sizes(value: int, text: str) -> None:
    assert formatting.size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0196, "19.6 ms"),
        (0.00018, "180 us"),
        (1.5, "1.50 s"),
        (0.99996, "1.00 s"),
        (2.5e-7, "250 ns"),
        (3e-12, "0.00300 ns"),
        (0, "0 s"),
        (90, "90.0 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


def test_a_duration_in_a_given_unit() -> None:
    assert formatting.duration(0.00011, "ms") == "0.110 ms"


def test_a_range_has_the_unit_of_the_expected_time() -> None:
    interval = Interval(floor=0, low=0.0181, expected=0.0196, high=1.25)
    assert formatting.duration_range(interval) == "18.1 .. 1250"


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.91, "91 %"),
        (0.006, "0.6 %"),
        (0.0001, "< 0.1 %"),
        (0.0, "0 %"),
        (0.0996, "10 %"),
        (1.25, "125 %"),
    ],
)
def test_percentages(fraction: float, text: str) -> None:
    assert formatting.percent(fraction) == text


def test_a_limit_is_printed_as_it_was_written() -> None:
    assert formatting.limit(0.025, "s") == "25 ms"
    assert formatting.limit(0.0025, "s") == "2.50 ms"
    assert formatting.limit(500e6, "bytes") == "500 MB"
    assert formatting.limit(1200, "runs/s") == "1.20 k runs/s"


def test_why_a_latency_is_not_known() -> None:
    bf16 = [kernel(at, time_s=None, dtype="bf16") for at in range(2)]
    fp64 = kernel(2, time_s=None, dtype="fp64")
    blind = device(*bf16, fp64, kernel(3))
    words = "no bf16 peak for 2 kernels, no fp64 peak for 1 kernel"
    assert formatting.why_no_latency(blind) == words
    no_rate = replace(blind.profile, memory=(MemoryLevel(level="dram"),))
    assert "bandwidth" in formatting.why_no_latency(replace(blind, profile=no_rate))


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_significant_keeps_its_digits(value: float) -> None:
    text = formatting.significant(value)
    assert "e" not in text
    assert abs(float(text) - value) <= _half_of_last_digit(text) * (1 + 1e-9)
    digits = text.replace(".", "").lstrip("0")
    # Three digits; more only where they all stand before the point.
    assert len(digits) == 3 or (len(digits) > 3 and "." not in text)


@given(st.integers(min_value=0, max_value=10**20))
def test_counts_lose_no_more_than_their_third_digit(value: int) -> None:
    number, _, prefix = formatting.count(value).partition(" ")
    error = abs(float(number) * _SI[prefix] - value)
    assert error <= _half_of_last_digit(number) * _SI[prefix] * (1 + 1e-9)
    assert float(number) < 1000 or prefix == "E"
    if value >= 1000:
        assert error <= 0.5 * 10.0 ** (_order(value) - 2) * (1 + 1e-9)
    else:
        assert error == 0


@given(st.integers(min_value=0, max_value=10**20))
def test_sizes_lose_no_more_than_their_first_decimal(value: int) -> None:
    number, _, unit = formatting.size(value).partition(" ")
    scale = _SI[unit.removesuffix("B")]
    assert abs(float(number) * scale - value) <= 0.05 * scale * (1 + 1e-9)
    assert float(number) < 1000 or unit == "EB"


@given(st.floats(min_value=1e-12, max_value=1e6))
def test_durations_lose_no_more_than_their_third_digit(seconds: float) -> None:
    number, _, unit = formatting.duration(seconds).partition(" ")
    error = abs(float(number) * _SECONDS[unit] - seconds)
    assert error <= 0.5 * 10.0 ** (_order(seconds) - 2) * (1 + 1e-6)
    assert float(number) >= 1 or unit == "ns"


@given(st.floats(min_value=0, max_value=1e3))
def test_only_nothing_is_zero_percent(fraction: float) -> None:
    text = formatting.percent(fraction)
    assert (text in {"0 %", "0.0 %"}) == (fraction == 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20ms", 0.02),
        ("20 ms", 0.02),
        ("1.5s", 1.5),
        ("300us", 3e-4),
        ("300µs", 3e-4),
        ("5e2NS", 5e-7),
        ("2min", 120.0),
        (".5s", 0.5),
    ],
)
def test_parse_duration(text: str, seconds: float) -> None:
    assert formatting.parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["20", "", "ms", "fast", "-3ms", "0ms", "nan s", "inf s", "1e999s", "20 m", "2h", "1,5s"],
)
def test_a_text_that_is_no_duration(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        formatting.parse_duration(text, "--max-latency")
    message = str(caught.value)
    assert message.startswith(f"--max-latency: {text!r}")
    assert "such as 20ms" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 * 1024**3),
        ("500MB", 500_000_000),
        ("1.5 kB", 1500),
        ("1.5kib", 1536),
        ("12b", 12),
        ("2TB", 2 * 10**12),
        ("1TiB", 2**40),
    ],
)
def test_parse_bytes(text: str, size: int) -> None:
    assert formatting.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["4", "4G", "GB", "0MB", "-1MB", "0.2B", "many", "4 GB RAM", ""])
def test_a_text_that_is_no_size(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        formatting.parse_bytes(text, "--max-memory")
    assert str(caught.value).startswith(f"--max-memory: {text!r} is not a size")
