"""Every node test that onnx gives to backends: shapes, types, values and coverage of our reports.

Each case is analysed with all inputs fed at run time and, where inputs steer a shape, once more
with these inputs stored in the file; a third time with everything stored, for the elements that the
analysis works out itself.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from backend_nodes import Case, Expected, array_of, bindings, cases, dtype_of, loaded, shapes_of
from mlsys_lint.analysis import Analysis, analyse
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import NodeStatus, TensorInfo
from mlsys_lint.shapes import Bindings

CHUNKS: Final = 4
UNCOSTED: Final = {
    # What no file tells the cost of, and why; shapes and types are compared all the same.
    r"test_image_decoder_.*": "the size of an image, and how it is compressed, stand in its bytes",
    r"test_regex_full_match_.*": "a match takes what the pattern and the lengths of texts make it take",
    r"test_(string|strnormalizer)_.*": "texts have any length",
}
UNDETERMINED: Final = {
    # Where less is known than could be, and why. A wrong claim is never excepted.
    r"test_loop11": "the body slices x[i : i + 1]; that this is one element takes symbolic arithmetic",
}


class Verdict(StrEnum):
    """How much of a case could be compared."""

    EXACT = "exact"
    MAXIMUM = "maximum"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of a case.

    Attributes:
        verdict: That of its least known output.
        wrong: Claims that the recordings refute, and failures.
        missing: What should be known and is not.
    """

    verdict: Verdict
    wrong: tuple[str, ...]
    missing: tuple[str, ...]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_shapes_and_types_agree_with_the_recordings(chunk: int) -> None:
    faults = list(_faults(chunk))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_elements_agree_with_the_recordings(chunk: int) -> None:
    host = PluginHost(third_party=False)
    faults = [
        f"{case.name}: {fault}"
        for case in cases()[chunk::CHUNKS]
        for fault in _wrong_elements(case, host)
    ]
    assert not faults, "\n".join(faults)


def test_nearly_every_case_is_compared_exactly() -> None:
    tally: Counter[str] = Counter()
    for chunk in range(CHUNKS):
        for case, comparison in _compared(chunk):
            tally["excepted" if _is_excepted(case) else comparison.verdict] += 1
    counts = ", ".join(f"{count} {kind}" for kind, count in tally.items())
    sys.stdout.write(f"{counts}\n")  # pytest -rP shows it
    names = [case.name for case in cases()]
    patterns = (*UNCOSTED, *UNDETERMINED)
    unused = [one for one in patterns if not any(re.fullmatch(one, name) for name in names)]
    assert not unused
    total = tally.total()
    assert total == len(cases()) > 1500, tally
    # 1 in 6 feeds what steers its shape; these have a second, exact comparison with it stored.
    assert tally[Verdict.EXACT] > 0.8 * total, tally
    assert tally["excepted"] < 0.02 * total, tally


@lru_cache(maxsize=CHUNKS)
def _compared(chunk: int) -> tuple[tuple[Case, Comparison], ...]:
    host = PluginHost(third_party=False)
    return tuple((case, _compare(case, host)) for case in cases()[chunk::CHUNKS])


def _faults(chunk: int) -> Iterator[str]:
    for case, comparison in _compared(chunk):
        yield from (f"{case.name}: {fault}" for fault in comparison.wrong)
        excused = _excused(case, comparison)
        unexcused = (fault for fault in comparison.missing if fault not in excused)
        yield from (f"{case.name}: {fault}" for fault in unexcused)
        if _is_excepted(case) and not excused:
            yield f"{case.name}: nothing is missing: it need not be excepted"


def _excused(case: Case, comparison: Comparison) -> tuple[str, ...]:
    if _matches(UNDETERMINED, case):
        return comparison.missing
    uncosted = comparison.missing if _matches(UNCOSTED, case) else ()
    return tuple(fault for fault in uncosted if "unsupported: " in fault)


def _is_excepted(case: Case) -> bool:
    return _matches(UNCOSTED, case) or _matches(UNDETERMINED, case)


def _matches(patterns: Iterable[str], case: Case) -> bool:
    return any(re.fullmatch(pattern, case.name) for pattern in patterns)


def _compare(case: Case, host: PluginHost) -> Comparison:
    """Analyse a case as fed and, where inputs steer shapes, with these inputs stored."""
    wrong: list[str] = []
    missing: list[str] = []
    verdicts = [Verdict.EXACT]
    for stored in (frozenset[str](), case.steering) if case.steering else (frozenset[str](),):
        analysis = analyse(loaded(case, stored), host, bindings(case))
        run = "stored" if stored else "fed"
        wrong += [f"{run}: {one.message}" for one in analysis.problems]
        sought = [case.expected(at, stored=bool(stored)) for at in range(len(case.outputs))]
        missing += [f"{run}: {one}" for one in _uncosted(analysis, sought)]
        results = zip(analysis.graph.outputs, case.outputs, sought, strict=True)
        for at, (info, truth, expected) in enumerate(results):
            where = f"{run}: output {at}"
            verdicts.append(_verdict(info))
            wrong += [f"{where}: {one}" for one in _refuted(info, truth, expected)]
            missing += [f"{where}: {one}" for one in _unknown(info, truth, expected)]
            if verdicts[-1] is Verdict.UNKNOWN and not _is_explained(analysis, info):
                missing.append(f"{where}: unknown, without a reason")
    worst = max(verdicts, key=list(Verdict).index)
    return Comparison(verdict=worst, wrong=tuple(wrong), missing=tuple(missing))


def _uncosted(analysis: Analysis, sought: Sequence[Expected]) -> Iterator[str]:
    """Nodes that run without a cost; where sizes depend on what is fed, a node may decline."""
    lacking = {NodeStatus.UNSUPPORTED, NodeStatus.FAILED}
    if set(sought) == {Expected.DETERMINED}:
        lacking.add(NodeStatus.DECLINED)
    for one in analysis.costs:
        if one.status in lacking and one.node.repeat > 0:
            yield f"{one.status}: {one.node.op}: {one.reason}"


def _refuted(info: TensorInfo, truth: Any, expected: Expected) -> Iterator[str]:
    """Claims about an output that its recording, or its operator's definition, refutes."""
    if info.dtype not in (None, dtype_of(truth)):
        yield f"dtype {info.dtype}, recorded {dtype_of(truth)}"
    for shape in shapes_of(truth):
        if not _admits(info, shape):
            yield f"shape {info.shape} bounded {set(info.bounded)}, recorded {shape}"
    if expected is Expected.VARYING and _verdict(info) is Verdict.EXACT:
        yield f"shape {info.shape} is claimed, but {expected.value}"


def _unknown(info: TensorInfo, truth: Any, expected: Expected) -> Iterator[str]:
    """What should be known about an output and is not."""
    if info.dtype is None:
        yield "no dtype"
    alike = len(set(shapes_of(truth))) == 1  # the tensors of a sequence may differ
    if expected is Expected.DETERMINED and alike and _verdict(info) is not Verdict.EXACT:
        yield f"shape {info.shape} bounded {set(info.bounded)}, recorded {shapes_of(truth)[0]}"


def _verdict(info: TensorInfo) -> Verdict:
    if not info.is_static:
        return Verdict.UNKNOWN
    return Verdict.MAXIMUM if info.bounded else Verdict.EXACT


def _admits(info: TensorInfo, shape: tuple[int, ...]) -> bool:
    if info.shape is None:
        return True
    if len(info.shape) != len(shape):
        return False
    pairs = enumerate(zip(info.shape, shape, strict=True))
    return all(
        size is None or (extent <= size if axis in info.bounded else extent == size)
        for axis, (size, extent) in pairs
    )


def _is_explained(analysis: Analysis, info: TensorInfo) -> bool:
    """True when the node that writes an output says why its size is not known, or needs no size."""
    for one in analysis.costs:
        if any(output is not None and output.uid == info.uid for output in one.node.outputs):
            is_view = one.cost is not None and one.cost.bytes_written == 0
            return bool(one.reason or one.node.assumptions or is_view or info.kind != "tensor")
    return False


def _wrong_elements(case: Case, host: PluginHost) -> Iterator[str]:
    """What the analysis says of a case whose tensors are all stored, and the recordings refute."""
    analysis = analyse(loaded(case, case.tensors), host, Bindings())
    for at, (info, truth) in enumerate(zip(analysis.graph.outputs, case.outputs, strict=True)):
        yield from (f"output {at}: {one}" for one in _refuted(info, truth, Expected.OPEN))
        if info.value is not None and not _alike(info.value, array_of(truth)):
            yield f"output {at}: elements {info.value}, recorded {array_of(truth)}"


def _alike(found: npt.NDArray[Any], truth: npt.NDArray[Any]) -> bool:
    if found.shape != truth.shape or found.dtype != truth.dtype:
        return False
    if found.dtype.kind in "OUSb":
        return bool(np.array_equal(found, truth))
    wide = np.complex128 if found.dtype.kind == "c" else np.float64
    return np.allclose(found.astype(wide), truth.astype(wide), 1e-3, 1e-5, equal_nan=True)
