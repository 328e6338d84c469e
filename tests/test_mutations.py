"""Damaged models: every run ends in time and memory, with a status and without a traceback."""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import onnx
import pytest
from google.protobuf.message import DecodeError

from peak_memory import run

SEED, RUNS = 20_261_124, 300
TIME_LIMIT_S, MEMORY_LIMIT_BYTES = 20, 2**30
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
MODELS = ("light_squeezenet.onnx", "light_resnet50.onnx", "light_shufflenet.onnx")


class Outcome(NamedTuple):
    status: int
    seconds: float
    peak_bytes: int
    errors: str


def flipped(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 5, 20))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def cut(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    del content[start : start + rng.choice((1, 3, 50, len(content)))]


def spliced(content: bytearray, rng: random.Random) -> None:
    source, target = rng.randrange(len(content)), rng.randrange(len(content))
    size = rng.choice((1, 4, 40, 400))
    content[target : target + size] = content[source : source + size]


def mutants() -> list[bytes]:
    """Half of them any mutation, half only those that protobuf still parses and so go deeper."""
    rng = random.Random(SEED)
    originals = [(LIGHT / name).read_bytes() for name in MODELS]
    found: list[bytes] = []
    while len(found) < RUNS:
        content = bytearray(rng.choice(originals))
        rng.choice((flipped, cut, spliced))(content, rng)
        if len(found) % 2 == 0 or parses(bytes(content)):
            found.append(bytes(content))
    return found


def parses(content: bytes) -> bool:
    try:
        return bool(onnx.ModelProto.FromString(content).graph.node)
    except DecodeError:
        return False


def outcome(path: Path) -> Outcome:
    command = [sys.executable, "-m", "mlsys_lint", str(path), "--format", "json"]
    start = time.monotonic()
    done = run(command)
    return Outcome(done.status, time.monotonic() - start, done.peak_bytes, done.errors)


@pytest.mark.slow
def test_damaged_models_never_break_the_tool(tmp_path: Path) -> None:
    paths = []
    for number, content in enumerate(mutants()):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(content)
        paths.append(path)
    with ThreadPoolExecutor(2) as pool:
        outcomes = dict(zip(paths, pool.map(outcome, paths), strict=True))
    bad = {
        path.name: one
        for path, one in outcomes.items()
        if one.status not in (0, 1, 2)
        or one.seconds > TIME_LIMIT_S
        or one.peak_bytes > MEMORY_LIMIT_BYTES
        or "Traceback" in one.errors
        or "internal error" in one.errors
    }
    assert not bad
    # the deeper half must really reach the analysis
    assert sum(one.status in (0, 1) for one in outcomes.values()) > RUNS / 10
