"""Micro-networks as a runtime executes them: kernels with their times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import onnx

from mlsys_lint.analysis import analyse
from mlsys_lint.calibration.rows import joined, scatter, steady
from mlsys_lint.errors import MlsysLintError
from mlsys_lint.execution import execute
from mlsys_lint.loading import LARGEST_VALUE, prepare
from mlsys_lint.measure import time_networks
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import DeviceProfile, Kernel, Runtime
from mlsys_lint.records.calibration import MicroNetwork, Terms, Timing
from mlsys_lint.shapes import Bindings

RUN_S: Final = 0.2
"""Seconds in which a network is run over and over, half of them profiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A network as it was executed.

    Attributes:
        total: Steady seconds of an unprofiled run.
        scatter: Median over steady run.
        pairs: Kernels with their seconds in the profile; empty when they could not be told.
    """

    name: str
    total: float
    scatter: float
    pairs: Sequence[tuple[Kernel, float]]


def timing_of(runtime: Runtime) -> Timing:
    """How a runtime's kernels are calibrated.

    Raises:
        MlsysLintError: they can't be.
    """
    if runtime.timing is None:
        raise MlsysLintError(f"runtime {runtime.name} has no kernels to calibrate")
    return runtime.timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Whose kernels are timed on what."""

    host: PluginHost
    runtime: Runtime
    profile: DeviceProfile

    @property
    def terms(self) -> Callable[[Kernel], Terms]:
        """Class and terms of a kernel."""
        return timing_of(self.runtime).terms(self.profile)

    def timed(
        self, networks: Sequence[MicroNetwork], progress: Callable[[str, float], None], done: float
    ) -> tuple[str, list[Timed]]:
        """The runtime's version, and the networks as they were executed."""
        version, results = time_networks(
            [(one.name, one.model) for one in networks],
            threads=self.profile.threads or 1,
            budget_s=RUN_S,
            progress=lambda name, share: progress(name, max(done, share)),
        )
        return version, [
            self._timed(one, result) for one, result in zip(networks, results, strict=True)
        ]

    def _timed(self, network: MicroNetwork, result: Mapping[str, Any]) -> Timed:
        """A network's executed kernels beside those that the runtime's emulation expects."""
        model = prepare(without_weights(network.model), Path(f"{network.name}.onnx"))
        analysis = analyse(model, self.host, Bindings())
        kernels = execute(analysis, self.host, self.runtime, self.profile).kernels
        return Timed(
            name=network.name,
            total=steady(result["seconds"]),
            scatter=scatter(result["seconds"]),
            pairs=joined(kernels, result["kernels"]) or (),
        )


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which large stored tensors are names, types and sizes only."""
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = model.graph
    bare.graph.name = graph.name
    bare.graph.node.extend(graph.node)
    bare.graph.input.extend(graph.input)
    bare.graph.output.extend(graph.output)
    for tensor in graph.initializer:
        small = prod(tensor.dims) <= LARGEST_VALUE
        bare.graph.initializer.append(
            tensor
            if small
            else onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        )
    return bare
