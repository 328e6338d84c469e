"""Costs of single operators, for tests: a call and its inputs in ONNX text."""

from __future__ import annotations

from mlsys_lint import NodeCost, OpCost
from mlsys_lint.testing import estimate_text


def text_of(call: str, inputs: str, outputs: str = "y") -> str:
    """A graph of one node; `outputs` are names, whose types are inferred."""
    typed = ", ".join(f"float[?] {name.strip()}" for name in outputs.split(",") if name.strip())
    return f"g ({inputs}) => ({typed}) {{ {outputs} = {call} }}"


def node_of(call: str, inputs: str, *, opset: int = 23, outputs: str = "y") -> NodeCost:
    """The verdict on the last node of a graph."""
    return estimate_text(text_of(call, inputs, outputs), opset=opset)[-1]


def cost_of(call: str, inputs: str, *, opset: int = 23, outputs: str = "y") -> OpCost:
    """Its cost; a test fails where there is none."""
    found = node_of(call, inputs, opset=opset, outputs=outputs)
    assert found.cost is not None, found.reason
    return found.cost


def counts(call: str, inputs: str, *, opset: int = 23) -> tuple[int, int]:
    """Its vector operations and transcendentals."""
    cost = cost_of(call, inputs, opset=opset)
    return cost.vector_ops, cost.transcendentals


def moved(call: str, inputs: str, *, opset: int = 23, outputs: str = "y") -> tuple[int, int]:
    """Its bytes read and written."""
    cost = cost_of(call, inputs, opset=opset, outputs=outputs)
    return cost.bytes_read, cost.bytes_written
