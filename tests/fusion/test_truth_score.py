"""The score of a prediction, and what else is done with a truth."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from fusion.truth import Predicted, score
from fusion.truth_runtime import RuntimeFailedError, save_graphs
from fusion.truth_text import truth_of_text

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.ort


def test_score_counts_kernels_by_what_they_do(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        """(float[2,3,4] x, float[4,5] w, float[5] b) => (float[2,3,5] z)
        { i = Identity(x) y = MatMul(i, w) z0 = Add(b, y) z = Neg(z0) }""",
    )
    # What runs: Reshape (i), Gemm (1, 2), Reshape (z0), Neg (3). The Identity does not count, and
    # the name of either side of it will do for an anchor.
    said = [
        Predicted("Reshape", "", frozenset(), "i"),
        Predicted("FusedMatMul", "com.microsoft", frozenset({0, 1, 2})),
        Predicted("Neg", "ai.onnx", frozenset({3})),
        Predicted("Relu", "", frozenset({2})),
    ]
    result = score(found, said)
    assert (result.matched, result.same_op, result.truth, result.predicted) == (3, 2, 4, 4)
    assert (result.recall, result.precision) == (0.75, 0.75)
    tallies = {name: (one.hits, one.missed, one.false) for name, one in result.by_op.items()}
    assert tallies == {
        "Gemm": (0, 1, 0),
        "Neg": (1, 0, 0),
        "Relu": (0, 0, 1),
        "Reshape": (1, 1, 0),
        "com.microsoft::FusedMatMul": (0, 0, 1),
    }
    assert result.by_rule["MatMul+Add -> Gemm"].missed == 1
    assert result.by_rule["inserted -> Reshape"].hits == 1


def test_failure_of_the_runtime_is_an_error_of_that_model(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailedError, match="NoSuchOperator"):
        truth_of_text(tmp_path, "(float[2] x) => (float[2] z) { z = NoSuchOperator(x) }")


def test_hanging_model_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.parser.parse_model('<ir_version: 8, opset_import: ["": 17]> g () => () {}'), path
    )
    with pytest.raises(RuntimeFailedError, match=r"no answer in 0\.01 s"):
        save_graphs(path, tmp_path, timeout_s=0.01)
