"""Path -> ModelProto without weight data. External data is never opened."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from mlsys_lint.errors import ModelError
from mlsys_lint.operators import normal_domain

LARGEST_VALUE: Final = 1024
"""Elements of a constant whose values shape inference may need; larger ones lose their data."""
_PROTOBUF_LIMIT: Final = 2**31 - 1
_DATA_FIELDS: Final = [
    "raw_data",
    "float_data",
    "int32_data",
    "int64_data",
    "double_data",
    "uint64_data",
    "string_data",
]


_PLAIN: Final = frozenset(
    [
        *(onnx.AttributeProto.INT, onnx.AttributeProto.INTS, onnx.AttributeProto.FLOAT),
        *(onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRING, onnx.AttributeProto.STRINGS),
    ]
)
"""Attributes that hold neither tensors nor graphs. Old files may leave the type open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A parsed model whose large tensors have kept their type and shape only."""

    path: Path
    proto: onnx.ModelProto
    opsets: dict[str, int]


def model_paths(arguments: Sequence[str]) -> tuple[Path, ...]:
    """Files named by the arguments: files, folders (searched for *.onnx) and glob patterns.

    Raises:
        ModelError: an argument matches nothing.
    """
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            inside = sorted(path.rglob("*.onnx"))
            if not inside:
                raise ModelError(f"{argument}: the folder holds no .onnx file; name a model")
            found += inside
        elif not path.exists() and any(mark in argument for mark in "*?["):
            # glob, not Path.glob: the pattern may be absolute
            matches = sorted(Path(match) for match in glob.glob(argument, recursive=True))  # noqa: PTH207
            if not matches:
                raise ModelError(f"{argument}: no file matches; check the pattern")
            found += [match for match in matches if match.is_file()]
        else:
            found.append(path)
    return tuple(dict.fromkeys(found))


def load(path: Path) -> LoadedModel:
    """Read and check a model file; weights stay unread (external) or are dropped (embedded).

    Raises:
        ModelError: the file can't be analysed; the message names the fault and the remedy.
    """
    proto = _parse(_read(path), path)
    return prepare(proto, path)


def prepare(proto: onnx.ModelProto, path: Path) -> LoadedModel:
    """Check a parsed model and drop the data of its large tensors, in place."""
    _check_versions(proto, path)
    _check_texts(proto, path)
    for tensor in _tensors(proto):
        sizes = tensor.dims
        if sizes and min(sizes) < 0:
            raise ModelError(f"{path}: tensor {tensor.name!r} has a negative size; export it again")
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_location(tensor, path)
        if prod(sizes) > LARGEST_VALUE:
            _drop_data(tensor)
    return LoadedModel(path=path, proto=proto, opsets=_opsets(proto, path))


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ModelError(f"{path}: is a folder; name a model file")
        size = path.stat().st_size
        if size > _PROTOBUF_LIMIT:
            raise ModelError(
                f"{path}: {size} bytes exceed the 2 GiB that protobuf can hold; "
                "save the weights as external data"
            )
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror or error}") from error
    if not content:
        raise ModelError(f"{path}: the file is empty; export the model again")
    return content


def _parse(content: bytes, path: Path) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(
            f"{path}: not an ONNX model, or a truncated one (protobuf can't parse it); "
            "check the file, or export it again"
        ) from error
    return proto


def _check_versions(proto: onnx.ModelProto, path: Path) -> None:
    if not proto.HasField("graph") or not (
        proto.graph.node or proto.graph.output or proto.graph.input
    ):
        raise ModelError(f"{path}: holds no graph; is it an ONNX model?")
    if not 1 <= proto.ir_version <= onnx.IR_VERSION:
        raise ModelError(
            f"{path}: IR version {proto.ir_version} is unknown to onnx {onnx.__version__}, "
            f"which reads 1 to {onnx.IR_VERSION}; upgrade onnx or export for an older version"
        )


def _check_texts(proto: onnx.ModelProto, path: Path) -> None:
    """Texts of a damaged file may not be UTF-8: protobuf then hands out bytes."""
    functions = [text for one in proto.functions for text in (one.name, one.domain, one.overload)]
    try:  # joining refuses bytes; texts of nodes are looked at where they are read, on the walk
        "".join([one.domain for one in proto.opset_import] + functions)
        "".join(_symbols(proto.graph))
    except TypeError as error:
        message = f"{path}: a name in it is not UTF-8; the file is damaged"
        raise ModelError(message) from error


def _symbols(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of sizes; those of values are looked at on the walk."""
    for value in graph.input:
        yield from [dim.dim_param for dim in value.type.tensor_type.shape.dim]


def _opsets(proto: onnx.ModelProto, path: Path) -> dict[str, int]:
    """Imported version by domain; of a domain that is imported twice, the larger one."""
    opsets = imported_versions(proto.opset_import)
    if proto.ir_version < 3:  # opset imports came with IR version 3; before, opset 1 was implied
        opsets.setdefault("", 1)
    newest = onnx.defs.onnx_opset_version()
    if opsets.get("", 1) > newest:
        raise ModelError(
            f"{path}: opset {opsets['']} is newer than onnx {onnx.__version__} knows ({newest}); "
            "upgrade onnx"
        )
    return opsets


def imported_versions(imports: Sequence[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Largest version by normalised domain."""
    opsets: dict[str, int] = {}
    for one in imports:
        domain = normal_domain(one.domain)
        opsets[domain] = max(one.version, opsets.get(domain, 0))
    return opsets


def _tensors(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Every tensor stored in the model, at any depth."""
    found: list[onnx.TensorProto] = []
    _add_graph_tensors(proto.graph, found)
    for function in proto.functions:
        _add_node_tensors(function.node, found)
    return found


def _add_graph_tensors(graph: onnx.GraphProto, found: list[onnx.TensorProto]) -> None:
    found += graph.initializer
    for sparse in graph.sparse_initializer:
        found += (sparse.values, sparse.indices)
    _add_node_tensors(graph.node, found)


def _add_node_tensors(nodes: Iterable[onnx.NodeProto], found: list[onnx.TensorProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type not in _PLAIN:
                _add_attribute_tensors(attribute, found)


def _add_attribute_tensors(attribute: onnx.AttributeProto, found: list[onnx.TensorProto]) -> None:
    if attribute.HasField("t"):
        found.append(attribute.t)
        return
    found += attribute.tensors
    if attribute.HasField("sparse_tensor"):
        found += (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
    if attribute.HasField("g"):
        _add_graph_tensors(attribute.g, found)
    for graph in attribute.graphs:
        _add_graph_tensors(graph, found)


def _check_location(tensor: onnx.TensorProto, path: Path) -> None:
    for entry in tensor.external_data:
        if entry.key == "location" and _leaves_folder(entry.value):
            raise ModelError(
                f"{path}: tensor {tensor.name!r} points outside the model's folder "
                f"({entry.value!r}); keep external data beside the model"
            )


def _leaves_folder(location: str) -> bool:
    """True for a path that is absolute, on either system, or climbs above its start."""
    windows, posix = PureWindowsPath(location), PurePosixPath(location)
    if windows.drive or windows.root or posix.is_absolute():
        return True
    depth = 0
    for part in windows.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def _drop_data(tensor: onnx.TensorProto) -> None:
    for name in _DATA_FIELDS:
        tensor.ClearField(name)
