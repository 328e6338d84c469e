from __future__ import annotations

from dataclasses import replace

import pytest

from mlsys_lint.records import Contraction, Kernel
from mlsys_lint_plugins.runtimes.onnxruntime.timing.recurrent import terms
from timed_kernels import kernel, machine, tensor

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1, "DynamicQuantizeLSTM": 4}


def layer(cell: str, steps: int, inputs: int, hidden: int, directions: int = 1) -> Kernel:
    """One sequence."""
    width = GATES[cell] * hidden
    weights = (replace(tensor(directions, width, size), constant=True) for size in (inputs, hidden))
    one = kernel(
        cell,
        [tensor(steps, 1, inputs), *weights],
        tensor(steps, directions, 1, hidden),
        domain="com.microsoft" if cell.startswith("Dynamic") else "",
    )
    products = (
        Contraction(batch=directions, m=steps, n=width, k=inputs, dtype="float"),
        Contraction(batch=directions * steps, m=1, n=width, k=hidden, dtype="float"),
    )
    return replace(one, cost=replace(one.cost, contractions=products))


def amounts(one: Kernel, threads: int = 1) -> dict[str, float]:
    found = terms(one, machine(threads))
    assert found is not None
    return dict(found[1])


def test_a_step_multiplies_the_state() -> None:
    found = amounts(layer("LSTM", steps=10, inputs=32, hidden=16, directions=2))
    # 64 columns of 4 gates: 4 vectors. Inputs: 10 rows in one product for each direction; states:
    # one row in each of 20 steps.
    assert found["flop"] == 2 * 16 * (2 * 10 * 4 * 32 + 20 * 1 * 4 * 16)
    assert found["gate_lstm"] == 20 * 64
    assert found["step"] == 20
    assert "state_l3" not in found


def test_recurrent_weights_come_again_for_every_step() -> None:
    # 4 x 512 x 512 floats are 4 MiB: four times the second level, an eighth of the third.
    found = amounts(layer("LSTM", steps=10, inputs=16, hidden=512))
    assert found["state_l3"] == 10 * 4 * 2**20
    # In 8 bits 1 MiB: just as large as the second level, which then holds half of it.
    found = amounts(layer("DynamicQuantizeLSTM", 10, 16, 512))
    assert found["state_l3"] == 10 * 2**19


def test_only_rnn_multiplies_by_weights_that_are_not_packed() -> None:
    assert "dot" not in amounts(layer("GRU", 5, 32, 16))
    # One row: inputs in 1 step, state in 1 step.
    assert amounts(layer("RNN", 1, 32, 16))["dot"] == 16 * (32 + 16)


@pytest.mark.parametrize("cell", GATES)
def test_more_steps_never_cost_less_and_two_threads_never_more(cell: str) -> None:
    small = amounts(layer(cell, 12, 64, 128))
    large = amounts(layer(cell, 24, 64, 128))
    shared = amounts(layer(cell, 24, 64, 128), threads=2)
    assert all(amount <= large[name] for name, amount in small.items())
    assert all(
        amount <= large[name] for name, amount in shared.items() if name not in ("fork", "stall")
    )


def test_other_kernels_are_none_of_its_business() -> None:
    assert terms(kernel("Relu", [tensor(2)], tensor(2)), machine()) is None
