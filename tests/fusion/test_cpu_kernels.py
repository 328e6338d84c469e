"""The frozen table of CPU kernels against the registry of the installed ONNX Runtime.

`python tests/fusion/test_cpu_kernels.py` writes the table again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mlsys_lint_plugins.runtimes.onnxruntime import cpu_kernels
from mlsys_lint_plugins.runtimes.onnxruntime.cpu_kernels import has_kernel, has_kernel_for

TABLE = Path(cpu_kernels.__file__).with_name("cpu_kernels.json")
OPEN = 2**31 - 1


def registry() -> dict[str, Any]:
    """The table as the installed runtime states it."""
    state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")
    schemas = {
        (one.domain, one.name, one.since_version): one for one in state.get_all_operator_schema()
    }
    sets: list[list[str]] = []
    found: dict[str, dict[str, list[list[Any]]]] = {}
    for one in state.get_all_opkernel_def():
        if one.provider != "CPUExecutionProvider":
            continue
        first, last = one.version_range
        schema = schemas[one.domain, one.op_name, first]
        parameters = [
            [number(sets, allowed(schema, one.type_constraints, formal)) for formal in formals]
            for formals in (schema.inputs, schema.outputs)
        ]
        entry = [first, None if last == OPEN else last, *parameters]
        entries = found.setdefault(one.domain, {}).setdefault(one.op_name, [])
        if entry not in entries:
            entries.append(entry)
    return {"sets": sets, "kernels": ordered(found)}


def allowed(schema: Any, constraints: dict[str, list[str]], formal: Any) -> list[str]:
    """Tensor types of a parameter.

    Kernels constrain it by its type's name or by its own; where they do not, the schema's hold.
    """
    legal = {one.type_param_str: one.allowed_type_strs for one in schema.type_constraints}
    legal |= {formal.name: legal.get(formal.typeStr, [formal.typeStr])} | constraints
    types = constraints.get(formal.typeStr) or legal[formal.name]
    return sorted(one[7:-1] for one in types if one.startswith("tensor("))


def number(sets: list[list[str]], types: list[str]) -> int:
    if types not in sets:
        sets.append(types)
    return sets.index(types)


def ordered(found: dict[str, dict[str, list[list[Any]]]]) -> dict[str, dict[str, list[list[Any]]]]:
    return {
        domain: {
            name: sorted(entries, key=lambda entry: (entry[0], str(entry)))
            for name, entries in sorted(operators.items())
        }
        for domain, operators in sorted(found.items())
    }


def written(table: dict[str, Any]) -> str:
    """One line an operator."""

    def lines(items: Iterable[tuple[str, str]]) -> str:
        return ",\n".join(f"{json.dumps(name)}: {text}" for name, text in items)

    def compact(item: Any) -> str:
        return json.dumps(item, separators=(",", ":"))

    domains = (
        (domain, "{\n" + lines((name, compact(rows)) for name, rows in operators.items()) + "}")
        for domain, operators in table["kernels"].items()
    )
    sets = ",\n".join(compact(types) for types in table["sets"])
    return f'{{"sets": [\n{sets}],\n"kernels": {{\n{lines(domains)}}}}}\n'


def test_the_table_is_the_registry_of_the_runtime_it_follows() -> None:
    ort = pytest.importorskip("onnxruntime")
    if ort.__version__ != "1.32.0":
        pytest.skip("the table follows 1.32.0")
    assert TABLE.read_text(encoding="utf-8") == written(registry())


@pytest.mark.parametrize(
    ("op_type", "version", "dtype", "expected"),
    [
        ("Conv", 11, "float", True),
        ("Conv", 11, "float16", False),  # runs in float between casts
        ("Softmax", 13, "double", True),
        ("HardSwish", 14, "float", False),  # a function: HardSigmoid and Mul
        ("Gather", 13, "float16", True),
        ("Where", 16, "float", True),  # the data is input 1; input 0 is the condition
        ("Where", 16, "float16", False),
        ("Not", 1, "bool", True),
        ("RandomNormal", 1, "float", True),  # no input at all
    ],
)
def test_kernels_by_type(op_type: str, version: int, dtype: str, *, expected: bool) -> None:
    assert has_kernel("", op_type, version, dtype) is expected


def test_a_kernel_without_a_last_version_serves_the_schema_it_names() -> None:
    # Clip-13 is registered from 13 on, Clip-12 for 12 only; there is no schema 14
    assert has_kernel("", "Clip", 13, "int8")
    assert not has_kernel("", "Clip", 14, "int8")
    assert has_kernel("", "Clip", 6, "float")
    assert not has_kernel("", "Clip", 6, "int8")


def test_every_parameter_counts() -> None:
    # QLinearConv: (x, x_scale, x_zero_point, w, ...) -> y in uint8 with int8 weights, not the reverse
    scale = "float"
    mixed = ["uint8", scale, "uint8", "int8", scale, "int8", scale, "uint8"]
    swapped = ["int8", scale, "int8", "uint8", scale, "uint8", scale, "int8"]
    assert has_kernel_for("", "QLinearConv", 10, mixed, ["uint8"])
    assert not has_kernel_for("", "QLinearConv", 10, swapped, ["int8"])


def test_variadic_operators_repeat_their_last_parameter() -> None:
    assert has_kernel_for("", "Sum", 13, ["float"] * 5, ["float"])
    assert not has_kernel_for("", "Sum", 13, ["float"] * 4 + ["float16"], ["float"])


def test_unknown_operators_have_no_kernel() -> None:
    assert not has_kernel("com.example", "Conv", 1, "float")


if __name__ == "__main__":
    TABLE.write_text(written(registry()), encoding="utf-8")
