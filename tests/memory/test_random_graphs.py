"""Random graphs: our plan, in our order, against what ONNX Runtime holds at each kernel."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.observed import observed, planned

pytestmark = pytest.mark.ort

SHAPES = {"s": (8, 16), "f": (128,)}
"""Names of the shapes that a Reshape may ask for."""


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A model of up to 16 kernels; values that nobody reads stay unread."""
    shapes: dict[str, tuple[int, ...]] = {"x": (8, 16)}
    lines: list[str] = []
    for number in range(draw(st.integers(1, 16))):
        source = draw(st.sampled_from(list(shapes)[-5:]))
        shape, name = shapes[source], f"v{number}"
        kind = draw(st.sampled_from(["Sin", "Relu", "Reshape", "Add", "Concat", "Split"]))
        if kind == "Reshape" and shape in ((8, 16), (128,)):
            target = draw(st.sampled_from(["s", "f"]))
            lines.append(f"{name} = Reshape({source}, {target})")
            shapes[name] = SHAPES[target]
        elif kind == "Add":
            other = draw(st.sampled_from([one for one in shapes if shapes[one] == shape]))
            lines.append(f"{name} = Add({source}, {other})")
            shapes[name] = shape
        elif kind == "Concat" and shape == (4, 16):
            lines.append(f"{name} = Concat<axis = 0>({source}, {source})")
            shapes[name] = (8, 16)
        elif kind == "Split" and shape == (8, 16):
            lines.append(f"{name}, {name}b = Split<axis = 0>({source}, h)")
            shapes[name] = shapes[f"{name}b"] = (4, 16)
        else:
            lines.append(f"{name} = {'Relu' if kind == 'Relu' else 'Sin'}({source})")
            shapes[name] = shape
    written = [name for name in shapes if name != "x"]
    results = draw(st.lists(st.sampled_from(written), min_size=1, max_size=3, unique=True))
    outputs = ", ".join(f"float[{','.join(map(str, shapes[one]))}] {one}" for one in results)
    weights = "int64[2] s = {8, 16}, int64[1] f = {128}, int64[2] h = {4, 4}"
    return f"g (float[8,16] x) => ({outputs}) <{weights}> {{ {' '.join(lines)} }}"


@settings(max_examples=25, deadline=None)
@given(texts())
def test_every_kernel_holds_what_onnx_runtime_holds(text: str) -> None:
    for reuse in (True, False):
        assert planned(text, reuse=reuse) == observed(text, reuse=reuse)
