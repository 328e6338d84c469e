"""Quantization: scale, round, shift and clamp per element; packed bytes; blocks."""

from __future__ import annotations

import pytest

from mlsys_lint.testing import check_text
from node_costs import cost_of, counts, moved

X = "float[3,8] x"


def test_quantization_by_its_arithmetic() -> None:
    # 24 elements: division, round, two bounds; with a zero point an addition more.
    assert counts("QuantizeLinear(x, s)", f"{X}, float s") == (4 * 24, 0)
    inputs = f"{X}, float s, uint8 z"
    assert counts("QuantizeLinear(x, s, z)", inputs) == (5 * 24, 0)
    assert moved("QuantizeLinear(x, s, z)", inputs) == (96 + 4 + 1, 24)
    assert cost_of("QuantizeLinear(x, s, z)", inputs).kernel_class == "quantize"


def test_dequantization_by_its_arithmetic() -> None:
    assert counts("DequantizeLinear(x, s)", "int8[3,8] x, float s") == (24, 0)
    inputs = "uint8[3,8] x, float s, uint8 z"
    assert counts("DequantizeLinear(x, s, z)", inputs) == (48, 0)
    assert moved("DequantizeLinear(x, s, z)", inputs) == (24 + 4 + 1, 96)


@pytest.mark.parametrize(
    ("attributes", "scale", "scales"),
    [("axis=1", "8", 8), ("axis=0", "3", 3), ("axis=1, block_size=4", "3,2", 6)],
)
def test_scales_move_their_own_bytes(attributes: str, scale: str, scales: int) -> None:
    quantized = f"QuantizeLinear<{attributes}>(x, s, z)"
    inputs = f"{X}, float[{scale}] s, uint8[{scale}] z"
    assert counts(quantized, inputs) == (5 * 24, 0)
    assert moved(quantized, inputs) == (96 + 5 * scales, 24)
    back = inputs.replace(X, "uint8[3,8] x")
    assert counts(f"DequantizeLinear<{attributes}>(x, s, z)", back) == (48, 0)
    assert moved(f"DequantizeLinear<{attributes}>(x, s, z)", back) == (24 + 5 * scales, 96)


def test_packed_weights() -> None:
    # 15 int4 weights fill 8 bytes; 3 scales of a rank are parameters as well.
    text = (
        "g (float[2,3] a) => (float[?,?] y) <int4[3,5] w, float[3] s> "
        "{ d = DequantizeLinear<axis=0>(w, s) y = MatMul(a, d) }"
    )
    found = check_text(text)
    cost = found.nodes[0].cost
    assert cost is not None
    assert (cost.bytes_read, cost.weight_bytes, cost.bytes_written) == (8 + 12, 20, 60)
    assert found.model.parameters == 15 + 3


def test_dynamic_quantization() -> None:
    # 24 elements: minimum and maximum 23 each; scale and zero point 10 (minimum and maximum with 0,
    # range, / 255, minimum / scale, 0 - it, two bounds, round, convert); then 5 per element.
    cost = cost_of("DynamicQuantizeLinear(x)", X, outputs="y, s, z")
    assert (cost.vector_ops, cost.transcendentals) == (46 + 10 + 120, 0)
    assert (cost.bytes_read, cost.bytes_written) == (96, 24 + 4 + 1)
    # The work is done on floats, whatever comes out.
    assert cost.dtype == "float"
