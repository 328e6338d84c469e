"""What a file may be, and what is said about it when it is none."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, parser

from mlsys_lint.errors import ModelError
from mlsys_lint.loading import LARGEST_VALUE, load, model_paths

RELU = (
    '<ir_version: 10, opset_import: ["" : 23]> g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }'
)


def saved(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def with_weight(tensor: TensorProto) -> onnx.ModelProto:
    model = parser.parse_model(RELU)
    model.graph.initializer.append(tensor)
    return model


def external(location: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"this is a text file, no protobuf \xff\xfe\xfd", "not an ONNX model"),
        (parser.parse_model(RELU).SerializeToString()[:-9], "truncated"),
        (onnx.ModelProto(ir_version=10).SerializeToString(), "no graph"),
    ],
)
def test_bad_content_is_one_helpful_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [0, -3, 99])
def test_unknown_ir_version(tmp_path: Path, version: int) -> None:
    model = parser.parse_model(RELU)
    model.ir_version = version
    with pytest.raises(ModelError, match="IR version"):
        load(saved(tmp_path, model))


def test_opset_newer_than_onnx(tmp_path: Path) -> None:
    model = parser.parse_model(RELU)
    model.opset_import[0].version = 999
    with pytest.raises(ModelError, match="opset 999"):
        load(saved(tmp_path, model))


def test_file_beyond_two_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # a hole: takes no disk
    with pytest.raises(ModelError, match="2 GiB"):
        load(path)


def test_missing_file_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        load(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match=r"no \.onnx file"):
        model_paths([str(tmp_path)])
    with pytest.raises(ModelError, match="no file matches"):
        model_paths([str(tmp_path / "*.onnx")])


def test_folders_and_patterns_name_models_once(tmp_path: Path) -> None:
    inner = tmp_path / "deep"
    inner.mkdir()
    for path in (tmp_path / "b.onnx", inner / "a.onnx", tmp_path / "readme.txt"):
        path.touch()
    expected = (tmp_path / "b.onnx", inner / "a.onnx")
    assert model_paths([str(tmp_path), str(tmp_path / "b.onnx")]) == expected
    assert model_paths([str(tmp_path / "*.onnx")]) == (tmp_path / "b.onnx",)


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../secret.bin", "a/../../b.bin", "C:\\weights.bin", "..\\w.bin", "\\w.bin"],
)
def test_external_data_outside_the_folder(tmp_path: Path, location: str) -> None:
    with pytest.raises(ModelError, match="outside the model's folder"):
        load(saved(tmp_path, with_weight(external(location))))


@pytest.mark.parametrize("location", ["w.bin", "sub/w.bin", "a/../w.bin"])
def test_external_data_is_never_opened(tmp_path: Path, location: str) -> None:
    model = load(saved(tmp_path, with_weight(external(location))))
    assert list(model.proto.graph.initializer[0].dims) == [4]


def test_external_data_in_nested_bodies_is_checked_too(tmp_path: Path) -> None:
    inner = parser.parse_model(RELU).graph
    inner.initializer.append(external("../w.bin"))
    model = parser.parse_model(RELU)
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner))
    with pytest.raises(ModelError, match="outside the model's folder"):
        load(saved(tmp_path, model))


def test_large_data_is_dropped_and_small_data_kept(tmp_path: Path) -> None:
    large = TensorProto(name="w", data_type=1, dims=[LARGEST_VALUE + 1])
    large.raw_data = bytes(4 * (LARGEST_VALUE + 1))
    small = TensorProto(name="s", data_type=7, dims=[2], int64_data=[3, 4])
    model = with_weight(large)
    model.graph.initializer.append(small)
    loaded = load(saved(tmp_path, model)).proto.graph.initializer
    assert not loaded[0].raw_data
    assert list(loaded[1].int64_data) == [3, 4]


def test_negative_tensor_size(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="negative size"):
        load(saved(tmp_path, with_weight(TensorProto(name="w", data_type=1, dims=[-4]))))


def test_a_domain_imported_twice_counts_with_its_larger_version(tmp_path: Path) -> None:
    model = parser.parse_model(RELU)
    model.opset_import.add(domain="ai.onnx", version=11)
    assert load(saved(tmp_path, model)).opsets == {"": 23}
