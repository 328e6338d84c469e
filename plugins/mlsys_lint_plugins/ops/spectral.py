"""Fourier transforms and the filters and windows that go with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.ranks import Formula, ranked


def transform_ops(length: int, *, real: bool) -> int:
    """Operations of one fast transform: 5 n log2 n, half of it for real data.

    The convention of FFTW's benchmark (fftw.org/speed); log2 n is rounded up. The table of roots of
    unity is not counted.
    """
    whole = 5 * length * (length - 1).bit_length() if length > 1 else 0
    return whole // 2 if real else whole


def fourier(node: NodeView) -> OpCost | Declined:
    """One transform of the DFT's length for each line along `axis`; inverse: a scale per result.

    A length that is shorter than the axis leaves the rest of it unread. An axis that is not known is
    the longest one at most: a transform takes the more operations per element the longer it is.
    """
    data, result = node.input(0), node.output()
    given = _axis(node)
    axis = max(range(data.rank - 1), key=result.dims.__getitem__) if given is None else given
    if not -data.rank <= axis < data.rank or result.rank != data.rank:
        return Declined(f"the input has no axis {axis}")
    axis %= data.rank
    real = data.dims[-1] == 1 or result.dims[-1] == 1
    length = _given(node, 1) or max(data.dims[axis], result.dims[axis])
    halved = node.integer("inverse", 0) and node.integer("onesided", 0)
    needed = length // 2 + 1 if halved else length
    kept = data.dims[axis] if given is None else min(data.dims[axis], needed)
    read = replace(data, shape=(*data.dims[:axis], kept, *data.dims[axis + 1 :]))
    lines = result.numel // (result.dims[axis] * result.dims[-1]) if result.numel else 0
    scaled = result.numel if node.integer("inverse", 0) else 0
    return cost(
        node,
        kernel_class="fft",
        vector_ops=lines * transform_ops(length, real=real) + scaled,
        read=(read,),
        assumptions=("data-dependent: along the longest axis",) if given is None else (),
    )


def _axis(node: NodeView) -> int | None:
    """An attribute (default 1) until opset 19, then an input (default -2)."""
    if node.opset < 20:
        return node.integer("axis", 1)
    return -2 if node.optional_input(2) is None else _given(node, 2)


def _given(node: NodeView, position: int) -> int | None:
    tensor = node.optional_input(position)
    if tensor is None or tensor.value is None or tensor.value.size != 1:
        return None
    return int(tensor.value.reshape(-1)[0])


def short_time_fourier(node: NodeView) -> OpCost:
    """For each frame a product with the window per sample, if there is one, and a transform.

    Samples between frames that do not touch, and after the last one, are not read.
    """
    signal, result, window = node.input(0), node.output(), node.optional_input(2)
    batch, frames, _, _ = result.dims
    length = window.dims[0] if window is not None else _given(node, 3) or signal.dims[1]
    parts = signal.dims[2] if signal.rank == 3 else 1
    windowed = length * parts if window is not None else 0
    step = min(length, _given(node, 1) or length)
    reached = min(signal.dims[1], step * (frames - 1) + length) if frames else 0
    read = replace(signal, shape=(signal.dims[0], reached, parts))
    return cost(
        node,
        kernel_class="fft",
        vector_ops=batch * frames * (windowed + transform_ops(length, real=parts == 1)),
        read=(read, 2),
    )


def mel_weights(node: NodeView) -> OpCost | Declined:
    """Per edge of a band 8 operations and a power; per weight at most 2 (difference, division).

    Weights outside of their band are 0 and take none; how wide the bands are depends on the rates
    and frequencies that are given.
    """
    weights = node.output()
    if weights.rank != 2:
        return Declined("the output is no matrix")
    edges = weights.dims[1] + 2
    return cost(
        node,
        kernel_class="fill",
        vector_ops=2 * weights.numel + 8 * edges,
        transcendentals=edges,
        bytes_read=0,
        assumptions=("data-dependent, at most: every weight is in its band",),
    )


def window(node: NodeView) -> OpCost:
    """Per element the position, its angle and, for each cosine, a product and a sum: 2 + 2 c.

    Hann and Hamming take one cosine, Blackman two and the doubled angle (1 more). Onnx's body gives
    Hann and Hamming a second cosine with factor 0, which is not counted, nor are its scalars.
    """
    elements = node.output().numel
    cosines, each = (2, 7) if node.op_type == "BlackmanWindow" else (1, 4)
    return cost(
        node,
        kernel_class="fill",
        bytes_read=0,
        vector_ops=each * elements,
        transcendentals=cosines * elements,
    )


def _spec(name: str, estimate: Formula, *shape_inputs: int) -> OperatorSpec:
    return OperatorSpec(
        domain="", op_type=name, since_version=17, estimate=estimate, shape_inputs=shape_inputs
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("DFT", ranked(fourier, least={0: 2}), 1, 2),
    _spec("STFT", ranked(short_time_fourier, least={0: 2}, exactly={2: 1}), 1, 3),
    _spec("MelWeightMatrix", mel_weights, 0, 1, 2, 3, 4),
    *(_spec(name, window, 0) for name in ("HannWindow", "HammingWindow", "BlackmanWindow")),
)
