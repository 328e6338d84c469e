"""The profile file: what is written is read back, and what is wrong is named."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from mlsys_lint.calibration.document import to_toml
from mlsys_lint.devices import find_device, load_file, parse_profile
from mlsys_lint.errors import DeviceError
from mlsys_lint.host import detect_host
from mlsys_lint.records import Calibration, DeviceProfile, KernelModel, Quantity

QUANTITIES = {"flop": Quantity(unit="FLOP", meaning="work of a kernel", bound="compute")}.get


def _profile(threads: int = 1) -> DeviceProfile:
    model = KernelModel(
        parameters={"flop": 8.6e-12 / threads, "odd": 0.0},
        cases={"flop": 78, "odd": 3},
        kernels=78,
        scatter=0.03,
        shift=0.02,
    )
    calibration = Calibration(
        runtime="onnxruntime-cpu",
        version="1.32.0",
        threads=threads,
        cpu='A "CPU"',
        flags=("avx2", "avx512f"),
        run_s=2e-6,
        drift=0.02,
        classes={"conv": model, "unary:Relu": model},
        flop_per_s={"fp32": 1.2e11},
        bytes_per_s=2e10,
        left_out=("odd_network",),
        noise=("the machine got 5 % slower",),
        seconds=41.5,
    )
    return replace(detect_host(1), threads=threads, calibration=calibration)


def test_a_profile_comes_back_as_it_was() -> None:
    profile = _profile()
    found = parse_profile(to_toml([profile], QUANTITIES), "host.toml", {})
    assert found.calibration == profile.calibration
    assert found.peaks == profile.peaks
    assert found.memory == profile.memory
    assert (found.vector_lanes, found.threads, found.id) == (profile.vector_lanes, 1, "host")


def test_each_number_of_threads_has_its_table(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text(to_toml([_profile(2), _profile(1)], QUANTITIES), encoding="utf-8")
    one, two = (load_file(path, threads) for threads in (1, 2))
    assert (one.threads, two.threads) == (1, 2)
    assert load_file(path).threads == 2, "the largest, where none is named"
    with pytest.raises(DeviceError, match=r"calibrated for 1, 2 threads, not for 4; calibrate"):
        load_file(path, 4)


def test_parameters_stand_with_unit_cases_and_meaning() -> None:
    text = to_toml([_profile()], QUANTITIES)
    line = next(one for one in text.splitlines() if one.startswith("term.flop"))
    assert line == ('term.flop = { s = 8.6e-12, unit = "s/FLOP", cases = 78 }  # work of a kernel')


def test_the_saved_profile_is_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSYS_LINT_HOME", str(tmp_path))
    assert not find_device("host", {}, threads=1).calibrated
    (tmp_path / "host.toml").write_text(to_toml([_profile()], QUANTITIES), encoding="utf-8")
    assert find_device("host", {}).calibrated
    assert find_device("host", {}, threads=1).calibrated


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("s = 8.6e-12", "s = -1.0", "-1.0 is no number of 0 or more"),
        ("s = 8.6e-12", 's = "fast"', "'fast' is no number of 0 or more"),
        ("run_s = 2e-06", "", "run_s is missing"),
        ('runtime = "onnxruntime-cpu"\nversion', "version", "runtime is missing"),
    ],
)
def test_a_wrong_calibration_is_refused(old: str, new: str, problem: str) -> None:
    text = to_toml([_profile()], QUANTITIES)
    assert old in text
    with pytest.raises(DeviceError, match=problem):
        parse_profile(text.replace(old, new), "host.toml", {})


def test_the_file_is_toml_of_one_table_for_each_number_of_threads() -> None:
    document = tomllib.loads(to_toml([_profile()], QUANTITIES))
    assert list(document) == ["threads"]
    assert set(document["threads"]["1"]["calibration"]["class"]) == {"conv", "unary:Relu"}
