"""RNN, LSTM and GRU: a step per element of the sequence, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint.gradients import gradient_products
from mlsys_lint.records import Kept, Wanted, Work
from mlsys_lint_plugins.ops.fused_activation import activation_counts
from mlsys_lint_plugins.ops.inference import element_type, put, sizes
from mlsys_lint_plugins.ops.ranks import ranked


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A kind of recurrent cell.

    Attributes:
        gates: G, the number of gates.
        activations: The functions f, g, h by default.
        uses: How often each of them is applied per element of the state and step.
        vector_ops: Products and sums per element of the state, without activations, the sum of the
            input and recurrent products, biases and peepholes.
        peepholes: Peephole products per element of the state.
    """

    gates: int
    activations: tuple[str, ...]
    uses: tuple[int, ...]
    vector_ops: int
    peepholes: int = 0


CELLS: Final[Mapping[str, Cell]] = {
    # H = f(W x + R h + b)
    "RNN": Cell(gates=1, activations=("Tanh",), uses=(1,), vector_ops=0),
    # f on i, o, f, g on c, h on C; C = f * C + i * c (3), H = o * h(C) (1)
    "LSTM": Cell(
        gates=4,
        activations=("Sigmoid", "Tanh", "Tanh"),
        uses=(3, 1, 1),
        vector_ops=4,
        peepholes=3,
    ),
    # f on z, r, g on h'; r * h (1), H = (1 - z) * h' + z * h (4)
    "GRU": Cell(gates=3, activations=("Sigmoid", "Tanh"), uses=(2, 1), vector_ops=5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """D directions, T steps, B sequences, I inputs, H elements of the hidden state, G gates."""

    directions: int
    steps: int
    batch: int
    inputs: int
    hidden: int
    gates: int

    @property
    def states(self) -> int:
        """Elements of the hidden state over all steps: D * T * B * H."""
        return self.directions * self.steps * self.batch * self.hidden

    def contractions(self, dtype: str) -> tuple[Contraction, Contraction]:
        """X W^T of all steps are one GEMM a direction; h R^T waits for the step before."""
        width = self.gates * self.hidden
        return (
            Contraction(
                batch=self.directions,
                m=self.steps * self.batch,
                n=width,
                k=self.inputs,
                dtype=dtype,
            ),
            Contraction(
                batch=self.directions * self.steps,
                m=self.batch,
                n=width,
                k=self.hidden,
                dtype=dtype,
            ),
        )


def sizes_of(node: NodeView, gates: int, hidden: int) -> Sizes:
    """X is [T, B, I], or [B, T, I] with layout 1; W has an axis for the directions."""
    first, second, inputs = node.input(0).dims
    steps, batch = (second, first) if node.integer("layout", 0) else (first, second)
    return Sizes(
        directions=node.input(1).dims[0],
        steps=steps,
        batch=batch,
        inputs=inputs,
        hidden=hidden,
        gates=gates,
    )


def recurrent(node: NodeView) -> OpCost | Declined:
    """D * T * B * G * H * (I + H) MACs for D directions, T steps, B sequences, G gates.

    Vector operations per step and gate element: one to add the two products, two for the biases;
    per element of the state: the cell's own, two (product, sum) for each peephole, the activations,
    and two for each of them with `clip`. Sequences that sequence_lens ends early count in full;
    input_forget changes nothing.
    """
    cell = CELLS[node.op_type]
    sizes = sizes_of(node, cell.gates, node.input(2).dims[2])
    return recurrent_cost(node, cell, sizes, node.input(0))


def recurrent_cost(
    node: NodeView, cell: Cell, sizes: Sizes, data: TensorInfo, extra_ops: int = 0
) -> OpCost | Declined:
    """Cost of a cell whose products multiply values of `data`'s type."""
    found = _activations(node, cell, sizes.directions)
    if isinstance(found, Declined):
        return found
    ops, transcendentals = found
    biased = 2 if node.optional_input(3) is not None else 0
    peepholes = cell.peepholes if node.optional_input(7) is not None else 0
    each = cell.gates * (1 + biased) + cell.vector_ops + 2 * peepholes
    early = node.optional_input(4) is not None
    return cost(
        node,
        kernel_class="recurrent",
        contractions=sizes.contractions(data.type_name),
        vector_ops=sizes.states * each + sizes.states // max(1, sizes.directions) * ops + extra_ops,
        transcendentals=sizes.states // max(1, sizes.directions) * transcendentals,
        assumptions=("data-dependent: every sequence has full length",) if early else (),
    )


def recurrent_gradient(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Of X W' and h R' one contraction for each operand; the first state need not be wanted.

    Then h R' hands a gradient back in all steps but the first. Vector work as in the forward pass.
    """
    inputs, states = cost.contractions
    steps = max(1, node.input(0).dims[1 if node.integer("layout", 0) else 0])
    back = steps if 5 in wanted else steps - 1
    before = replace(states, batch=states.batch // steps * back)
    return Work(
        contractions=(
            *gradient_products(inputs, left=0 in wanted, right=1 in wanted),
            *gradient_products(before, left=back > 0, right=False),
            *gradient_products(states, left=False, right=2 in wanted),
        ),
        vector_ops=cost.vector_ops,
    )


_KEPT_STATES: Final[Mapping[str, int]] = {"RNN": 0, "GRU": 4, "LSTM": 6}
"""Values that a step keeps for each element of the state besides the state itself.

GRU: z, r, the candidate, and what r gates. LSTM: i, o, f, c, the cell, and its tanh.
"""


def keep_recurrent(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """X for W's gradient, the states of all steps, and what the gates computed in each."""
    states, cell = cost.contractions[1], node.op_type.removeprefix("DynamicQuantize")
    hidden = (states.batch, states.m, states.n // CELLS[cell].gates)
    inside = TensorInfo(name="gates", dtype=states.dtype, shape=(_KEPT_STATES[cell], *hidden))
    sequence = node.outputs[0] or TensorInfo(name="states", dtype=states.dtype, shape=hidden)
    data = (node.input(0),) if 1 in wanted else ()
    return Kept(tensors=(*data, sequence, inside))


def _activations(node: NodeView, cell: Cell, directions: int) -> tuple[int, int] | Declined:
    """(vector operations, transcendentals) per element of one direction's state, summed over them."""
    given = node.attributes.get("activations")
    names: Sequence[object] = given if isinstance(given, tuple) and given else ()
    names = names or cell.activations * directions
    clipped = 2 * sum(cell.uses) * directions if "clip" in node.attributes else 0
    ops, transcendentals = clipped, 0
    for position, name in enumerate(names):
        counts = activation_counts(str(name))
        if counts is None:
            return Declined(f"activation {name!r} has no formula")
        uses = cell.uses[position % len(cell.uses)]
        ops += uses * counts[0]
        transcendentals += uses * counts[1]
    return ops, transcendentals


def _weights(node: NodeView) -> str | None:
    """W is [D, G H, I] and R [D, G H, H] for an input of I elements."""
    inputs, (_, rows, width), recurrence = (node.input(at).dims for at in range(3))
    fits = width == inputs[2] and recurrence[1] == rows
    if fits and rows == CELLS[node.op_type].gates * recurrence[2]:
        return None
    return f"weights {(rows, width)} and {recurrence[1:]} do not fit {inputs[2]} inputs"


def infer_recurrent(context: InferenceContext) -> None:
    """Y [T, D, B, H], Y_h and Y_c [D, B, H]; onnx infers nothing before opset 7."""
    x, recurrence = sizes(context, 0), sizes(context, 2)
    if x is None or recurrence is None or len(x) != 3 or len(recurrence) != 3:
        return
    last = (recurrence[0], x[1], recurrence[2])
    put(context, 0, element_type(context, 0), (x[0], *last))
    for position in (1, 2):
        put(context, position, element_type(context, 0), last)


def _spec(name: str) -> OperatorSpec:
    return OperatorSpec(
        domain="",
        op_type=name,
        since_version=1,
        estimate=ranked(recurrent, exactly={0: 3, 1: 3, 2: 3}, fault=_weights),
        shape_inputs=(4,),
        infer=infer_recurrent,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("RNN"),
    _spec("LSTM"),
    _spec("GRU"),
)
