"""A training step of a model in text or in a file, as the pipeline makes it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import onnx

from mlsys_lint.analysis import Analysis, analyse
from mlsys_lint.loading import load, prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Training
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text
from mlsys_lint.training import TrainingOptions

SAMPLES = Path(__file__).parents[2] / "sample_models"


@cache
def host() -> PluginHost:
    return PluginHost(third_party=False)


def train(model: str | onnx.ModelProto, opset: int = 23, **options: Any) -> Training:
    """The step of a model in text or memory; SGD unless the options name another optimizer."""
    proto = model_from_text(model, opset) if isinstance(model, str) else model
    return step_of(analyse(prepare(proto, Path("text.onnx")), host(), Bindings()), **options)


def train_sample(name: str, dims: dict[str, int], **options: Any) -> Training:
    """The step of a sample model."""
    return step_of(analyse(load(SAMPLES / f"{name}.onnx"), host(), Bindings(dims=dims)), **options)


def step_of(analysis: Analysis, **options: Any) -> Training:
    chosen = TrainingOptions(**{"optimizer": "sgd", **options})
    found = report(analysis, host(), CheckOptions(training=chosen)).training
    assert found is not None
    return found
