"""LLaMA-7B as ONNX text: 32 layers, width 4096, inner 11008, 32 heads, 32,000 tokens, bfloat16.

Weights are declared only (external data that is never read).
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from mlsys_lint.testing import model_from_text

LAYERS, WIDTH, INNER, HEADS, WORDS, TOKENS = 32, 4096, 11008, 32, 32000, 256


def llama(*, exported: bool) -> onnx.ModelProto:
    """One sequence of 256 tokens.

    `exported`: as transformers' modelling code is exported: normalizations and softmax computed in
    float between Casts, SiLU as a sigmoid and a product. Otherwise one operator for each, in bf16.
    """
    size = WIDTH // HEADS
    weights = {
        "embedding": f"{WORDS},{WIDTH}",
        "head": f"{WIDTH},{WORDS}",
        "last": f"{WIDTH}",
        "cos": f"1,{TOKENS},{size // 2}",
        "sin": f"1,{TOKENS},{size // 2}",
    }
    for layer in range(LAYERS):
        weights |= {f"w{name}{layer}": f"{WIDTH},{WIDTH}" for name in "qkvo"}
        weights |= {f"w{name}{layer}": f"{WIDTH},{INNER}" for name in ("gate", "up")}
        weights |= {f"wdown{layer}": f"{INNER},{WIDTH}"}
        weights |= {f"{name}{layer}": f"{WIDTH}" for name in ("first", "second")}
    declared = ", ".join(f"bfloat16[{shape}] {name}" for name, shape in weights.items())
    constants = (
        f"split = Constant<value_ints=[1,{TOKENS},{HEADS},{size}]>() "
        f"merge = Constant<value_ints=[1,{TOKENS},{WIDTH}]>() "
        "root = Constant<value_float=0.0884>() scale = Cast<to=16>(root) "
    )
    norm = _norm_in_float if exported else _norm
    body = " ".join(
        [
            "x0 = Gather(embedding, tokens)",
            *(line for layer in range(LAYERS) for line in _layer(layer, exported=exported)),
            *norm(f"x{LAYERS}", "last", "normed"),
            "scores = MatMul(normed, head)",
        ]
    )
    if exported:
        constants += (
            "eps = Constant<value_float=0.00001>() two = Constant<value_float=2.0>() "
            "axis = Constant<value_ints=[-1]>() "
        )
    return model_from_text(
        f"llama (int64[1,{TOKENS}] tokens, bfloat16[{TOKENS},{TOKENS}] mask) "
        f"=> (bfloat16[1,{TOKENS},{WORDS}] scores) <{declared}> "
        f"{{ {constants}{body} }}",
        opset=24,
    )


def _layer(layer: int, *, exported: bool) -> Iterator[str]:
    norm = _norm_in_float if exported else _norm
    lines = [
        *norm("X", "first#", "n1@"),
        *(f"p{n}@ = MatMul(n1@, w{n}#) s{n}@ = Reshape(p{n}@, split)" for n in "qkv"),
        *(f"{n}h@ = Transpose<perm=[0,2,1,3]>(s{n}@)" for n in "qkv"),
        "q@ = RotaryEmbedding(qh@, cos, sin) k@ = RotaryEmbedding(kh@, cos, sin)",
        "kt@ = Transpose<perm=[0,1,3,2]>(k@) raw@ = MatMul(q@, kt@)",
        "scaled@ = Mul(raw@, scale) masked@ = Add(scaled@, mask)",
        *(_softmax_in_float() if exported else ["p@ = Softmax<axis=-1>(masked@)"]),
        "c@ = MatMul(p@, vh@) ct@ = Transpose<perm=[0,2,1,3]>(c@) cm@ = Reshape(ct@, merge)",
        "o@ = MatMul(cm@, wo#) y@ = Add(X, o@)",
        *norm("y@", "second#", "n2@"),
        "g@ = MatMul(n2@, wgate#) u@ = MatMul(n2@, wup#)",
        "sg@ = Sigmoid(g@) a@ = Mul(g@, sg@)" if exported else "a@ = Swish(g@)",
        "m@ = Mul(a@, u@) d@ = MatMul(m@, wdown#) Y = Add(y@, d@)",
    ]
    for line in lines:
        text = line.replace("X", f"x{layer}").replace("Y", f"x{layer + 1}")
        yield text.replace("@", f"_{layer}").replace("#", str(layer))


def _norm(source: str, weight: str, result: str) -> list[str]:
    return [f"{result} = RMSNormalization<axis=-1>({source}, {weight})"]


def _norm_in_float(source: str, weight: str, result: str) -> list[str]:
    return [
        f"f_{result} = Cast<to=1>({source}) s_{result} = Pow(f_{result}, two)",
        f"v_{result} = ReduceMean(s_{result}, axis)",
        f"e_{result} = Add(v_{result}, eps) r_{result} = Sqrt(e_{result})",
        f"i_{result} = Reciprocal(r_{result}) h_{result} = Mul(f_{result}, i_{result})",
        f"b_{result} = Cast<to=16>(h_{result}) {result} = Mul({weight}, b_{result})",
    ]


def _softmax_in_float() -> list[str]:
    return ["mf@ = Cast<to=1>(masked@) pf@ = Softmax<axis=-1>(mf@) p@ = Cast<to=16>(pf@)"]
