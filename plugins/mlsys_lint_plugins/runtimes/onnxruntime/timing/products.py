"""Matrix products: MatMul, Gemm and what the runtime fuses them to.

Sources: microsoft/onnxruntime, core/providers/cpu/math/matmul.cc and gemm.cc. A constant B of two
axes is packed when the model is loaded (GemmPackBFp32); a stack of matrices is not. Gemm first
writes its bias over the whole output, on one thread, and adds to it; an activation passes over the
output once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlsys_lint.records import Kernel, NodeView
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.sgemm import Product, product_terms

_PRODUCTS: Final = frozenset(
    {
        *("ai.onnx::MatMul", "ai.onnx::Gemm"),
        *("com.microsoft::FusedMatMul", "com.microsoft::FusedGemm"),
    }
)
_CHEAP: Final = frozenset({"Relu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu"})
_MATRIX: Final = 2
_ALIKE: Final = frozenset({"stall", "output", "conflict"})
"""Terms that say the same as `flop` and `block` where A is one row."""


def terms(kernel: Kernel, machine: Machine) -> tuple[str, Mapping[str, float]] | None:
    """(class, terms) of a matrix product; None for any other kernel."""
    view = kernel.view
    if view is None or kernel.op not in _PRODUCTS or not kernel.cost.contractions:
        return None
    product = product_of(kernel, view)
    found = {
        **product_terms(product, machine),
        **_epilogue(view),
        **machine.beyond(kernel.touches),
        "kernel": 1.0,
    }
    if not product.packed:
        return "batched_matmul", found
    if product.m == 1:
        return "gemv", {name: amount for name, amount in found.items() if name not in _ALIKE}
    return "gemm", found


def product_of(kernel: Kernel, view: NodeView) -> Product:
    """The product behind a kernel, with how its operands are stored."""
    shape = kernel.cost.contractions[0]
    second = view.input(1)
    return Product(
        batch=shape.batch,
        m=shape.m,
        n=shape.n,
        k=shape.k,
        packed=second.constant and second.rank == _MATRIX and second.dtype == "float",
        trans_a=view.integer("transA", 0) == 1,
        trans_b=view.integer("transB", 0) == 1,
        scaled=_is_scaled(kernel, view),
        biased=_has_bias(view),
    )


def _is_scaled(kernel: Kernel, view: NodeView) -> bool:
    """A factor is given, or a node besides the product and the transposes of its operands is fused."""
    transposes = view.integer("transA", 0) + view.integer("transB", 0)
    fused = view.op_type == "FusedMatMul" and len(kernel.nodes) > 1 + transposes
    return fused or view.attributes.get("alpha", 1.0) != 1.0


def _epilogue(view: NodeView) -> dict[str, float]:
    """Elements of the passes before and after the product."""
    found: dict[str, float] = {}
    elements = view.output().numel
    if _has_bias(view):
        found["bias"] = elements
    activation = view.text("activation")
    if activation:
        found["relu" if activation in _CHEAP else "transcendental"] = elements
    return found


def _has_bias(view: NodeView) -> bool:
    return view.op_type in ("Gemm", "FusedGemm") and view.optional_input(2) is not None
