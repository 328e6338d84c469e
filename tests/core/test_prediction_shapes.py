"""Shares of shape: limits and hand-computed cases of tiles, waves, padding and threads."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.prediction import efficiency, predict, shapes
from mlsys_lint.records import (
    Contraction,
    DeviceProfile,
    Efficiency,
    Interval,
    Kernel,
    OpCost,
    Touch,
)

HOST = PluginHost(third_party=False)
PROFILES = {name: entry.load() for name, entry in HOST.devices.items()}
A100, CPU = PROFILES["nv-a100-sxm4-80"], PROFILES["i7-12700k"]
SIZES = st.integers(1, 5000)


def _product(
    batch: int, m: int, n: int, k: int, kernel_class: str = "gemm"
) -> tuple[Kernel, Contraction]:
    contraction = Contraction(batch=batch, m=m, n=n, k=k, dtype="float")
    cost = OpCost(
        contractions=(contraction,),
        bytes_read=4 * batch * (m * k + k * n),
        bytes_written=4 * batch * m * n,
        kernel_class=kernel_class,
    )
    return Kernel(nodes=(0,), cost=cost, kernel_class=kernel_class, dtype="float"), contraction


def _time(kernel: Kernel, profile: DeviceProfile) -> Interval:
    found = predict([kernel], profile, HOST.runtimes[profile.runtime], 0).latency_s
    assert found is not None
    return found


# -- GPU: tiles and waves --------------------------------------------------------------------------


def test_one_tile_leaves_all_other_sms_idle() -> None:
    assert shapes.wave_share(1, 108) == pytest.approx(1 / 108)
    assert shapes.gpu_product_share(1, 64, 64, 108) == pytest.approx(1 / 108)


def test_many_waves_leave_nothing_idle() -> None:
    assert shapes.wave_share(108 * 10**6 + 1, 108) == pytest.approx(1, abs=1e-5)
    assert shapes.gpu_product_share(10**6, 256, 128, 108) == pytest.approx(1, abs=1e-3)


def test_the_guides_example_of_a_last_wave() -> None:
    # DU-09799, 3.2: 108 tiles fill an A100, one more takes a second wave: half is idle.
    assert shapes.wave_share(108, 108) == 1
    assert shapes.wave_share(109, 108) == pytest.approx(109 / 216)


def test_a_tile_at_the_edge_is_computed_whole() -> None:
    assert shapes.tile_share(256, 128, (256, 128)) == 1
    assert shapes.tile_share(257, 128, (256, 128)) == pytest.approx(257 / 512)
    assert shapes.tile_share(257, 129, (256, 128)) == pytest.approx(257 * 129 / (512 * 256))


@given(batch=st.integers(1, 300), m=SIZES, n=SIZES, units=st.integers(1, 200))
def test_a_gpu_share_is_that_of_the_best_tile(batch: int, m: int, n: int, units: int) -> None:
    share = shapes.gpu_product_share(batch, m, n, units)
    assert 0 < share <= 1
    for rows, columns in shapes.TILES:
        tiles = batch * ceil(m / rows) * ceil(n / columns)
        room = ceil(tiles / units) * units * rows * columns
        assert share >= batch * m * n / room * (1 - 1e-12)


def test_images_under_the_same_filters_are_rows_of_one_product() -> None:
    # 8 images of 196 pixels: 1568 rows x 64 columns, 25 tiles of 64 x 64; apart 8 x 4 tiles.
    kernel, contraction = _product(8, 196, 64, 576, "conv")
    found = efficiency.of_compute(A100, kernel, contraction)
    prior = A100.efficiency["gemm"]
    assert found.typ == pytest.approx(prior.typ * 1568 / (108 * 64))
    assert found.high == prior.high  # smaller tiles or a split depth may fill the SMs


def test_a_gpu_without_a_count_of_units_has_its_prior() -> None:
    kernel, contraction = _product(1, 3, 3, 3)
    found = efficiency.of_compute(replace(A100, units=None), kernel, contraction)
    assert found == A100.efficiency["gemm"]


# -- CPU: blocks and threads -----------------------------------------------------------------------


def test_seventeen_columns_fill_thirty_two() -> None:
    assert shapes.padded_share(17, 16) == pytest.approx(17 / 32)
    assert shapes.padded_share(16, 16) == shapes.padded_share(32, 16) == 1
    assert shapes.padded_share(1, 16) == pytest.approx(1 / 16)


@pytest.mark.parametrize(
    ("sizes", "threads", "share"),
    [
        ((1, 256, 1024, 1024), 1, 1.0),
        ((1, 256, 17, 1024), 1, 17 / 32),
        ((1, 32, 32, 32), 2, 1 / 2),  # 32,768 MACs: one thread; observed with 1.32.0
        ((1, 64, 64, 64), 2, 1.0),  # 262,144 MACs: 5 are wanted, 32 rows each
        ((1, 3, 4096, 64), 4, 1.0),  # 256 blocks of columns, 64 each
        ((1, 3, 48, 4096), 4, 3 / 4),  # 3 blocks for 4 threads
        ((1, 100, 16, 640), 8, 100 / 104),  # along the rows: 13 of 100, the last 9
        ((12, 128, 128, 64), 8, 12 / 16),  # a product each, two rounds
        ((3, 128, 128, 64), 8, 3 * 128 / (8 * 64)),  # two threads for each, 6 of 8 at work
    ],
)
def test_products_are_split_between_threads(
    sizes: tuple[int, int, int, int], threads: int, share: float
) -> None:
    assert shapes.cpu_product_share(*sizes, threads) == pytest.approx(share)


@given(batch=st.integers(1, 100), m=SIZES, n=SIZES, k=SIZES, threads=st.integers(1, 128))
def test_a_cpu_share_lies_between_one_thread_and_all(
    batch: int, m: int, n: int, k: int, threads: int
) -> None:
    share = shapes.cpu_product_share(batch, m, n, k, threads)
    padded = shapes.padded_share(n, shapes.COLUMNS)
    assert 0 < share <= padded * (1 + 1e-12)
    assert share >= padded / threads * (1 - 1e-12)


def test_a_small_kernel_runs_on_one_thread() -> None:
    # Add on two threads, observed with 1.32.0: 65,536 floats on one of them, 131,072 on both.
    assert shapes.stream_threads(12 * 65536, 65536, 2) == 1
    assert shapes.stream_threads(12 * 131072, 131072, 2) == 2
    assert shapes.stream_threads(0, 0, 8) == 1
    assert shapes.stream_threads(10**9, 10**9, 8) == 8


def test_at_worst_a_small_kernel_has_one_threads_share_of_the_bandwidth() -> None:
    cost = OpCost(bytes_read=1200, bytes_written=1200, kernel_class="elementwise")
    small = Kernel(nodes=(0,), cost=cost, kernel_class="elementwise", dtype="float")
    bandwidth = CPU.dram.bandwidth
    assert bandwidth is not None
    launch, run = CPU.launch_s["dispatch"].high, CPU.launch_s["run"].high
    at_worst = 2400 / (bandwidth.low * CPU.efficiency["stream"].low / 12)
    assert CPU.threads == 12
    assert _time(small, CPU).high == pytest.approx(launch + run + at_worst)


def test_deep_products_of_many_rows_lose_nothing() -> None:
    assert shapes.panel_share(10**9, 10**9) == pytest.approx(1)
    # Measured on Zen 5: M = 16 reaches 226 of 245 GFLOP/s, K = 17 203.
    assert shapes.panel_share(16, 1024) == pytest.approx(226 / 245, abs=0.02)
    assert shapes.panel_share(256, 17) == pytest.approx(203 / 245, abs=0.02)


def test_filters_fill_blocks_of_the_simd_width() -> None:
    kernel, contraction = _product(1, 3136, 20, 576, "conv")
    found = efficiency.of_compute(replace(CPU, vector_lanes=8), kernel, contraction)
    prior = CPU.efficiency["conv"]
    assert found == Efficiency(
        low=prior.low * 20 / 24, typ=prior.typ * 20 / 24, high=prior.high, source=prior.source
    )


def test_what_was_touched_lately_comes_from_a_cache() -> None:
    size = 10**7
    cost = OpCost(bytes_read=size, bytes_written=size, kernel_class="elementwise")
    plain = Kernel(nodes=(0,), cost=cost, kernel_class="elementwise", dtype="float")

    def touching(distance: int) -> Kernel:
        kinds = ("read", "written")
        touches = tuple(Touch(kind=kind, nbytes=size, distance=distance) for kind in kinds)
        return replace(plain, touches=touches)

    near, far = (_time(touching(distance), A100) for distance in (size, 10**9))
    assert near.expected == pytest.approx(_time(plain, A100).expected)  # 20 MB fit in 40 MiB
    rates = [level.bandwidth for level in A100.memory]
    assert rates[0] is not None
    assert rates[-1] is not None
    start = A100.launch_s["stream"].value
    ratio = (far.expected - start) / (near.expected - start)
    assert ratio == pytest.approx(rates[0].value / rates[-1].value, rel=1e-6)
    assert far.low == near.low  # at best everything that fits is near


# -- all devices -----------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    device=st.sampled_from(sorted(PROFILES)),
    kernel_class=st.sampled_from(
        [
            *("gemm", "gemv", "batched_matmul", "attention", "recurrent", "never_heard_of"),
            *("conv", "conv_pointwise", "conv_grouped", "conv_depthwise"),
        ]
    ),
    batch=st.integers(1, 300),
    m=SIZES,
    n=SIZES,
    k=SIZES,
)
def test_an_efficiency_is_a_share_with_ordered_ends(  # noqa: PLR0917
    device: str, kernel_class: str, batch: int, m: int, n: int, k: int
) -> None:
    kernel, contraction = _product(batch, m, n, k, kernel_class)
    found = efficiency.of_compute(PROFILES[device], kernel, contraction)
    assert 0 < found.low <= found.typ <= found.high * (1 + 1e-12)
    assert found.high <= 1


@settings(max_examples=60, deadline=None)
@given(batch=st.integers(1, 64), m=SIZES, n=SIZES, k=SIZES, device=st.sampled_from([A100, CPU]))
def test_more_peak_is_never_slower(
    batch: int, m: int, n: int, k: int, device: DeviceProfile
) -> None:
    kernel, _ = _product(batch, m, n, k)
    faster = replace(
        device,
        peaks={
            key: replace(
                peak,
                hard=3 * peak.hard,
                dense=replace(
                    peak.dense,
                    low=3 * peak.dense.low,
                    value=3 * peak.dense.value,
                    high=3 * peak.dense.high,
                ),
            )
            for key, peak in device.peaks.items()
        },
    )
    before, after = _time(kernel, device), _time(kernel, faster)
    for name in ("floor", "low", "expected", "high"):
        assert getattr(after, name) <= getattr(before, name)
    assert before.floor <= before.low <= before.expected <= before.high
