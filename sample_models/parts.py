"""What the sample models are made of: seeded weights and checked models from ONNX text."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, parser


class Weights:
    """Draws weights for the text models; each becomes an initializer."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: list[TensorProto] = []

    def add(self, name: str, *shape: int) -> str:
        """A float32 weight with values of a usual size; returns its name."""
        values = self.random.standard_normal(shape).astype(np.float32) * 0.1
        return self.constant(name, values)

    def integers(self, name: str, *values: int) -> str:
        """A constant of 64-bit integers that shapes a result."""
        return self.constant(name, np.array(values, np.int64))

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """A constant with the given values and their type; returns its name."""
        self.tensors.append(numpy_helper.from_array(values, name))
        return name

    def fill(self, name: str, *shape: int, value: float = 0.01) -> str:
        """ONNX text of a float32 weight with one value everywhere: runnable, and small in the file."""
        return filled(name, self.integers(f"{name}_size", *shape), value)


def model(
    name: str,
    inputs: str,
    outputs: str,
    body: str,
    weights: Weights,
    *,
    opset: int = 17,
    **domains: int,
) -> onnx.ModelProto:
    """A checked model from ONNX text and weights.

    Args:
        name: The graph's name.
        inputs: Typed inputs in ONNX text, as in `float[N,4] x`.
        outputs: Typed outputs, likewise.
        body: Nodes in ONNX text.
        weights: The initializers.
        opset: Version of the standard operators.
        domains: Versions of other domains, dots written as `_`: `com_microsoft=1`.
    """
    imports = {"": opset, **{key.replace("_", "."): value for key, value in domains.items()}}
    opsets = [helper.make_opsetid(*one) for one in imports.items()]
    ir_version = helper.find_min_ir_version_for(opsets, ignore_unknown=True)
    listed = ", ".join(f'"{domain}": {version}' for domain, version in imports.items())
    header = (
        f'<ir_version: {ir_version}, opset_import: [{listed}], producer_name: "mlsys-lint samples">'
    )
    built = parser.parse_model(f"{header} {name} ({inputs}) => ({outputs}) {{ {body} }}")
    built.graph.initializer.extend(weights.tensors)
    onnx.checker.check_model(built, full_check=True)
    return built


def filled(name: str, size: str, value: float = 0.01) -> str:
    """ONNX text of a float32 tensor with one value everywhere; `size` names its shape."""
    return f"{name} = ConstantOfShape<value = float[1] {{{value}}}>({size}) "
