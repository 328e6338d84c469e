"""What a session of ONNX Runtime's CPU provider keeps besides weights and activations.

Resident memory of fresh processes on release 1.32.0, x86-64 Linux with glibc, one thread: 126
models of 0.1 to 1,800 MB, after loading and after 8 runs, over a process with numpy alone. Weights
are held once, in the layout of the kernel that reads them: one model with a single tensor of 150 MB
holds 1.00 times that, whether the kernel is MatMul, Conv, LSTM or Gather. While they are laid out
anew, the tensors of the file, the new ones and those in between are there together; what is freed
of blocks below 32 MiB stays with the process (`malloc_trim` gives it back). Factors are those of a
least-squares fit on relative errors; fits to one half and the other of the models differ by less
than a tenth of a weight's size. Expected memory was then within 6 % of the measured one in the
median and 15 % for nine models in ten.
"""

from __future__ import annotations

from typing import Final

_BLOCKED: Final = (1.0, 1.5, 2.0)
_PACKED: Final = (0.1, 0.45, 0.75)
_MICROSOFT: Final = (
    *("FusedMatMul", "FusedGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QGemm"),
    *("Attention", "QAttention", "DynamicQuantizeLSTM", "MatMulNBits"),
)
LOAD_REMAINDER: Final = {
    ("com.microsoft.nchwc", "Conv"): _BLOCKED,
    **{
        ("", name): _PACKED
        for name in (
            *("MatMul", "Gemm", "LSTM", "GRU", "RNN", "ConvTranspose"),
            *("MatMulInteger", "QLinearMatMul", "QLinearConv"),
        )
    },
    **{("com.microsoft", name): _PACKED for name in _MICROSOFT},
}
"""Kernels that lay out their constants anew -> freed memory over the constants' bytes."""
BASE_BYTES: Final = (30_000_000, 33_000_000, 40_000_000)
"""A tiny session that ran once: 21 MB for the library, 10 for the session, 2 for the first run."""
KERNEL_BYTES: Final = (8_000, 12_000, 20_000)
"""Nodes, kernels and plans of a loaded graph, from the same fit."""
ACTIVATION_SLACK: Final = (1.0, 1.6, 2.2)
"""Growth from the first to the eighth run over the peak of the activations, of those above 2 MB.

The tenth, the median and the nine tenths are 0.0 (there was room left over from loading), 1.6 and
2.2: the regions of the first run stay when the second takes one block for all.
"""
