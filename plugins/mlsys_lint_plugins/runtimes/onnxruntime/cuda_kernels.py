"""Which operators run on a GPU: kernels of the CUDA execution provider, and what it leaves to the CPU.

`cuda_kernels.json` has the form of the CPU's table (cpu_kernels.py). It was written from the registry
of onnxruntime-gpu 1.31.1, the last release whose provider could be loaded, without a GPU; kernels
for channels last are left out. Which operands stay in host memory, and what is refused in spite of
a kernel, was read in onnxruntime/core/providers/cuda and contrib_ops/cuda (cuda_execution_provider.cc,
GetCapability).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from mlsys_lint.program import Op, Value
from mlsys_lint_plugins.runtimes.onnxruntime.cpu_kernels import has_kernel_for, version_of
from mlsys_lint_plugins.runtimes.onnxruntime.duplicate_casts import INSERTED
from mlsys_lint_plugins.runtimes.onnxruntime.matching import never

_CONTRIB: Final = "com.microsoft"
_SECOND: Final = (1,)
_REDUCTIONS: Final = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum")

HOST_INPUTS: Final[Mapping[tuple[str, str], tuple[int, ...]]] = {
    **{
        ("", name): _SECOND
        for name in (
            *("CumSum", "Expand", "Reshape", "SequenceAt", "SequenceErase", "Split", "Squeeze"),
            *("Tile", "TopK", "Trilu", "Unsqueeze", "Upsample", "ReduceSumSquare"),
            *(f"Reduce{name}" for name in _REDUCTIONS),
        )
    },
    ("", "ConstantOfShape"): (0,),
    ("", "Dropout"): (1, 2),
    ("", "If"): (0,),
    ("", "Loop"): (0, 1),
    ("", "MatMulInteger"): (2, 3),
    ("", "MemcpyFromHost"): (0,),
    ("", "NonMaxSuppression"): (2, 3, 4),
    ("", "OneHot"): (1, 2),
    ("", "Pad"): (1, 2, 3),
    ("", "Range"): (0, 1, 2),
    ("", "Resize"): (1, 2, 3),
    ("", "SequenceInsert"): (2,),
    ("", "Slice"): (1, 2, 3, 4),
    **{("", name): (4,) for name in ("GRU", "LSTM", "RNN")},
    (_CONTRIB, "Attention"): (6,),
    (_CONTRIB, "BiasDropout"): (3, 4),
    (_CONTRIB, "DecoderMaskedMultiHeadAttention"): (7, 8),
    (_CONTRIB, "DecoderMaskedSelfAttention"): (6, 7),
    (_CONTRIB, "GroupQueryAttention"): (6,),
    (_CONTRIB, "MultiHeadAttention"): (8,),
    (_CONTRIB, "PagedAttention"): (16,),
    (_CONTRIB, "QAttention"): (3, 4, 6, 7),
    (_CONTRIB, "SparseAttention"): (7,),
    (_CONTRIB, "Trilu"): _SECOND,
}
"""Inputs that a GPU kernel reads in host memory."""
HOST_OUTPUTS: Final = frozenset(
    {("", name) for name in ("MemcpyToHost", "SequenceLength", "Shape", "Size")}
)
"""Kernels of the provider whose result is in host memory."""


def runs_on_gpu(op: Op) -> bool:
    """True where the CUDA provider has a kernel for an operator's types and takes it."""
    if _REFUSED.get(op.op_type, never)(op):
        return False
    return _has_kernel(op.domain, op.op_type, version_of(op), _types(op.inputs), _types(op.outputs))


def reads_on_host(op: Op, position: int) -> bool:
    """True for an input that the operator's GPU kernel reads in host memory."""
    return position in HOST_INPUTS.get((op.domain, op.op_type), ())


def _types(values: Iterable[Value | None]) -> tuple[str | None, ...]:
    return tuple(
        value.dtype if value is not None and value.kind == "tensor" else None for value in values
    )


@lru_cache(maxsize=4096)
def _has_kernel(
    domain: str,
    op_type: str,
    since_version: int,
    inputs: tuple[str | None, ...],
    outputs: tuple[str | None, ...],
) -> bool:
    return has_kernel_for(domain, op_type, since_version, inputs, outputs, provider="cuda")


def _is_unusual_network(op: Op) -> bool:
    """A recurrent network that cuDNN has no way to compute."""
    if any(name in op.attributes for name in ("activation_alpha", "activation_beta", "clip")):
        return True
    given = op.attributes.get("activations")
    usual = _ACTIVATIONS[op.op_type]
    if isinstance(given, tuple) and any(
        str(one).lower() != name for one, name in zip(given, usual * 2, strict=False)
    ):
        return True
    if op.op_type == "GRU":
        return op.integer("linear_before_reset", 0) != 1
    return op.integer("input_forget", 0) != 0 or op.input(_PEEPHOLE) is not None


_PEEPHOLE: Final = 7
_ACTIVATIONS: Final = {
    "GRU": ("sigmoid", "tanh"),
    "LSTM": ("sigmoid", "tanh", "tanh"),
    "RNN": ("tanh",),
}


def _is_padded_unevenly(op: Op) -> bool:
    """A ConvTranspose whose padding differs at both ends, or might."""
    pads = op.integers("pads") or ()
    half = len(pads) // 2
    return pads[:half] != pads[half:] or op.text("auto_pad") in ("SAME_UPPER", "SAME_LOWER")


def _takes_last(op: Op) -> bool:
    return op.integer("select_last_index", 0) != 0


def _serves_cpu(op: Op) -> bool:
    """A Cast that was inserted for a kernel of the CPU (insert_cast_transformer.cc)."""
    return op.name == INSERTED


_REFUSED: Final[Mapping[str, Callable[[Op], bool]]] = {
    **dict.fromkeys(_ACTIVATIONS, _is_unusual_network),
    "ArgMax": _takes_last,
    "ArgMin": _takes_last,
    "Cast": _serves_cpu,
    "ConvTranspose": _is_padded_unevenly,
}
