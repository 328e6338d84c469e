"""Recurrent cells against nested loops, whose results onnx's reference confirms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brute_force import Array, agrees, drawn, points

small = st.integers(1, 3)
few = settings(max_examples=15, deadline=None)
Vector: TypeAlias = list[float]
Step: TypeAlias = Callable[["Counter", "Weights", Vector, Vector, Vector], tuple[Vector, Vector]]
"""(input, hidden state, cell state) -> (hidden state, cell state)."""


@dataclass
class Counter:
    """Multiplies vectors by matrices, and counts each multiplication."""

    count: int = 0

    def times(self, matrix: Array, vector: Vector) -> Vector:
        result = [0.0] * matrix.shape[0]
        for row, column in points(*matrix.shape):
            result[row] += float(matrix[row, column]) * vector[column]
            self.count += 1
        return result


@dataclass(frozen=True)
class Weights:
    """Of one direction, by gate: input, recurrent, and both biases."""

    w: list[Array]
    r: list[Array]
    wb: list[Array]
    rb: list[Array] = field(default_factory=list)

    def gate(self, counter: Counter, at: int, x: Vector, h: Vector) -> Vector:
        products = counter.times(self.w[at], x), counter.times(self.r[at], h)
        return total(*products, self.wb[at], self.rb[at])


def total(*vectors: Vector | Array) -> Vector:
    return [float(sum(each)) for each in zip(*vectors, strict=True)]


def sigmoid(vector: Vector) -> Vector:
    return [float(1 / (1 + np.exp(-value))) for value in vector]


def tanh(vector: Vector) -> Vector:
    return [float(np.tanh(value)) for value in vector]


def rnn(
    counter: Counter, weights: Weights, x: Vector, h: Vector, c: Vector
) -> tuple[Vector, Vector]:
    return tanh(weights.gate(counter, 0, x, h)), c


def lstm(
    counter: Counter, weights: Weights, x: Vector, h: Vector, c: Vector
) -> tuple[Vector, Vector]:
    i, o, f = (sigmoid(weights.gate(counter, at, x, h)) for at in range(3))
    new = tanh(weights.gate(counter, 3, x, h))
    cell = [keep * old + take * one for keep, old, take, one in zip(f, c, i, new, strict=True)]
    return [out * value for out, value in zip(o, tanh(cell), strict=True)], cell


def gru(
    counter: Counter, weights: Weights, x: Vector, h: Vector, c: Vector
) -> tuple[Vector, Vector]:
    z, r = (sigmoid(weights.gate(counter, at, x, h)) for at in range(2))
    reset = [one * state for one, state in zip(r, h, strict=True)]
    return mixed(z, tanh(weights.gate(counter, 2, x, reset)), h), c


def gru_reset_after(
    counter: Counter, weights: Weights, x: Vector, h: Vector, c: Vector
) -> tuple[Vector, Vector]:
    z, r = (sigmoid(weights.gate(counter, at, x, h)) for at in range(2))
    state = total(counter.times(weights.r[2], h), weights.rb[2])
    reset = [one * value for one, value in zip(r, state, strict=True)]
    return mixed(z, tanh(total(counter.times(weights.w[2], x), weights.wb[2], reset)), h), c


def mixed(z: Vector, new: Vector, old: Vector) -> Vector:
    return [(1 - one) * fresh + one * state for one, fresh, state in zip(z, new, old, strict=True)]


CELLS: dict[str, tuple[str, int, str, Step]] = {
    "rnn": ("RNN", 1, "", rnn),
    "lstm": ("LSTM", 4, "", lstm),
    "gru": ("GRU", 3, "linear_before_reset=0, ", gru),
    "gru, reset after": ("GRU", 3, "linear_before_reset=1, ", gru_reset_after),
}


def states(counter: Counter, step: Step, x: Array, weights: Weights, hidden: int) -> Array:
    """[T, B, H]: a step after the other, for each sequence on its own."""
    y = np.zeros((*x.shape[:2], hidden), np.float32)
    for sequence in range(x.shape[1]):
        h, c = [0.0] * hidden, [0.0] * hidden
        for at in range(x.shape[0]):
            h, c = step(counter, weights, [float(one) for one in x[at, sequence]], h, c)
            y[at, sequence] = h
    return y


def scaled(*shape: int) -> Array:
    return drawn(*shape) / np.float32(8)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
@given(steps=small, batch=small, inputs=small, hidden=small)
@few
def test_every_cell(
    *, cell: str, direction: str, layout: int, steps: int, batch: int, inputs: int, hidden: int
) -> None:
    name, gates, more, step = CELLS[cell]
    ways = 2 if direction == "bidirectional" else 1
    x, counter, found = scaled(steps, batch, inputs), Counter(), []
    w, r = scaled(ways, gates * hidden, inputs), scaled(ways, gates * hidden, hidden)
    b = scaled(ways, 2 * gates * hidden)
    for way in range(ways):
        backwards = direction == "reverse" or way == 1
        both = np.split(b[way], 2 * gates)
        weights = Weights(
            np.split(w[way], gates), np.split(r[way], gates), both[:gates], both[gates:]
        )
        y = states(counter, step, x[::-1] if backwards else x, weights, hidden)
        found.append(y[::-1] if backwards else y)
    result = np.stack(found, axis=1)
    if layout:
        x, result = x.swapaxes(0, 1).copy(), result.transpose(2, 0, 1, 3)
    call = f'{name}<{more}layout={layout}, direction="{direction}", hidden_size={hidden}>'
    agrees(call, [x, w, r, b], (result, counter.count), opset=22)
