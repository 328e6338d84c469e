"""Write the sample models: small, deterministic, ours.

    python sample_models/build.py [FOLDER]        default: beside this file

Weights are drawn with a fixed seed, or made by ConstantOfShape where they would be large. The same
onnx release writes the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

HEADER = '<ir_version: 8, opset_import: ["": 17], producer_name: "mlsys-lint samples">'


class Weights:
    """Draws weights for the text models: `float[6,1,5,5] w1` becomes an initializer."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: list[TensorProto] = []

    def add(self, name: str, *shape: int) -> str:
        """A weight with values of a usual size; returns its name."""
        values = self.random.standard_normal(shape).astype(np.float32) * 0.1
        self.tensors.append(numpy_helper.from_array(values, name))
        return name

    def integers(self, name: str, *values: int) -> str:
        """A constant that shapes a result."""
        self.tensors.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name


def model(name: str, inputs: str, outputs: str, body: str, weights: Weights) -> onnx.ModelProto:
    """A checked model from ONNX text and weights."""
    built = parser.parse_model(f"{HEADER} {name} ({inputs}) => ({outputs}) {{ {body} }}")
    built.graph.initializer.extend(weights.tensors)
    onnx.checker.check_model(built, full_check=True)
    return built


def lenet5() -> onnx.ModelProto:
    """LeNet-5 (LeCun et al., Proc. IEEE 86(11), 1998) on 1 x 32 x 32, with ReLU and average pooling."""
    w = Weights(5)
    for name, shape in (
        ("c1", (6, 1, 5, 5)),
        ("b1", (6,)),
        ("c3", (16, 6, 5, 5)),
        ("b3", (16,)),
        ("b5", (120,)),
        ("f6", (84, 120)),
        ("b6", (84,)),
        ("f7", (10, 84)),
        ("b7", (10,)),
    ):
        w.add(name, *shape)
    w.integers("f5_size", 120, 400)  # the largest matrix is filled, to keep the file small
    return model(
        "lenet5",
        "float[N,1,32,32] image",
        "float[N,10] scores",
        "z1 = Conv(image, c1, b1) a1 = Relu(z1) "
        "s2 = AveragePool<kernel_shape=[2,2], strides=[2,2]>(a1) "
        "z3 = Conv(s2, c3, b3) a3 = Relu(z3) "
        "s4 = AveragePool<kernel_shape=[2,2], strides=[2,2]>(a3) flat = Flatten(s4) "
        "f5 = ConstantOfShape(f5_size) "
        "z5 = Gemm<transB=1>(flat, f5, b5) a5 = Relu(z5) "
        "z6 = Gemm<transB=1>(a5, f6, b6) a6 = Relu(z6) scores = Gemm<transB=1>(a6, f7, b7)",
        w,
    )


def residual_block() -> onnx.ModelProto:
    """A stem, one residual block y = f(x) + x (He et al., arXiv:1512.03385), pooling, a classifier."""
    w = Weights(15)
    for name, shape in (
        ("stem", (16, 3, 3, 3)),
        ("w1", (16, 16, 3, 3)),
        ("w2", (16, 16, 3, 3)),
        ("fc", (10, 16)),
        ("bias", (10,)),
    ):
        w.add(name, *shape)
    pads = "pads=[1,1,1,1]"
    return model(
        "residual_block",
        "float[N,3,32,32] image",
        "float[N,10] scores",
        f"s = Conv<{pads}>(image, stem) x = Relu(s) a = Conv<{pads}>(x, w1) r = Relu(a) "
        f"b = Conv<{pads}>(r, w2) sum = Add(b, x) y = Relu(sum) pooled = GlobalAveragePool(y) "
        "flat = Flatten(pooled) scores = Gemm<transB=1>(flat, fc, bias)",
        w,
    )


def depthwise_separable() -> onnx.ModelProto:
    """Depthwise and pointwise convolutions (Howard et al., arXiv:1704.04861)."""
    w = Weights(17)
    for name, shape in (
        ("stem", (20, 3, 3, 3)),
        ("d1", (20, 1, 3, 3)),
        ("p1", (40, 20, 1, 1)),
        ("d2", (40, 1, 3, 3)),
        ("p2", (80, 40, 1, 1)),
        ("fc", (10, 80)),
        ("bias", (10,)),
    ):
        w.add(name, *shape)
    pads = "pads=[1,1,1,1]"
    return model(
        "depthwise_separable",
        "float[N,3,64,64] image",
        "float[N,10] scores",
        f"s = Conv<{pads}, strides=[2,2]>(image, stem) x = Relu(s) "
        f"a = Conv<{pads}, group=20>(x, d1) ra = Relu(a) b = Conv(ra, p1) rb = Relu(b) "
        f"c = Conv<{pads}, strides=[2,2], group=40>(rb, d2) rc = Relu(c) d = Conv(rc, p2) "
        "rd = Relu(d) pooled = GlobalAveragePool(rd) flat = Flatten(pooled) "
        "scores = Gemm<transB=1>(flat, fc, bias)",
        w,
    )


def transformer_encoder() -> onnx.ModelProto:
    """One encoder block (Vaswani et al., arXiv:1706.03762), width 64, 4 heads, post-norm."""
    w = Weights(18)
    for name in ("wq", "wk", "wv", "wo"):
        w.add(name, 64, 64)
    for name in ("bq", "bk", "bv", "bo", "g1", "o1", "g2", "o2", "b2"):
        w.add(name, 64)
    w.add("w1", 64, 128)
    w.add("b1", 128)
    w.add("w2", 128, 64)
    w.integers("split", 0, 0, 4, 16)
    w.integers("merge", 0, 0, 64)
    w.tensors.append(numpy_helper.from_array(np.array(0.25, np.float32), "scale"))
    project = " ".join(
        f"m{n} = MatMul(x, w{n}) p{n} = Add(m{n}, b{n}) h{n} = Reshape(p{n}, split)" for n in "qkv"
    )
    return model(
        "transformer_encoder",
        "float[batch,seq,64] x",
        "float[batch,seq,64] y",
        f"{project} q = Transpose<perm=[0,2,1,3]>(hq) k = Transpose<perm=[0,2,3,1]>(hk) "
        "v = Transpose<perm=[0,2,1,3]>(hv) raw = MatMul(q, k) scores = Mul(raw, scale) "
        "weights = Softmax<axis=-1>(scores) context = MatMul(weights, v) "
        "turned = Transpose<perm=[0,2,1,3]>(context) merged = Reshape(turned, merge) "
        "mo = MatMul(merged, wo) attended = Add(mo, bo) skip1 = Add(x, attended) "
        "n1 = LayerNormalization(skip1, g1, o1) f1 = MatMul(n1, w1) f2 = Add(f1, b1) "
        "f3 = Relu(f2) f4 = MatMul(f3, w2) f5 = Add(f4, b2) skip2 = Add(n1, f5) "
        "y = LayerNormalization(skip2, g2, o2)",
        w,
    )


def gemv_4096() -> onnx.ModelProto:
    """Y = A x with A of 4096 x 4096, made by ConstantOfShape: a weight, runnable, and a small file."""
    w = Weights(0)
    w.integers("size", 4096, 4096)
    fill = helper.make_tensor("fill", TensorProto.FLOAT, [1], [0.5])
    built = parser.parse_model(
        f"{HEADER} gemv_4096 (float[4096] x) => (float[4096] y) "
        "{ A = ConstantOfShape(size) y = MatMul(A, x) }"
    )
    built.graph.node[0].attribute.append(helper.make_attribute("value", fill))
    built.graph.initializer.extend(w.tensors)
    onnx.checker.check_model(built, full_check=True)
    return built


SAMPLES: tuple[Callable[[], onnx.ModelProto], ...] = (
    lenet5,
    residual_block,
    depthwise_separable,
    transformer_encoder,
    gemv_4096,
)


def build_all() -> Iterator[tuple[str, bytes]]:
    """(file name, content) of every sample."""
    for sample in SAMPLES:
        yield f"{sample.__name__}.onnx", sample().SerializeToString(deterministic=True)


def main() -> None:
    """Write all samples."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in build_all():
        (folder / name).write_bytes(content)
        sys.stdout.write(f"{name}: {len(content)} bytes\n")


if __name__ == "__main__":
    main()
