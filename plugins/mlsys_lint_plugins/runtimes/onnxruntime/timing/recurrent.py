"""Recurrent layers: a product for all inputs, then a step after the other.

Sources: microsoft/onnxruntime, core/providers/cpu/rnn/uni_directional_lstm.cc, deep_cpu_gru.cc and
rnn.cc. W x of all steps is one product; every step multiplies the state by R, which is read again
each time, and applies the gates. LSTM and GRU pack constant weights, RNN multiplies by them
transposed. Directions follow one another. DynamicQuantizeLSTM multiplies in 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlsys_lint.records import Contraction, Kernel, NodeView
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.sgemm import Product, product_terms, share_of

_FLOAT: Final = frozenset({"ai.onnx::LSTM", "ai.onnx::GRU", "ai.onnx::RNN"})
_INTEGER: Final = "com.microsoft::DynamicQuantizeLSTM"


def terms(kernel: Kernel, machine: Machine) -> tuple[str, Mapping[str, float]] | None:
    """(class, terms) of a recurrent layer; None for any other kernel."""
    view = kernel.view
    if view is None:
        return None
    if kernel.op in _FLOAT:
        return "recurrent", _float(kernel, view, machine)
    if kernel.op == _INTEGER:
        return "recurrent_integer", _integer(kernel, machine)
    return None


def _float(kernel: Kernel, view: NodeView, machine: Machine) -> dict[str, float]:
    inputs, states = kernel.cost.contractions
    cell = view.op_type
    packed = cell != "RNN" and view.input(1).constant
    found: dict[str, float] = {}
    for one in (inputs, states):
        product = Product(m=one.m, n=one.n, k=one.k, packed=packed, trans_b=True)
        for name, amount in product_terms(product, machine).items():
            found[name] = found.get(name, 0.0) + amount * one.batch
    found[f"gate_{cell.lower()}"] = states.batch * states.m * states.n
    found["step"] = states.batch
    found |= _recurrence(states.n * states.k * 4, states.batch, machine)
    return {**found, **machine.beyond(kernel.touches), "kernel": 1}


def _integer(kernel: Kernel, machine: Machine) -> dict[str, float]:
    inputs, states = kernel.cost.contractions
    return {
        "mac": inputs.batch * _busiest(inputs, machine),
        "state_mac": states.batch * _busiest(states, machine),
        "gate": states.batch * states.m * states.n,
        "step": states.batch,
        **_recurrence(states.n * states.k, states.batch, machine),
        **machine.beyond(kernel.touches),
        "kernel": 1,
    }


def _busiest(one: Contraction, machine: Machine) -> int:
    """Multiply-adds of one product that the thread with most columns does; as in float products."""
    share = share_of(Product(m=one.m, n=one.n, k=one.k, packed=True), machine)
    return share.m * share.n * share.k


def _recurrence(nbytes: int, steps: int, machine: Machine) -> dict[str, float]:
    """Bytes of R that steps find beyond the private caches."""
    shares = machine.shares(nbytes)
    return {
        f"state_{level}": steps * nbytes * shares[level]
        for level in ("l3", "dram")
        if shares[level]
    }
