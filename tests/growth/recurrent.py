"""RNN, LSTM, GRU: one step after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from growth.case import Growth

# T = n steps of B = 2 sequences; I = 3 inputs, H = 4 elements of the state: 8 n elements of states.
# Name -> gates; operations per element besides the gates' sums; activations per element.
CELLS: Final[Mapping[str, tuple[int, int, int]]] = {
    "RNN": (1, 0, 1),  # h = tanh(.)
    "LSTM": (4, 4, 5),  # f * C + i * c, o * h(C): 3 sigmoids, 2 tanh
    "GRU": (3, 5, 3),  # r * h, (1 - z) * h' + z * h: 2 sigmoids, a tanh
}


def _cell(
    name: str,
    attributes: str,
    operands: str,
    opset: int,
    *,
    each: int,
    ways: int = 1,
    transcendentals: int | None = None,
    stored_elements: int = 0,
    last: bool = False,
) -> Growth:
    """Every state takes a product of [G H, I] and one of [G H, H], and `each` operations.

    What is read: the sequence, the weights (`stored_elements` besides W and R).
    """
    gates, _, functions = CELLS[name]
    states = (8 * 4 * ways, 8 * 8 * ways)
    weights = ways * gates * 4 * (3 + 4) + stored_elements
    activations = functions if transcendentals is None else transcendentals
    last_state = 4 * ways * 8 if last else 0
    inputs = (
        f"float[{{n}},2,3] x, float[{ways},{4 * gates},3] w, float[{ways},{4 * gates},4] r, "
        f"float[{ways},{8 * gates}] b, float[{ways},12] p, float[{ways},2,4] h0, float[{ways},2,4] c0"
    )
    return Growth(
        call=f"{name}<hidden_size=4{attributes}>({operands})",
        inputs=inputs,
        opset=opset,
        outputs="y, h" if last else "y",
        figures={
            "macs": (states[0] * gates * 7, states[1] * gates * 7),
            "vector_ops": (states[0] * each, states[1] * each),
            "transcendentals": (states[0] * activations, states[1] * activations),
            "bytes_read": (4 * (24 + weights), 4 * (48 + weights)),
            "bytes_written": (4 * states[0] + last_state, 4 * states[1] + last_state),
        },
    )


ALL: Final = ", output_sequence=1"
BOTH: Final = ', direction="bidirectional"'

CASES: Final = [
    # A sum of the two products for each gate, and the cell's own operations. The first versions
    # give the states of all steps when they are asked to.
    *(
        _cell(name, ALL if opset == 1 else "", "x, w, r", opset, each=gates + own)
        for name, (gates, own, _) in CELLS.items()
        for opset in (1, 7, 14, 22)
    ),
    # Two biases for each gate: 2 G H elements a direction; both directions; the last state is written.
    *(
        _cell(
            name,
            BOTH,
            "x, w, r, b",
            22,
            each=3 * gates + own,
            ways=2,
            stored_elements=2 * 8 * gates,
            last=True,
        )
        for name, (gates, own, _) in CELLS.items()
    ),
    # Initial states are read: 8 elements each; peepholes take a product and a sum for 3 gates.
    _cell("RNN", "", "x, w, r, , , h0", 14, each=1, stored_elements=8),
    _cell("GRU", ALL, "x, w, r, , , h0", 3, each=8, stored_elements=8),
    _cell("LSTM", "", "x, w, r, , , h0, c0, p", 7, each=8 + 6, stored_elements=8 + 8 + 12),
    # A clip is a minimum and a maximum before each of 5 activations.
    _cell("LSTM", ", clip=1.0", "x, w, r", 7, each=8 + 10),
    # The reset comes before or after the product: the same products.
    _cell("GRU", ", linear_before_reset=1", "x, w, r", 7, each=8),
    _cell("GRU", ", linear_before_reset=1", "x, w, r, b", 22, each=14, stored_elements=24),
    # Relu is a maximum, HardSigmoid four operations; ScaledTanh two products and a tanh.
    _cell("RNN", ', activations=["Relu"]', "x, w, r", 7, each=2, transcendentals=0),
    _cell(
        "GRU",
        ', activations=["HardSigmoid", "ScaledTanh"]',
        "x, w, r",
        *(7,),
        each=8 + 2 * 4 + 2,
        transcendentals=1,
    ),
    # Sequences first: the same work.
    *(
        Growth(
            call=f"{name}<hidden_size=4, layout=1>(x, w, r)",
            inputs=f"float[2,{{n}},3] x, float[1,{4 * gates},3] w, float[1,{4 * gates},4] r",
            opset=14,
            figures={
                "macs": (32 * gates * 7, 64 * gates * 7),
                "vector_ops": (32 * (gates + own), 64 * (gates + own)),
                "bytes_written": (128, 256),
            },
        )
        for name, (gates, own, _) in CELLS.items()
    ),
    # Lengths of 4 bytes are read; sequences that end early count in full.
    Growth(
        call="RNN<hidden_size=4>(x, w, r, , l)",
        inputs="float[{n},2,3] x, float[1,4,3] w, float[1,4,4] r, int32[2] l",
        figures={"macs": (224, 448), "vector_ops": (32, 64), "bytes_read": (216, 312)},
    ),
]
