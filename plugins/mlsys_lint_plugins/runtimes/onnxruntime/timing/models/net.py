"""Building small networks of which every kernel is timed."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 20
_IR: Final = 9
_MICROSOFT: Final = "com.microsoft"
_PATTERN: Final = 1021
"""Values in the block that fills weights; a prime, so that rows of a matrix differ."""


class Net:
    """A graph under construction; layers take and give names of tensors.

    Sizes are tracked, because layers need them: `net.shape[x]`; likewise types, `net.dtype[x]`.
    """

    def __init__(self, name: str, opset: int = OPSET) -> None:
        self.name = name
        self._opset = opset
        self.shape: dict[str, tuple[int, ...]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._weights: list[onnx.TensorProto] = []
        self.dtype: dict[str, int] = {}
        self._outputs: list[str] = []

    def input(self, *shape: int, dtype: int = TensorProto.FLOAT) -> str:
        """An input of the network."""
        name = f"x{len(self._inputs)}"
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return self._known(name, shape, dtype)

    def weight(self, *shape: int, dtype: Any = np.float32, fan_in: int | None = None) -> str:
        """A stored tensor: small values without structure, integers over their whole range."""
        kind = np.dtype(dtype)
        if kind.kind == "f":
            scale = 1 / (fan_in or shape[0]) ** 0.5
            block = np.random.default_rng(0).uniform(-scale, scale, _PATTERN).astype(kind)
        else:
            bounds = np.iinfo(kind)
            block = np.random.default_rng(0).integers(bounds.min, bounds.max, _PATTERN, kind)
        return self.constant(np.resize(block, shape))

    def constant(self, array: Any) -> str:
        """A stored tensor with the given values."""
        values = np.asarray(array)
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return self._known(name, values.shape, self._weights[-1].data_type)

    def integers(self, *values: int) -> str:
        """A stored int64 vector: axes, sizes."""
        return self.constant(np.asarray(values, np.int64))

    def op(
        self,
        op_type: str,
        *inputs: str,
        shape: Sequence[int] | None = None,
        outputs: int = 1,
        **attributes: Any,
    ) -> str:
        """Add a node; its first output has `shape`, or else the shape of the first input.

        `domain` is an attribute of the node like any other; `dtype` is the output's element type.
        """
        domain = attributes.pop("domain", "")
        dtype = attributes.pop("dtype", self.dtype.get(inputs[0], TensorProto.FLOAT))
        names = [f"t{len(self._nodes)}_{place}" for place in range(outputs)]
        self._nodes.append(
            helper.make_node(
                op_type,
                inputs,
                names,
                name=f"{op_type}{len(self._nodes)}",
                domain=domain,
                **attributes,
            )
        )
        sizes = tuple(self.shape[inputs[0]] if shape is None else shape)
        for name in names:
            self._known(name, sizes, dtype)
        return names[0]

    def contrib(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of the domain com.microsoft."""
        return self.op(op_type, *inputs, domain=_MICROSOFT, **attributes)

    def output(self, *names: str) -> None:
        """Keep tensors as results of the network."""
        self._outputs += names

    @property
    def weight_bytes(self) -> int:
        """Bytes of all stored tensors."""
        return sum(len(one.raw_data) for one in self._weights)

    def model(self) -> onnx.ModelProto:
        """The finished network; the last tensor is a result where none was named."""
        names = self._outputs or [self._nodes[-1].output[0]]
        outputs = [
            helper.make_tensor_value_info(name, self.dtype[name], self.shape[name])
            for name in names
        ]
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, outputs, initializer=self._weights
        )
        imports = [helper.make_opsetid("", self._opset), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=_IR)

    def size(self, name: str) -> int:
        """Number of elements."""
        return prod(self.shape[name])

    def _known(self, name: str, shape: Sequence[int], dtype: int) -> str:
        self.shape[name] = tuple(shape)
        self.dtype[name] = dtype
        return name
