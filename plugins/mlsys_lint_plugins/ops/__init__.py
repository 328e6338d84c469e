"""Operators that mlsys-lint knows, one family a module; each module lists its OPERATORS."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from mlsys_lint import OperatorSpec, hookimpl
from mlsys_lint_plugins.ops.gradients import with_gradients

FAMILIES: Final = (
    "activation",
    "attention",
    "conv",
    "elementwise",
    "indexing",
    "legacy",
    "linear",
    "ml",
    "ml_trees",
    "ml_vectors",
    "movement",
    "msft",
    "msft_attention",
    "msft_attn_lstm",
    "msft_bias",
    "msft_decoder_attention",
    "msft_decoding",
    "msft_delta_net",
    "msft_gating",
    "msft_group_norm",
    "msft_group_query",
    "msft_hyper",
    "msft_linear_attention",
    "msft_math",
    "msft_misc",
    "msft_moe",
    "msft_multi_head",
    "msft_nchwc",
    "msft_ngram",
    "msft_nhwc",
    "msft_normalization",
    "msft_paged_attention",
    "msft_qembed",
    "msft_qfloat",
    "msft_qlinear",
    "msft_qmoe",
    "msft_qnbits",
    "msft_qordered",
    "msft_qpacked",
    "msft_quantized",
    "msft_rotary",
    "msft_router",
    "msft_signal",
    "msft_sparse_attention",
    "msft_sparse_indexer",
    "msft_state_space",
    "normalization",
    "pooling",
    "quantization",
    "recurrent",
    "reduction",
    "resampling",
    "sequence",
    "spectral",
    "tensorrt",
    "text",
    "training",
)


@hookimpl
def register_operators() -> list[OperatorSpec]:
    """The specs of every family."""
    families = (import_module(f"{__name__}.{family}").OPERATORS for family in FAMILIES)
    return list(with_gradients(spec for family in families for spec in family))
