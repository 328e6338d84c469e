"""ONNX Runtime's CPU provider convolves directly: what the floor of a convolution rests on."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from mlsys_lint.testing import model_from_text


def _tiles(values: list[float]) -> list[float]:
    """Two results of F(2, 3) with the filter (0, 1, 0), in fp32, as Winograd's algorithm has them.

    Lavin & Gray, arXiv:1509.09308, section 4.1.
    """
    d0, d1, d2, d3 = (np.float32(value) for value in values)
    half = np.float32(0.5)
    m1, m2 = (d1 + d2) * half, (d2 - d1) * -half
    return [float(np.float32(0) * (d0 - d2) + m1 + m2), float(m1 - m2 - (d1 - d3) * np.float32(0))]


def test_the_probe_tells_the_algorithms_apart() -> None:
    # Directly the results are the two values in the middle; transformed, the large one drowns 2.
    assert _tiles([1, 2, 3, 4]) == [2, 3]
    assert _tiles([1, 2, 1e30, 4])[0] != 2


@pytest.mark.parametrize(
    "sizes",  # batch, channels, filters, side, padding
    [
        (1, 3, 64, 56, 1),
        (1, 16, 16, 7, 1),
        (1, 16, 32, 28, 0),
        (1, 64, 64, 14, 1),
        (1, 64, 64, 56, 1),  # later mlas: 25 and more results a side
        (4, 64, 64, 28, 1),
        (1, 20, 100, 31, 1),
        (1, 128, 128, 28, 1),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_onnxruntime_convolves_directly(
    sizes: tuple[int, int, int, int, int], threads: int
) -> None:
    """Only the filter's middle is set, so every result is that of its own pixel.

    A pixel of 1e30 leaves all other results as they were, to the bit, unless a transform (Winograd,
    Fourier) mixes it with them.
    """
    onnxruntime = pytest.importorskip("onnxruntime")
    batch, channels, filters, side, pad = sizes
    out = side + 2 * pad - 2
    random = np.random.default_rng(0)
    model = model_from_text(f"""g (float[{batch},{channels},{side},{side}] x)
        => (float[{batch},{filters},{out},{out}] y) <float[{filters},{channels},3,3] w> {{
        y = Conv<pads=[{pad},{pad},{pad},{pad}]>(x, w)
    }}""")
    weight = np.zeros((filters, channels, 3, 3), np.float32)
    weight[:, :, 1, 1] = random.integers(-3, 4, (filters, channels))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = random.integers(-3, 4, (batch, channels, side, side)).astype(np.float32)
    (before,) = session.run(None, {"x": x})
    for row, column in ((side // 2, side // 2), (side // 2 + 1, side // 2 + 1), (1, 2)):
        changed = x.copy()
        changed[:, :: channels // 2, row, column] = 1e30
        (after,) = session.run(None, {"x": changed})
        own = (slice(None), slice(None), row + pad - 1, column + pad - 1)
        after[own] = before[own]
        assert np.array_equal(before, after)
