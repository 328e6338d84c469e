"""onnx's own backend node tests as models to analyse, and what their outputs must be.

Which outputs a file determines follows from the operators' definitions alone: `STEERING` names the
inputs that steer a shape (the target of Reshape, the axes of Squeeze ...), `DATA_DEPENDENT` the
outputs whose extent depends on elements of data; the elements of a sequence are as declared.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from mlsys_lint import dtypes
from mlsys_lint.loading import LoadedModel, prepare
from mlsys_lint.shapes import Bindings

STEERING: Final[Mapping[str, tuple[int, ...]]] = {
    # operator -> inputs whose elements decide the shape of an output
    **dict.fromkeys(["AffineGrid", "CenterCropPad", "Expand", "OneHot", "Reshape"], (1,)),
    **dict.fromkeys(["Split", "SplitToSequence", "Squeeze", "Tile", "TopK", "Unsqueeze"], (1,)),
    **dict.fromkeys(["BlackmanWindow", "ConstantOfShape", "HammingWindow", "HannWindow"], (0,)),
    **dict.fromkeys(["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax"], (1,)),
    **dict.fromkeys(["ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"], (1,)),
    **dict.fromkeys(["ReduceSumSquare", "Upsample"], (1,)),
    "Col2Im": (1, 2),
    "DFT": (1, 2),  # the axis only where its length changes; see _steers
    "If": (0,),  # only where the branches differ; see _steers
    "Loop": (0, 1),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1),
    "NonMaxSuppression": (2,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Resize": (2, 3),  # not roi: the reference and runtimes scale the whole extent
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
}
DATA_DEPENDENT: Final[Mapping[str, tuple[int, ...]]] = {
    # operator -> outputs whose extents depend on the elements of data
    **dict.fromkeys(["Compress", "ImageDecoder", "NonMaxSuppression", "NonZero"], (0,)),
    **dict.fromkeys(["StringNormalizer", "StringSplit"], (0,)),
    "Unique": (0, 1, 3),  # not 2, the inverse: one index for each entry
}
_EXPANDED: Final = re.compile(r"_expanded(_ver\d+|_function)*$")


class Expected(Enum):
    """What the operators' definitions say about the shape of an output."""

    DETERMINED = "it follows from what the file and the input sizes say"
    VARYING = "it depends on what is fed"
    OPEN = "the file says nothing about the elements of a sequence"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A backend test: a model, what it was fed and what came out.

    Attributes:
        steering: Names of graph inputs that steer a shape.
        dependent: Positions of graph outputs whose extents depend on data.
    """

    name: str
    model: onnx.ModelProto
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    steering: frozenset[str]
    dependent: frozenset[int]

    def expected(self, position: int, *, stored: bool) -> Expected:
        """What is said about an output where the steering inputs are fed, or stored."""
        if position in self.dependent or (self.steering and not stored):
            return Expected.VARYING
        kinds = [value.type for value in self.model.graph.input]
        is_open = any(not one.HasField("tensor_type") and not _is_static(one) for one in kinds)
        return Expected.OPEN if is_open else Expected.DETERMINED

    @property
    def tensors(self) -> frozenset[str]:
        """Names of the graph inputs that can be stored."""
        inputs = self.model.graph.input
        return frozenset(value.name for value in inputs if value.type.HasField("tensor_type"))


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Every backend node test of the installed onnx, in the order of names."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # generators overflow and divide by zero on purpose
        found = sorted(collect_testcases(None), key=lambda one: one.name)
    by_name = {one.name: one for one in found}
    return tuple(_case(one, by_name.get(_EXPANDED.sub("", one.name), one)) for one in found)


def _case(test: Any, parent: Any) -> Case:
    """A case; the body of a function has the inputs and outputs of its operator, the parent."""
    inputs, outputs = test.data_sets[0]
    names = [value.name for value in test.model.graph.input]
    return Case(
        name=test.name,
        model=test.model,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        steering=frozenset(names[place] for place in _steering(parent.model.graph)),
        dependent=frozenset(_dependent(parent.model.graph)),
    )


def _steering(graph: onnx.GraphProto) -> Iterator[int]:
    names = [value.name for value in graph.input]
    for node in graph.node:
        for position in STEERING.get(node.op_type, ()):
            if position < len(node.input) and node.input[position] in names and _steers(node):
                yield names.index(node.input[position])


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def _steers(node: onnx.NodeProto) -> bool:
    attributes = _attributes(node)
    if node.op_type == "If":
        branches = (attributes["then_branch"].output, attributes["else_branch"].output)
        return any(one.type != other.type for one, other in zip(*branches, strict=True))
    if node.op_type == "DFT":
        has_length = len(node.input) > 1 and bool(node.input[1])
        return has_length or bool(attributes.get("onesided"))
    return True


def _dependent(graph: onnx.GraphProto) -> Iterator[int]:
    names = [value.name for value in graph.output]
    for node in graph.node:
        if node.op_type == "StringNormalizer" and "stopwords" not in _attributes(node):
            continue  # nothing is removed
        for position in DATA_DEPENDENT.get(node.op_type, ()):
            if position < len(node.output) and node.output[position] in names:
                yield names.index(node.output[position])


def loaded(case: Case, stored: AbstractSet[str]) -> LoadedModel:
    """The model without declared result types, some of its inputs stored as they were fed."""
    proto = onnx.ModelProto()
    proto.CopyFrom(case.model)
    _undeclare(proto.graph)
    fed = zip(case.model.graph.input, case.inputs, strict=True)
    proto.graph.initializer.extend(
        _tensor(value, info.name) for info, value in fed if info.name in stored
    )
    kept = [info for info in proto.graph.input if info.name not in stored]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    return prepare(proto, Path(f"{case.name}.onnx"))


def _undeclare(graph: onnx.GraphProto) -> None:
    """Take out what a graph, and the bodies in it, say about the types of their results.

    SequenceMap's body keeps them: they are the element types of the sequences that it makes.
    """
    for value in graph.output:
        value.ClearField("type")
    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") and node.op_type != "SequenceMap":
                _undeclare(attribute.g)


def bindings(case: Case) -> Bindings:
    """The sizes of the recorded inputs, where the model leaves them open."""
    shapes = {}
    for value, array in zip(case.model.graph.input, case.inputs, strict=True):
        if value.type.HasField("tensor_type") and not _is_static(value.type):
            shapes[value.name] = shapes_of(array)[0]
    return Bindings(inputs=shapes)


def _is_static(kind: onnx.TypeProto) -> bool:
    """True when a type says all sizes of its (elements') tensor."""
    while (which := kind.WhichOneof("value")) in ("sequence_type", "optional_type"):
        kind = getattr(kind, which).elem_type
    tensor = kind.tensor_type
    return tensor.HasField("shape") and all(one.HasField("dim_value") for one in tensor.shape.dim)


def _tensor(value: Any, name: str) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    is_tensor = isinstance(value, onnx.TensorProto)
    copy.CopyFrom(value if is_tensor else numpy_helper.from_array(np.asarray(value)))
    copy.name = name
    return copy


def array_of(value: Any) -> npt.NDArray[Any]:
    """The elements of a recorded tensor."""
    return np.asarray(
        numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    )


def dtype_of(value: Any) -> str | None:
    """ONNX's name of the element type of a recorded value."""
    if isinstance(value, list):
        return dtype_of(value[0])
    if isinstance(value, onnx.TensorProto):
        return dtypes.name_of(value.data_type)
    return dtypes.name_of(int(onnx.helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype)))


def shapes_of(value: Any) -> list[tuple[int, ...]]:
    """Shape of a recorded tensor, or those of the tensors in a sequence."""
    if isinstance(value, list):
        return [shape for one in value for shape in shapes_of(one)]
    return [tuple(value.dims) if isinstance(value, onnx.TensorProto) else np.asarray(value).shape]
