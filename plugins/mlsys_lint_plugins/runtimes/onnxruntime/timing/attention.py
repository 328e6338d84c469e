"""Attention operators, rotary embeddings and Einsum.

Sources: microsoft/onnxruntime, contrib_ops/cpu/bert/attention_cpu_base.h, gqa_attention_base.h and
multihead_attention.cc, core/providers/cpu/llm/attention.cc. Queries, keys and values are first copied
so that the rows of a head lie one after the other; each head multiplies Q by K (stored transposed,
with the scale as alpha, so that one query takes no shortcut), takes the softmax in place and
multiplies by V, on one thread. The projection of com.microsoft.Attention is packed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import Final

from mlsys_lint.records import Contraction, Kernel, NodeView
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.sgemm import Product, product_terms

_ATTENTIONS: Final = frozenset(
    {
        "ai.onnx::Attention",
        *(
            f"com.microsoft::{name}"
            for name in (
                *("Attention", "MultiHeadAttention", "GroupQueryAttention", "SparseAttention"),
                *("DecoderMaskedMultiHeadAttention", "DecoderMaskedSelfAttention"),
            )
        ),
    }
)
_GROUPED: Final = frozenset({"GroupQueryAttention", "SparseAttention"})
"""They take the softmax row by row, of the keys that a query sees."""
_MINOR: Final = frozenset({"block", "stall", "product", "axpys", "output", "conflict"})
"""Terms of products that the softmax of grouped attention drowns."""
_BIAS: Final = {"MultiHeadAttention": 3, "DecoderMaskedMultiHeadAttention": 10}
"""Position of a bias of the projections."""
_ROTARY: Final = frozenset({"ai.onnx::RotaryEmbedding", "com.microsoft::RotaryEmbedding"})
_FLOAT_BYTES: Final = 4
_PAIR: Final = 2


def terms(kernel: Kernel, machine: Machine) -> tuple[str, Mapping[str, float]] | None:
    """(class, terms) of an attention, a rotary embedding or an Einsum; None for anything else."""
    view = kernel.view
    if view is None:
        return None
    if kernel.op in _ATTENTIONS:
        found = _attention(kernel, view, machine)
        if view.op_type not in _GROUPED:
            return "attention", found
        kept = {name: amount for name, amount in found.items() if name not in _MINOR}
        return "attention_grouped", kept
    if kernel.op in _ROTARY:
        return "rotary", _rotary(kernel, view, machine)
    if kernel.op == "ai.onnx::Einsum":
        return "einsum", _einsum(kernel, view, machine)
    return None


def _attention(kernel: Kernel, view: NodeView, machine: Machine) -> dict[str, float]:
    *projections, scores, values = kernel.cost.contractions
    found: Counter[str] = Counter()
    for one in projections:
        found.update(product_terms(Product(m=one.m, n=one.n, k=one.k, packed=True), machine))
    found.update(product_terms(_product(scores, trans_b=True, scaled=True), machine))
    found.update(product_terms(_product(values), machine))
    found["fork"] = min(found["fork"], 1)
    share = min(machine.threads, scores.batch)
    hidden = kernel.cost.macs_masked // (scores.k + values.n)
    seen = scores.batch * scores.m * scores.n - hidden * (view.op_type in _GROUPED)
    found["softmax"] = ceil(seen / share)
    found["row"] = ceil(scores.batch * scores.m / share)
    position = _BIAS.get(view.op_type)
    if position is not None and view.optional_input(position) is not None:
        found["biased"] = sum(view.input(at).numel for at in range(3))
    return {**_moved(kernel), **_positive(found), **machine.beyond(kernel.touches), "kernel": 1}


def _rotary(kernel: Kernel, view: NodeView, machine: Machine) -> dict[str, float]:
    """Rows are those of one head and token."""
    data = view.input(0)
    tables = view.input(2 if view.domain else 1)
    return {
        "element": data.numel / machine.threads,
        "row": data.numel // (2 * tables.dims[-1]) / machine.threads,
        **machine.beyond(kernel.touches),
        "kernel": 1,
    }


def _einsum(kernel: Kernel, view: NodeView, machine: Machine) -> dict[str, float]:
    """Operands are brought into the order of a batched product where they are not in it."""
    found: Counter[str] = Counter()
    for one in kernel.cost.contractions:
        found.update(product_terms(_product(one), machine))
    found["turned"] = turned_elements(view)
    return {**_moved(kernel), **_positive(found), **machine.beyond(kernel.touches), "kernel": 1}


def turned_elements(view: NodeView) -> int:
    """Elements of operands and result that Einsum transposes.

    Two operands are wanted as [both, left, summed] and [both, summed, right], one as the result is.
    """
    inputs, _, result = view.text("equation").replace(" ", "").partition("->")
    operands = inputs.split(",")
    if not result or "." in inputs or len(operands) > _PAIR:
        return 0
    if len(operands) == 1:
        return view.input(0).numel if inputs != result else 0
    left, right = operands
    both = [one for one in left if one in right and one in result]
    summed = [one for one in left if one in right and one not in result]
    only = [[one for one in side if one not in (*both, *summed)] for side in operands]
    found = view.input(0).numel if [*both, *only[0], *summed] != list(left) else 0
    found += view.input(1).numel if [*both, *summed, *only[1]] != list(right) else 0
    return found + (view.output().numel if [*both, *only[0], *only[1]] != list(result) else 0)


def _product(one: Contraction, *, trans_b: bool = False, scaled: bool = False) -> Product:
    return Product(batch=one.batch, m=one.m, n=one.n, k=one.k, trans_b=trans_b, scaled=scaled)


def _moved(kernel: Kernel) -> dict[str, float]:
    """Elements of operands and results, which are copied into or out of the order of heads."""
    cost = kernel.cost
    moved = cost.bytes_read - cost.weight_bytes + cost.bytes_written
    return {"moved": moved / _FLOAT_BYTES}


def _positive(found: Mapping[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in found.items() if amount}
