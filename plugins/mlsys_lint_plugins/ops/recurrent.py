"""RNN, LSTM and GRU: a step per element of the sequence, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlsys_lint import Contraction, NodeView, OpCost, OperatorSpec, cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Per element of the hidden state and step: gates, element-wise work, activations.

    `vector_ops` leaves out the sum of the input and recurrent products and the biases, which are
    counted per gate; `peepholes` is the number of peephole products.
    """

    gates: int
    vector_ops: int
    activations: int
    peepholes: int = 0


CELLS: Final[Mapping[str, Cell]] = {
    # H = f(W x + R h + b)
    "RNN": Cell(gates=1, vector_ops=0, activations=1),
    # C = f * C + i * c (3), H = o * h(C) (1); activations i, o, f, c, h(C)
    "LSTM": Cell(gates=4, vector_ops=4, activations=5, peepholes=3),
    # r * h (1), H = (1 - z) * h' + z * h (4); activations z, r, h'
    "GRU": Cell(gates=3, vector_ops=5, activations=3),
}


def recurrent(node: NodeView) -> OpCost:
    """D * T * B * G * H * (I + H) MACs for D directions, T steps, B batches, G gates.

    The input product x W^T of all steps is one GEMM [T * B, I] x [I, G * H]; the recurrent one
    h R^T runs step by step [B, H] x [H, G * H]. Vector operations per step and gate element: one
    to add the two products, two for the biases; per element of the state: the cell's own, two
    (product, sum) for each peephole. An activation is one transcendental.
    """
    cell = CELLS[node.op_type]
    x, w, r = node.input(0), node.input(1), node.input(2)
    first, second, inputs = x.dims
    steps, batch = (second, first) if node.integer("layout", 0) else (first, second)
    directions, hidden = w.dims[0], r.dims[2]
    width = cell.gates * hidden
    states = directions * steps * batch * hidden
    bias = node.optional_input(3) is not None
    peepholes = cell.peepholes if node.optional_input(7) is not None else 0
    return cost(
        node,
        kernel_class="recurrent",
        contractions=(
            Contraction(batch=directions, m=steps * batch, n=width, k=inputs, dtype=x.type_name),
            Contraction(batch=directions * steps, m=batch, n=width, k=hidden, dtype=x.type_name),
        ),
        vector_ops=states * (cell.gates * (1 + 2 * bias) + cell.vector_ops + 2 * peepholes),
        transcendentals=states * cell.activations,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(domain="", op_type=name, since_version=1, estimate=recurrent, shape_inputs=(4,))
    for name in CELLS
)
