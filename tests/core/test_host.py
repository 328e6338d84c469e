"""Host detection on trees of /proc and /sys files written here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mlsys_lint.cpu import cpu_quota, memory_bytes, read_cpu
from mlsys_lint.devices import shipped_table
from mlsys_lint.errors import DeviceError
from mlsys_lint.host import detect_host, with_seen_rates

FP32, INT8 = ("vector", "fp32"), ("vector", "int8")
AVX2 = "fpu sse2 avx fma avx2"
AVX512 = f"{AVX2} avx512f avx512_vnni"


class Tree:
    """Files under a root, as Linux shows them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, place: str, text: str) -> Tree:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return self

    def processors(self, fields: str, cores: Sequence[tuple[int, int]]) -> Tree:
        """/proc/cpuinfo of an x86 machine: (package, core) of each logical processor."""
        blocks = [
            f"processor\t: {number}\n{fields}physical id\t: {package}\ncore id\t\t: {core}\n"
            for number, (package, core) in enumerate(cores)
        ]
        return self.put("proc/cpuinfo", "\n".join(blocks))

    def cache(self, index: int, level: int, size: str, shared: str, kind: str = "Unified") -> Tree:
        base = f"sys/devices/system/cpu/cpu0/cache/index{index}"
        for name, text in {
            "level": str(level),
            "type": kind,
            "size": size,
            "shared_cpu_list": shared,
        }.items():
            self.put(f"{base}/{name}", f"{text}\n")
        return self

    def memory(self, kilobytes: int) -> Tree:
        return self.put("proc/meminfo", f"MemTotal:    {kilobytes} kB\nMemFree:   12 kB\n")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def _x86(vendor: str, family: int, model: int, name: str, flags: str) -> str:
    return (
        f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n"
        f"model name\t: {name}\nflags\t\t: {flags}\n"
    )


def _xeon(tree: Tree, flags: str = AVX512) -> Tree:
    """Cascade Lake, 4 cores with 2 threads each."""
    fields = _x86("GenuineIntel", 6, 85, "Intel(R) Xeon(R) Gold 6230", flags)
    tree.processors(fields, [(0, core) for core in (0, 1, 2, 3, 0, 1, 2, 3)])
    tree.cache(0, 1, "32K", "0,4", "Data").cache(1, 1, "32K", "0,4", "Instruction")
    tree.cache(2, 2, "1024K", "0,4").cache(3, 3, "28160K", "0-7")
    return tree.memory(32_000_000)


def test_an_epyc_vm_with_a_quota_of_one_and_a_half_cores_gets_two_threads(tree: Tree) -> None:
    fields = _x86("AuthenticAMD", 26, 2, "AMD EPYC 9R45", AVX512)
    tree.processors(fields, [(0, core) for core in range(4)]).memory(16_000_000)
    tree.put("sys/fs/cgroup/cpu.max", "150000 100000\n")
    tree.cache(0, 1, "48K", "0", "Data").cache(2, 2, "1024K", "0").cache(3, 3, "32768K", "0-3")
    host = detect_host(root=tree.root)
    assert (host.id, host.kind, host.runtime, host.scope) == (
        "host",
        "cpu",
        "onnxruntime-cpu",
        "host",
    )
    assert (host.name, host.vendor) == ("AMD EPYC 9R45", "AuthenticAMD")
    assert (host.units, host.threads, host.vector_lanes) == (4, 2, 16)
    assert not host.asynchronous
    # Zen 5: 64 FLOP per cycle and core (2 x 16 lanes x FMA), at 2.1, 3.8 and 5.0 GHz, on 2 cores; no
    # EPYC 9005 runs faster than 5.1 GHz.
    peak = host.peaks[FP32]
    assert peak.dense.low == pytest.approx(64 * 2.1e9 * 2)
    assert peak.dense.value == pytest.approx(64 * 3.8e9 * 2)
    assert peak.dense.high == pytest.approx(64 * 5.0e9 * 2)
    assert peak.hard == pytest.approx(64 * 5.1e9 * 2)
    assert host.peaks["vector", "fp64"].dense.value == pytest.approx(peak.dense.value / 2)
    assert host.peaks[INT8].dense.value == pytest.approx(256 * 3.8e9 * 2)
    # 2 cores pull 20, 82 and 120 GB/s, less than the socket has.
    assert host.dram.bandwidth is not None
    rates = (host.dram.bandwidth.low, host.dram.bandwidth.value, host.dram.bandwidth.high)
    assert rates == pytest.approx((20e9, 82e9, 120e9))
    assert host.dram.hard_bandwidth == pytest.approx(132e9)
    assert host.dram.capacity_bytes == 16_000_000 * 1024
    # L1 and L2 are a core's own, L3 is shared by all four.
    sizes = {level.level: level.capacity_bytes for level in host.memory[:-1]}
    assert sizes == {"l1": 2 * 48 * 1024, "l2": 2 * 1024 * 1024, "l3": 32 * 1024 * 1024}
    # Two 64-byte loads and one 64-byte store per cycle and core.
    assert host.memory[0].hard_bandwidth == pytest.approx(192 * 5.1e9 * 2)


@pytest.mark.parametrize(
    ("family", "model", "ghz"),
    [
        (25, 1, 4.2),  # EPYC 7003, up to 4.1
        (25, 17, 4.5),  # EPYC 9004, up to 4.4
        (25, 24, 5.3 * 1.1),  # Threadripper 7000: a multiplier that is not locked leaves a margin
        (25, 33, 4.9 * 1.1),  # Ryzen 5000
        (25, 97, 5.7 * 1.1),  # Ryzen 7000, EPYC 4004
    ],
)
def test_parts_of_one_architecture_have_their_own_fastest_clock(
    tree: Tree, family: int, model: int, ghz: float
) -> None:
    tree.processors(_x86("AuthenticAMD", family, model, "AMD", AVX2), [(0, 0)])
    peak = detect_host(root=tree.root).peaks[FP32]
    assert peak.hard == pytest.approx(32 * ghz * 1e9)
    assert peak.dense.high <= peak.hard


def test_what_was_seen_lifts_hard_rates_and_nothing_else(tree: Tree) -> None:
    host = detect_host(1, _xeon(tree).root)
    fp32, int8 = host.peaks[FP32], host.peaks[INT8]
    seen = with_seen_rates(host, {"fp32": 2 * fp32.hard, "int8": int8.hard / 2, "bf16": 1e15}, 1e12)
    assert seen.peaks[FP32].hard == pytest.approx(1.1 * 2 * fp32.hard)
    assert seen.peaks[FP32].dense == fp32.dense
    assert seen.peaks[INT8] == int8  # slower than detected: nothing is learnt
    assert seen.peaks.keys() == host.peaks.keys()
    assert seen.dram.hard_bandwidth == pytest.approx(1.1e12)
    assert seen.dram.bandwidth == host.dram.bandwidth
    assert seen.memory[:-1] == host.memory[:-1]
    assert with_seen_rates(host, {}, 0.0) == host


def test_a_xeon_with_smt_works_on_its_cores(tree: Tree) -> None:
    cpu = read_cpu(_xeon(tree).root)
    assert (cpu.logical, cpu.physical) == (8, 4)
    host = detect_host(root=tree.root)
    assert (host.units, host.threads, host.vector_lanes) == (4, 4, 16)
    assert host.peaks[FP32].dense.value == pytest.approx(64 * 2.7e9 * 4)
    # Both threads of a core share its L1 and L2: four cores have four of each, not two.
    sizes = {level.level: level.capacity_bytes for level in host.memory[:-1]}
    assert sizes == {"l1": 4 * 32 * 1024, "l2": 4 * 1024 * 1024, "l3": 28160 * 1024}


def test_threads_spread_over_as_many_shared_caches_as_they_can(tree: Tree) -> None:
    # 8 cores in two groups of 4 with an L3 each: two threads may sit in either group.
    fields = _x86("AuthenticAMD", 25, 1, "AMD EPYC 7763", AVX2)
    tree.processors(fields, [(0, core) for core in range(8)]).cache(3, 3, "32768K", "0-3")
    for threads, groups in ((1, 1), (2, 2), (8, 2)):
        (level, _) = detect_host(threads, tree.root).memory
        assert level.capacity_bytes == groups * 32 * 1024 * 1024


def test_more_threads_than_cores_bring_no_arithmetic(tree: Tree) -> None:
    _xeon(tree)
    four, eight = (detect_host(threads, tree.root) for threads in (4, 8))
    assert eight.threads == 8
    assert eight.peaks[FP32] == four.peaks[FP32]


def test_the_peak_scales_with_threads(tree: Tree) -> None:
    _xeon(tree)
    one, two, four = (detect_host(threads, tree.root).peaks[FP32] for threads in (1, 2, 4))
    assert two.dense.value == pytest.approx(2 * one.dense.value)
    assert four.dense.value == pytest.approx(4 * one.dense.value)
    assert four.hard == pytest.approx(4 * one.hard)


def test_bandwidth_grows_with_threads_up_to_that_of_the_socket(tree: Tree) -> None:
    fields = _x86("GenuineIntel", 6, 85, "Xeon", AVX512)
    tree.processors(fields, [(0, core) for core in range(20)])
    rates = []
    for threads in (1, 2, 20):
        bandwidth = detect_host(threads, tree.root).dram.bandwidth
        assert bandwidth is not None
        rates.append(bandwidth.value)
    assert rates == pytest.approx([13e9, 26e9, 110e9])  # 13 GB/s a core, 110 GB/s the socket


@pytest.mark.parametrize("threads", [9, 1000])
def test_more_threads_than_processors_are_refused(tree: Tree, threads: int) -> None:
    with pytest.raises(DeviceError, match=rf"--threads {threads}: this machine offers 8"):
        detect_host(threads, _xeon(tree).root)


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_threads_than_one_are_refused(tree: Tree, threads: int) -> None:
    with pytest.raises(DeviceError, match=rf"--threads {threads}"):
        detect_host(threads, _xeon(tree).root)


def test_avx2_alone_gives_half_of_what_the_family_does_with_avx512(tree: Tree) -> None:
    full = detect_host(root=_xeon(tree).root)
    half = detect_host(root=_xeon(tree, AVX2).root)
    assert half.vector_lanes == 8
    assert half.peaks[FP32].dense.value == pytest.approx(full.peaks[FP32].dense.value / 2)
    assert INT8 in full.peaks
    assert INT8 not in half.peaks  # no VNNI, and nothing is borrowed


def test_a_raspberry_pi_5(tree: Tree) -> None:
    blocks = [
        f"processor\t: {number}\nBogoMIPS\t: 108.00\n"
        "Features\t: fp asimd evtstrm aes crc32 atomics fphp asimdhp asimddp\n"
        "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\n"
        "CPU part\t: 0xd0b\nCPU revision\t: 1\n"
        for number in range(4)
    ]
    tree.put("proc/cpuinfo", "\n".join([*blocks, "Model\t\t: Raspberry Pi 5 Model B Rev 1.0\n"]))
    tree.memory(8_245_696)
    host = detect_host(root=tree.root)
    assert host.name == "Raspberry Pi 5 Model B Rev 1.0"
    assert (host.units, host.threads, host.vector_lanes) == (4, 4, 4)
    # Two 128-bit FMA pipes: 16 FLOP per cycle; the chip's 2.4 GHz and 17 GB/s are in the ranges.
    assert host.peaks[FP32].dense.low <= 16 * 2.4e9 * 4 <= host.peaks[FP32].dense.high
    assert host.peaks[FP32].dense.value == pytest.approx(153.6e9)
    assert host.peaks[INT8].dense.value == pytest.approx(4 * 153.6e9)
    assert host.dram.bandwidth is not None
    assert host.dram.bandwidth.low <= 17e9 <= host.dram.bandwidth.high
    assert "Cortex-A76" in host.notes


def test_a_hybrid_i7(tree: Tree) -> None:
    # 12700K: 8 performance cores with two threads each, 4 efficient cores with one.
    fields = _x86(
        "GenuineIntel", 6, 151, "12th Gen Intel(R) Core(TM) i7-12700K", f"{AVX2} avx_vnni"
    )
    fast = [(0, 4 * core) for core in range(8) for _ in range(2)]
    tree.processors(fields, [*fast, *((0, core) for core in range(36, 40))])
    host = detect_host(root=tree.root)
    assert (host.units, host.threads, host.vector_lanes) == (12, 12, 8)
    # Twelve cores of 32 FLOP per cycle are too many (efficient cores do 16): the range covers both.
    peak = host.peaks[FP32].dense
    real = (8 * 32 * 4.7 + 4 * 16 * 3.6) * 1e9
    assert peak.low <= real <= peak.high
    assert "avx512f" not in read_cpu(tree.root).flags


def test_two_packages_with_equal_core_ids_are_different_cores(tree: Tree) -> None:
    fields = _x86("AuthenticAMD", 25, 1, "AMD EPYC 7763", AVX2)
    tree.processors(fields, [(package, core) for package in (0, 1) for core in (0, 1)])
    assert read_cpu(tree.root).physical == 4


def test_an_empty_tree_is_an_unknown_cpu_with_a_very_wide_range(tree: Tree) -> None:
    host = detect_host(root=tree.root)
    assert (host.threads, host.units, host.vector_lanes) == (1, 1, None)
    assert host.name == "unknown"
    peak, bandwidth = host.peaks[FP32].dense, host.dram.bandwidth
    assert bandwidth is not None
    # 8 to 64 FLOP per cycle at 1.0 to 6.2 GHz, one core.
    assert (peak.low, peak.value, peak.high) == pytest.approx((8e9, 40e9, 396.8e9))
    assert bandwidth.high / bandwidth.low > 10
    assert host.dram.capacity_bytes is None
    assert host.memory == (host.dram,)
    assert "unknown" in host.notes


def test_the_unknown_range_spans_every_family() -> None:
    *rows, unknown = shipped_table("cpu_families.toml")["family"]
    assert unknown["name"] == "unknown"
    assert "vendor" not in unknown
    for row in rows:
        assert unknown["flop"][0] <= row["flop"] <= unknown["flop"][2]
        for key in ("clock_ghz", "core_gbs", "socket_gbs"):
            assert unknown[key][0] <= row[key][0], (row["name"], key)
            assert unknown[key][2] >= row[key][2], (row["name"], key)


def test_every_family_has_ordered_ranges_and_a_source() -> None:
    rows = shipped_table("cpu_families.toml")["family"]
    for row in rows:
        for key in ("clock_ghz", "core_gbs", "socket_gbs"):
            low, typical, high = row[key]
            assert 0 < low <= typical <= high, (row["name"], key)
        assert row["source"]
        assert row.get("hard_ghz", row["clock_ghz"][2]) >= row["clock_ghz"][2]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("proc/cpuinfo", "processor\nprocessor : x\n\n: :\ncpu family : six\nmodel : \x00\n"),
        ("proc/meminfo", "MemTotal: lots\n"),
        ("sys/fs/cgroup/cpu.max", "many few\n"),
        ("sys/fs/cgroup/cpu.max", "100000 0\n"),
        ("sys/fs/cgroup/cpu.max", "0 100000\n"),
        ("sys/fs/cgroup/cpu.max", ""),
        ("sys/fs/cgroup/memory.max", "max\n"),
        ("sys/devices/system/cpu/cpu0/cache/index0/size", "big\n"),
    ],
)
def test_a_broken_file_is_as_good_as_none(tree: Tree, place: str, text: str) -> None:
    host = detect_host(root=tree.put(place, text).root)
    assert host.threads is not None
    assert host.threads >= 1
    assert host.peaks[FP32].dense.value > 0


@pytest.mark.parametrize("shared", ["", "x-y", "3-", "0-3,", ",", "4-0"])
def test_a_broken_list_of_sharers_is_one_processor_or_what_can_be_read(
    tree: Tree, shared: str
) -> None:
    tree.cache(0, 3, "1024K", shared)
    assert detect_host(root=tree.root).memory[0].capacity_bytes == 1024 * 1024


def test_a_quota_below_one_processor_still_leaves_one(tree: Tree) -> None:
    _xeon(tree).put("sys/fs/cgroup/cpu.max", "20000 100000\n")
    assert detect_host(root=tree.root).threads == 1


def test_a_quota_above_the_cores_changes_nothing(tree: Tree) -> None:
    _xeon(tree).put("sys/fs/cgroup/cpu.max", "6400000 100000\n")
    assert detect_host(root=tree.root).threads == 4


def test_cgroup_v1_quota(tree: Tree) -> None:
    _xeon(tree).put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n")
    tree.put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert cpu_quota(tree.root) == 3.0
    assert detect_host(root=tree.root).threads == 3


@pytest.mark.parametrize(
    ("place", "text"),
    [("cpu.max", "max 100000\n"), ("cpu/cpu.cfs_quota_us", "-1\n")],
)
def test_no_quota(tree: Tree, place: str, text: str) -> None:
    tree.put(f"sys/fs/cgroup/{place}", text).put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert cpu_quota(tree.root) is None


def test_memory_is_the_least_of_machine_and_cgroups(tree: Tree) -> None:
    tree.memory(1_000_000)
    assert memory_bytes(tree.root) == 1_024_000_000
    tree.put("sys/fs/cgroup/memory.max", "max\n")
    assert memory_bytes(tree.root) == 1_024_000_000
    tree.put("sys/fs/cgroup/memory.max", "512000000\n")
    assert memory_bytes(tree.root) == 512_000_000
    tree.put("sys/fs/cgroup/memory/memory.limit_in_bytes", "256000000\n")
    assert memory_bytes(tree.root) == 256_000_000


def test_an_unlimited_v1_cgroup_is_no_limit(tree: Tree) -> None:
    tree.memory(1_000_000)
    tree.put("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{2**63 - 4096}\n")
    assert memory_bytes(tree.root) == 1_024_000_000


def test_every_figure_says_where_it_comes_from(tree: Tree) -> None:
    host = detect_host(root=_xeon(tree).root)
    for peak in host.peaks.values():
        assert host.sources[peak.dense.source].startswith("Intel Skylake, Cascade Lake server: ")
        assert peak.dense.status == "approximation"
    cited = {figure.source for figure in host.launch_s.values()}
    cited |= {share.source for share in host.efficiency.values()}
    assert cited <= set(host.sources)
    assert not host.calibrated


def test_this_machine_can_be_detected() -> None:
    host = detect_host(1)
    assert host.threads == 1
    assert host.peaks[FP32].dense.value > 0
