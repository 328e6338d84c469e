from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlsys_lint.devices import find_device, load_file, parse_profile
from mlsys_lint.errors import DeviceError
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import DeviceEntry, DeviceProfile, Peak
from mlsys_lint.roofline import contraction_peak, ridge

DEVICES: Mapping[str, DeviceEntry] = PluginHost(third_party=False).devices
NAMES = sorted(DEVICES)
TF32 = {"fp32": "tf32"}

# A complete profile; every test of an error damages one line of it.
BOARD = """\
schema = 1
id = "my-board"
name = "My board"
vendor = "Me"
kind = "npu"

[sources]
sheet = "My board, data sheet, page 3"

[hard]
compute_margin = {v = 1.1, source = "sheet"}
memory_margin = {v = 1.0, source = "sheet"}

[[peak]]
engine = "matrix"
dtype = "fp16"
dense = 4e12
source = "sheet"
status = "spec"

[[memory]]
level = "sram"
bytes = 1048576

[[memory]]
level = "dram"
bytes = 8e9
bw = {v = 34e9, source = "sheet", status = "spec"}

[overhead.launch_us]
run = {v = 5.0, low = 1.0, high = 9.0, source = "sheet", status = "measured"}

[efficiency]
gemm = {low = 0.3, typ = 0.6, high = 0.9, source = "sheet"}

[link.main]
bw_one_way = 1e9
source = "sheet"
"""


def _board(old: str, new: str) -> str:
    assert BOARD.count(old) >= 1
    return BOARD.replace(old, new, 1)


def _load(name: str) -> DeviceProfile:
    return DEVICES[name].load()


def _peak(name: str, dtype: str) -> Peak:
    found = contraction_peak(
        {"fp16": "float16", "bf16": "bfloat16", "fp32": "float", "int8": "int8"}[dtype],
        _load(name),
        {},
    )
    assert found is not None
    return found


# -- shipped profiles ------------------------------------------------------------------------------


def test_there_are_devices_of_every_kind() -> None:
    assert len(DEVICES) >= 12
    assert {entry.kind for entry in DEVICES.values()} == {"cpu", "gpu", "tpu", "npu"}


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_loads_and_agrees_with_its_row_of_the_index(name: str) -> None:
    entry, profile = DEVICES[name], _load(name)
    row = (entry.id, entry.name, entry.vendor, entry.kind)
    assert row == (profile.id, profile.name, profile.vendor, profile.kind)
    assert entry.id == name
    assert profile.runtime in {"none", "onnxruntime-cpu", "onnxruntime-cuda"}


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_a_profile_has_a_source_and_an_order(name: str) -> None:
    profile = _load(name)
    figures = [peak.dense for peak in profile.peaks.values()]
    figures += [level.bandwidth for level in profile.memory if level.bandwidth]
    figures += profile.launch_s.values()
    for figure in figures:
        assert profile.sources[figure.source]
        assert 0 < figure.low <= figure.value <= figure.high
    for share in profile.efficiency.values():
        assert profile.sources[share.source]
        assert 0 < share.low <= share.typ <= share.high <= 1


@pytest.mark.parametrize("name", NAMES)
def test_nominal_rates_never_exceed_hard_ones(name: str) -> None:
    profile = _load(name)
    for peak in profile.peaks.values():
        assert peak.dense.high <= peak.hard
    for level in profile.memory:
        if level.bandwidth is not None:
            assert level.hard_bandwidth is not None
            assert level.bandwidth.high <= level.hard_bandwidth


@pytest.mark.parametrize("name", NAMES)
def test_memory_grows_and_slows_towards_dram(name: str) -> None:
    profile = _load(name)
    assert profile.dram.level == "dram"
    sizes = [level.capacity_bytes for level in profile.memory if level.capacity_bytes is not None]
    rates = [level.bandwidth.value for level in profile.memory if level.bandwidth is not None]
    assert sizes == sorted(sizes)
    assert rates == sorted(rates, reverse=True)


# Ridge points as published next to the data sheets: FLOP/s over bytes/s.
@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("nv-v100-sxm2-32", "fp16", 139),
        ("nv-a100-sxm4-80", "bf16", 153),
        ("nv-h100-sxm5", "bf16", 295),
        ("nv-l4", "bf16", 403),
        ("nv-t4", "fp16", 203),
        ("tpu-v4", "bf16", 229),
        ("tpu-v5e", "bf16", 241),
        ("amd-mi300x", "bf16", 247),
        ("jetson-agx-orin-64", "fp16", 210),
    ],
)
def test_ridge_points_are_the_known_ones(name: str, dtype: str, expected: float) -> None:
    assert ridge(_peak(name, dtype), _load(name)) == pytest.approx(expected, rel=0.01)


# SMs x dense FMA per clock and SM x 2 x boost clock.
@pytest.mark.parametrize(
    ("name", "key", "units", "fma", "clock_hz"),
    [
        ("nv-a100-sxm4-80", ("matrix", "fp16"), 108, 1024, 1.41e9),
        ("nv-a100-sxm4-80", ("matrix", "bf16"), 108, 1024, 1.41e9),
        ("nv-a100-sxm4-80", ("matrix", "tf32"), 108, 512, 1.41e9),
        ("nv-a100-sxm4-80", ("matrix", "int8"), 108, 2048, 1.41e9),
        ("nv-a100-sxm4-80", ("vector", "fp32"), 108, 64, 1.41e9),
        ("nv-a100-sxm4-80", ("vector", "fp64"), 108, 32, 1.41e9),
        ("nv-v100-sxm2-32", ("matrix", "fp16"), 80, 512, 1.53e9),
        ("nv-v100-sxm2-32", ("vector", "fp32"), 80, 64, 1.53e9),
        ("nv-t4", ("matrix", "fp16"), 40, 512, 1.59e9),
    ],
)
def test_a_peak_is_units_times_width_times_clock(
    name: str, key: tuple[str, str], units: int, fma: int, clock_hz: float
) -> None:
    profile = _load(name)
    assert profile.units == units
    peak = profile.peaks[key].dense.value
    assert peak == pytest.approx(units * fma * 2 * clock_hz, rel=0.01)


@pytest.mark.parametrize(
    "name",
    [
        "nv-a100-sxm4-80",
        "nv-a10",
        "nv-l4",
        "nv-h100-sxm5",
        "nv-h200-sxm",
        "nv-b200",
        "nv-rtx3090",
        "nv-rtx4090",
        "jetson-agx-orin-64",
        "jetson-orin-nano-8",
        "amd-mi300x",
    ],
)
def test_tf32_runs_at_half_of_bf16_and_fp16_at_bf16(name: str) -> None:
    rates = {key: peak.dense.value for key, peak in _load(name).peaks.items()}
    assert rates["matrix", "tf32"] == pytest.approx(rates["matrix", "bf16"] / 2, rel=0.01)
    assert rates["matrix", "fp16"] == rates["matrix", "bf16"]


@pytest.mark.parametrize("name", ["nv-a100-sxm4-80", "nv-a10", "nv-l4", "nv-h100-sxm5"])
def test_int8_runs_at_twice_bf16(name: str) -> None:
    rates = {key: peak.dense.value for key, peak in _load(name).peaks.items()}
    assert rates["matrix", "int8"] == pytest.approx(2 * rates["matrix", "bf16"], rel=0.01)


def test_figures_are_dense_not_sparse() -> None:
    # Twice these stand first in the data sheets, "with sparsity".
    assert _peak("nv-h100-sxm5", "bf16").dense.value == pytest.approx(989e12, rel=0.01)
    assert _peak("nv-l4", "bf16").dense.value == pytest.approx(121e12, rel=0.01)
    assert _peak("nv-a100-sxm4-80", "int8").dense.value == pytest.approx(624e12, rel=0.01)


# -- no fallback between types ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("tpu-v4", "float"),
        ("tpu-v5e", "float16"),
        ("nv-v100-sxm2-32", "bfloat16"),
        ("nv-t4", "bfloat16"),
        ("nv-h100-sxm5", "int4"),
        ("nv-a100-sxm4-80", "float8e4m3fn"),
        ("graphcore-gc200", "float"),
    ],
)
def test_a_device_borrows_no_peak_from_another_type(name: str, dtype: str) -> None:
    assert contraction_peak(dtype, _load(name), TF32) is None


def test_fast_math_needs_the_runtimes_word() -> None:
    a100 = _load("nv-a100-sxm4-80")
    plain, fast = (contraction_peak("float", a100, maths) for maths in ({}, TF32))
    assert plain is not None
    assert fast is not None
    assert (plain.engine, plain.dtype) == ("vector", "fp32")
    assert (fast.engine, fast.dtype) == ("matrix", "tf32")


def test_fast_math_changes_nothing_where_the_device_lacks_the_fast_type() -> None:
    found = contraction_peak("float", _load("nv-v100-sxm2-32"), TF32)
    assert found is not None
    assert (found.engine, found.dtype) == ("vector", "fp32")


def test_unsigned_data_run_at_the_signed_rate() -> None:
    a100 = _load("nv-a100-sxm4-80")
    for unsigned, signed in (("uint8", "int8"), ("uint4", "int4")):
        assert contraction_peak(unsigned, a100, {}) is a100.peaks["matrix", signed]


# -- finding ---------------------------------------------------------------------------------------


def test_an_unknown_name_suggests_close_ones() -> None:
    with pytest.raises(DeviceError, match=r"unknown device 'nv-a100'.*nv-a100-sxm4-80.*lists all"):
        find_device("nv-a100", DEVICES)


def test_a_name_like_no_other_still_says_where_the_list_is() -> None:
    with pytest.raises(DeviceError) as error:
        find_device("zzzzzz", DEVICES)
    assert str(error.value) == "unknown device 'zzzzzz': `mlsys-lint devices` lists all"


def test_a_file_of_the_users_own_is_given_by_path(tmp_path: Path) -> None:
    place = tmp_path / "board.toml"
    place.write_text(BOARD, encoding="utf-8")
    profile = find_device(str(place), DEVICES)
    assert (profile.id, profile.kind, profile.runtime) == ("my-board", "npu", "none")
    peak = profile.peaks["matrix", "fp16"]
    assert peak.dense.value == 4e12
    assert peak.hard == pytest.approx(4.4e12)
    assert profile.dram.hard_bandwidth == 34e9
    assert profile.dram.capacity_bytes == 8_000_000_000
    assert profile.links == {"main": 1e9}
    assert profile.launch_s["run"].value == pytest.approx(5e-6)
    assert profile.efficiency["gemm"].typ == 0.6
    assert profile.efficiency["stream"].source != "sheet"  # the prior of the kind
    assert profile.sources["sheet"] == "My board, data sheet, page 3"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"none\.toml: can't be read"):
        find_device(str(tmp_path / "none.toml"), DEVICES)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    place = tmp_path / "binary.toml"
    place.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeviceError, match=r"binary\.toml: can't be read"):
        load_file(place)


# -- errors ----------------------------------------------------------------------------------------

PEAK_1, DRAM = "[[peak]] 1", "[[memory]] 2"
SECOND_PEAK = '[[peak]]\nengine = "matrix"\ndtype = "fp16"\ndense = 1.0\nsource = "sheet"\n'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("schema = 1", "schema = ", ("not TOML", "line 1")),
        ("schema = 1", "schema = 2", ("schema must be 1", "got 2")),
        ("schema = 1\n", "", ("schema must be 1", "got None")),
        ('kind = "npu"', 'kind = "npu"\nflops = 3', ("unknown key 'flops'",)),
        ('kind = "npu"', 'kind = "dsp"', ("kind must be one of cpu, gpu, tpu, npu", "'dsp'")),
        ('kind = "npu"\n', "", ("kind is missing",)),
        ('id = "my-board"\n', "", ("id is missing",)),
        ('name = "My board"', "name = 3", ("name is missing: a text",)),
        ('vendor = "Me"', 'vendor = ""', ("vendor is missing",)),
        ("dense = 4e12", "dense = 4e12\nsparse = 8e12", (PEAK_1, "unknown key 'sparse'")),
        ("bytes = 8e9", "bytes = 8e9\nlatency = 3", (DRAM, "unknown key 'latency'")),
        ("{v = 34e9,", "{v = 34e9, bus = 3,", (f"{DRAM} bw", "unknown key 'bus'")),
        ('source = "sheet"\nstatus', "status", (PEAK_1, "source is missing")),
        ('source = "sheet"\nstatus', 'source = "web"\nstatus', (PEAK_1, "source 'web'")),
        ('"sheet"\nstatus = "spec"\n', '"sheet"\n', (PEAK_1, "status is missing")),
        ('status = "spec"', 'status = "rumour"', (PEAK_1, "status must be one of", "'rumour'")),
        ("dense = 4e12\n", "", (PEAK_1, "dense must be a number > 0", "None")),
        ("dense = 4e12", "dense = 0", (PEAK_1, "dense must be > 0", "got 0")),
        ("dense = 4e12", "dense = -4e12", (PEAK_1, "dense must be > 0")),
        ("dense = 4e12", "dense = nan", (PEAK_1, "dense must be > 0", "nan")),
        ("dense = 4e12", "dense = inf", (PEAK_1, "dense must be > 0", "inf")),
        ("dense = 4e12", 'dense = "4e12"', (PEAK_1, "dense must be a number > 0", "'4e12'")),
        ("dense = 4e12", "dense = true", (PEAK_1, "dense must be a number > 0", "True")),
        ('dtype = "fp16"', 'dtype = "half"', (PEAK_1, "dtype must be one of", "'half'")),
        ('engine = "matrix"', 'engine = "tensor"', (PEAK_1, "engine must be one of", "'tensor'")),
        ("[[memory]]", f'{SECOND_PEAK}status = "spec"\n[[memory]]', ("[[peak]] 2", "given twice")),
        ("{v = 34e9,", "{v = 34e9, low = 35e9,", (f"{DRAM} bw", "low <= v <= high")),
        ("{v = 34e9,", "{v = 34e9, high = 33e9,", (f"{DRAM} bw", "low <= v <= high")),
        ("bytes = 8e9", 'managed = "by hand"', (DRAM, "managed must be one of", "'by hand'")),
        ("bytes = 8e9", "bytes = 0", (DRAM, "bytes must be > 0")),
        ("bytes = 8e9", "bytes = true", (DRAM, "bytes must be a number > 0")),
        ('level = "dram"', 'level = "hbm"', ("[[memory]]", "the last level must be dram")),
        ('bw = {v = 34e9, source = "sheet", status = "spec"}', "", ("[[memory]]", "with its bw")),
        ('bw = {v = 34e9, source = "sheet", status = "spec"}', "bw = 34e9", ("bw", "a table")),
        ('memory_margin = {v = 1.0, source = "sheet"}', "", ("[hard]", "memory_margin is missing")),
        ("{v = 1.1,", "{v = 0.9,", ("[hard]", "compute_margin must be at least 1", "0.9")),
        (
            '{v = 1.1, source = "sheet"}',
            "{v = 1.1}",
            ("[hard] compute_margin", "source is missing"),
        ),
        ('{v = 1.1, source = "sheet"}', "1.1", ("[hard]", "compute_margin", "a table")),
        ("low = 1.0, high = 9.0", "low = 6.0, high = 9.0", ("[overhead.launch_us] run", "low <=")),
        ("typ = 0.6", "typ = 0.95", ("[efficiency] gemm", "low <= typ <= high")),
        ("typ = 0.6, ", "", ("[efficiency] gemm", "typ must be a number")),
        ("typ = 0.6", "mean = 0.6", ("[efficiency] gemm", "unknown key 'mean'")),
        ("bw_one_way = 1e9", "", ("[link.main]", "bw_one_way must be a number")),
        # Whole tables of another type: a message, not a traceback.
        (
            '[sources]\nsheet = "My board, data sheet, page 3"',
            "sources = 3",
            ("[sources]", "table"),
        ),
        ('kind = "npu"', 'kind = "npu"\nsoftware_devices = "two"', ("software_devices", "'two'")),
        ('kind = "npu"', 'kind = "npu"\nthreads = "many"', ("threads", "'many'")),
        ('kind = "npu"', 'kind = "npu"\nruntime = 3', ("runtime", "3")),
        ("run = {v = 5.0, low", "idle = 3\nrun = {v = 5.0, low", ("launch_us] idle", "a table")),
        ("bw_one_way = 1e9", "bw_one_way = 1e9\nlanes = 3", ("[link.main]", "unknown key 'lanes'")),
        (
            "[hard]",
            '[hard]\nclock = {v = 1.1, source = "sheet"}',
            ("[hard]", "unknown key 'clock'"),
        ),
        ("run = {v = 5.0,", "run = {v = 5.0, p99 = 3,", ("launch_us] run", "unknown key 'p99'")),
    ],
)
def test_an_error_names_place_table_and_key(old: str, new: str, words: tuple[str, ...]) -> None:
    with pytest.raises(DeviceError) as error:
        parse_profile(_board(old, new), "board.toml", {})
    message = str(error.value)
    assert message.startswith("board.toml: ")
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("table", ["hard", "peak", "memory"])
def test_a_missing_table_is_named(table: str) -> None:
    begin = re.escape(f"[[{table}]]" if table != "hard" else "[hard]")
    text = re.sub(rf"{begin}\n(?:[^\n]+\n)+", "", BOARD)
    with pytest.raises(DeviceError, match=begin):
        parse_profile(text, "board.toml", {})


@pytest.mark.parametrize("table", ["hard", "peak", "memory", "link", "overhead", "efficiency"])
@pytest.mark.parametrize("value", ["3", '"text"', "[3]"])
def test_a_table_of_another_type_is_an_error_not_a_traceback(table: str, value: str) -> None:
    kept = [part for part in BOARD.split("\n\n") if not re.match(rf"\[+{table}[.\]]", part)]
    with pytest.raises(DeviceError, match=table):
        parse_profile(f"{table} = {value}\n" + "\n\n".join(kept), "board.toml", {})
