"""Whole language models in ONNX Runtime: shapes, the cache, causality, a denoising step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from sample_models.reports import FOLDER, Arrays, report, shapes

pytestmark = pytest.mark.ort
SIZES: Mapping[str, Mapping[str, int]] = {
    "bert_base": {"B": 2, "S": 6},
    "gpt2": {"B": 2, "S": 3, "P": 4},
    "diffusion_step": {"B": 2, "S": 6},
    "t5_small": {"B": 2, "S": 6, "T": 4},
}


def run(name: str, feeds: Arrays, wanted: list[str], *, drawn: bool = False) -> Arrays:
    """Values that ONNX Runtime computes; with `drawn` filled weights become inputs of random values.

    Without optimization, so that the weights are not held twice.
    """
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load(FOLDER / f"{name}.onnx")
    weights = draw_weights(model) if drawn else {}
    results = {value.name for value in model.graph.output}
    for added in set(wanted) - results:
        model.graph.output.add(name=added)
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # the shapes of drawn weights are not used
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(wanted, session.run(wanted, feeds | weights), strict=True))


def draw_weights(model: onnx.ModelProto) -> Arrays:
    """Makes inputs of the filled weights; their values, the same for the same model."""
    random = np.random.default_rng(3)
    sizes = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    weights: Arrays = {}
    for node in [one for one in model.graph.node if one.op_type == "ConstantOfShape"]:
        (weight,), shape = node.output, sizes[node.input[0]].tolist()
        weights[weight] = random.standard_normal(shape, np.float32) * np.float32(0.1)
        model.graph.input.append(
            onnx.helper.make_tensor_value_info(weight, onnx.TensorProto.FLOAT, shape)
        )
        model.graph.node.remove(node)
    return weights


def ids(*shape: int) -> NDArray[np.int64]:
    """Token numbers, the same in every run."""
    return np.random.default_rng(2).integers(0, 1_000, shape)


def feeds_of(name: str) -> Arrays:
    if name == "bert_base":
        return {"ids": ids(2, 6), "segments": ids(2, 6) % 2}
    if name == "t5_small":
        return {"source": ids(2, 6), "target": ids(2, 4)}
    if name == "diffusion_step":
        return {"ids": ids(2, 6)}
    return {"ids": ids(2, 3), **cache(2, 4)}


def cache(batch: int, past: int) -> Arrays:
    zeros = np.zeros((batch, 12, past, 64), np.float32)
    return {f"past_{name}{layer}": zeros for layer in range(1, 13) for name in "kv"}


@pytest.mark.parametrize("name", SIZES)
def test_shapes_are_those_of_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [part for key, size in SIZES[name].items() for part in ("--dim", f"{key}={size}")]
    document = report(capsys, name, *options)
    filled = [
        one["outputs"][0]["name"]
        for one in document["nodes"]
        if one["op"] == "ai.onnx::ConstantOfShape"
    ]
    expected = {key: shape for key, shape in shapes(document).items() if key not in filled}
    found = run(name, feeds_of(name), list(expected))
    assert {key: list(value.shape) for key, value in found.items()} == expected


def test_a_decode_step_gives_what_a_longer_prefill_gives() -> None:
    tokens = ids(1, 6)
    present = [f"present_{name}{layer}" for layer in range(1, 13) for name in "kv"]
    whole = run("gpt2", {"ids": tokens, **cache(1, 0)}, ["logits"], drawn=True)
    start = run("gpt2", {"ids": tokens[:, :5], **cache(1, 0)}, present, drawn=True)
    past = {name.replace("present", "past"): start[name] for name in present}
    step = run("gpt2", {"ids": tokens[:, 5:], **past}, ["logits"], drawn=True)
    assert np.std(whole["logits"]) > 0.1
    assert np.allclose(step["logits"], whole["logits"], atol=1e-3)


def test_the_decoder_sees_its_past_and_all_of_the_source() -> None:
    feeds = feeds_of("t5_small")
    before = run("t5_small", feeds, ["logits"], drawn=True)["logits"]
    for changed, at, same in (
        ("target", 2, [True, True, False, False]),
        ("source", 5, [False] * 4),
    ):
        other = {**feeds, changed: feeds[changed].copy()}
        other[changed][:, at] += 1
        after = run("t5_small", other, ["logits"], drawn=True)["logits"]
        assert [np.allclose(before[:, t], after[:, t], atol=1e-4) for t in range(4)] == same


def test_a_denoising_step_sets_masked_tokens_only() -> None:
    given = np.array([[5, 50_256, 7, 50_256]])
    values = run("diffusion_step", {"ids": given}, ["next", "p", "accepted"], drawn=True)
    probability = values["p"].max(-1)
    surest = max((1, 3), key=lambda at: float(probability[at]))
    enough = [at for at in (1, 3) if at == surest or probability[at] >= 0.9]
    assert np.flatnonzero(values["accepted"]).tolist() == enough
    expected = given.copy()
    expected[0, enough] = values["p"].argmax(-1)[enough]
    assert values["next"].tolist() == expected.tolist()
