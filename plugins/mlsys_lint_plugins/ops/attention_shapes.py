"""Shapes of ai.onnx Attention: onnx leaves the present keys and values open where no past is given."""

from __future__ import annotations

from onnx.shape_inference import InferenceContext

from mlsys_lint_plugins.ops.inference import Sizes, element_type, integer, put, sizes, total


def infer_attention(context: InferenceContext) -> None:
    """Y like Q with V's width; present keys and values [B, Hkv, past + T, D]; scores [B, H, S, past + T]."""
    q, k, v = (
        _by_heads(sizes(context, position), integer(context, name))
        for position, name in enumerate(("q_num_heads", "kv_num_heads", "kv_num_heads"))
    )
    past, given = sizes(context, 4), sizes(context, 0)
    if q is None or k is None or v is None or given is None:
        return
    keys = k[2] if past is None else total(past[2], k[2])
    kind, y = element_type(context, 0), (*q[:3], v[3])
    if len(given) == 3:
        width = None if q[1] is None or v[3] is None else q[1] * v[3]
        y = (given[0], given[1], width)
    put(context, 0, kind, y)
    put(context, 1, element_type(context, 1), (k[0], k[1], keys, k[3]))
    put(context, 2, element_type(context, 2), (v[0], v[1], keys, v[3]))
    put(context, 3, kind, (q[0], q[1], q[2], keys))


def _by_heads(shape: Sizes | None, heads: int) -> Sizes | None:
    """[B, H, S, D], also of [B, S, H * D]."""
    if shape is None or len(shape) == 4:
        return shape
    if len(shape) != 3 or not heads:
        return None
    batch, length, width = shape
    return (batch, heads, length, None if width is None else width // heads)
