"""Names of open sizes, through inference functions that know numbers only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx

from mlsys_lint.symbols import name_sizes

Sizes = Sequence[int | str | None]
Formula = Callable[[int | None, int | None], Sequence[int | None]]


def named(sizes: Sizes, formula: Formula) -> list[int | str | None]:
    """Sizes of an output that an inference function computes from those of a matrix."""

    def infer(types: Mapping[str, onnx.TypeProto]) -> dict[str, onnx.TypeProto]:
        rows, columns = (
            dim.dim_value if dim.HasField("dim_value") else None
            for dim in types["x"].tensor_type.shape.dim
        )
        return {"y": onnx.helper.make_tensor_type_proto(1, list(formula(rows, columns)))}

    types = {"x": onnx.helper.make_tensor_type_proto(1, list(sizes))}
    found = infer(types)
    name_sizes(infer, types, found)
    return [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
        for dim in found["y"].tensor_type.shape.dim
    ]


def test_a_size_that_is_handed_on_keeps_its_name() -> None:
    assert named(["N", 4], lambda rows, columns: [rows, columns, 7]) == ["N", 4, 7]
    assert named(["N", "M"], lambda rows, columns: [columns, rows]) == ["M", "N"]


def test_a_size_that_is_computed_has_none() -> None:
    doubled = named(["N", 4], lambda rows, _: [None if rows is None else 2 * rows])
    assert doubled == [None]
    summed = named(["N", "M"], lambda rows, columns: [rows and columns and rows + columns])
    assert summed == [None]


def test_a_size_without_a_name_stays_open() -> None:
    assert named([None, 4], lambda rows, columns: [rows, columns]) == [None, 4]


def test_what_is_known_is_not_asked_again() -> None:
    asked = []

    def formula(rows: int | None, columns: int | None) -> list[int | None]:
        asked.append((rows, columns))
        return [columns]

    assert named(["N", 4], formula) == [4]
    assert asked == [(None, 4)]
