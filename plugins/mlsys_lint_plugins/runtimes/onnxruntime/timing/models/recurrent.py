"""Networks of recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net

_GATES: Final = {"LSTM": 4, "GRU": 3, "RNN": 1}
_SIZES: Final = (
    *((16, 1, 64, 64, 1), (1, 1, 128, 256, 1), (32, 1, 128, 128, 2), (8, 4, 96, 192, 1)),
    *((12, 1, 256, 512, 1), (100, 1, 40, 48, 2), (6, 16, 64, 128, 2), (1, 1, 64, 128, 1)),
    *((20, 1, 200, 300, 1), (10, 2, 256, 256, 1), (4, 8, 300, 256, 1), (40, 1, 80, 128, 1)),
    *((20, 1, 128, 512, 1), (12, 1, 384, 400, 2), (24, 1, 512, 320, 1)),
)
"""(steps, sequences, inputs, hidden, directions)."""
_QUANTIZED: Final = (
    *((16, 1, 64, 128, 1), (32, 1, 128, 256, 1), (8, 4, 256, 256, 2), (1, 1, 64, 64, 1)),
    *((8, 1, 512, 512, 1), (12, 1, 40, 300, 2), (20, 1, 256, 512, 1), (40, 1, 128, 300, 1)),
    *((16, 2, 300, 384, 1), (60, 1, 64, 96, 2)),
)


def recurrent() -> Iterator[Net]:
    """All of them."""
    for part in range(3):
        yield _layers(part)
    for part in range(2):
        yield _quantized(part)


def _layers(part: int) -> Net:
    """All three cells at some of the sizes, each cell at most of them."""
    net = Net(f"recurrent_{part}")
    for kind in _GATES:
        for steps, batch, inputs, hidden, directions in _SIZES[part::3]:
            net.output(_layer(net, kind, net.input(steps, batch, inputs), hidden, directions))
    return net


def _layer(net: Net, kind: str, x: str, hidden: int, directions: int) -> str:
    steps, batch, inputs = net.shape[x]
    rows = _GATES[kind] * hidden
    options: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    return net.op(
        kind,
        x,
        net.weight(directions, rows, inputs, fan_in=inputs),
        net.weight(directions, rows, hidden, fan_in=hidden),
        net.weight(directions, 2 * rows),
        shape=(steps, directions, batch, hidden),
        hidden_size=hidden,
        direction="bidirectional" if directions > 1 else "forward",
        **options,
    )


def _quantized(part: int) -> Net:
    """LSTM with weights in 8 bits."""
    net = Net(f"recurrent_quantized_{part}")
    for steps, batch, inputs, hidden, directions in _QUANTIZED[part::2]:
        scales = np.full(directions, 2**-9, np.float32)
        zeros: NDArray[Any] = np.zeros(directions, np.int8)
        x = net.input(steps, batch, inputs)
        y = net.contrib(
            "DynamicQuantizeLSTM",
            x,
            net.weight(directions, inputs, 4 * hidden, dtype=np.int8),
            net.weight(directions, hidden, 4 * hidden, dtype=np.int8),
            net.weight(directions, 8 * hidden),
            *("", "", "", ""),
            *(net.constant(scales), net.constant(zeros)) * 2,
            shape=(steps, directions, batch, hidden),
            hidden_size=hidden,
            direction="bidirectional" if directions > 1 else "forward",
        )
        net.output(y)
    return net
