"""ONNX Runtime's optimizers on CUDA, where they differ from those on the CPU.

Each case names the source that it was read in (onnxruntime/core/optimizer unless a folder is given).
The operators of every model here are also those of the graph that onnxruntime-gpu 1.31.1 makes of it:
that was observed without a GPU, with libraries that stand in for CUDA's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fusion.emulation import HOST, members, operators, optimized
from mlsys_lint.analysis import analyse
from mlsys_lint.execution import execute
from mlsys_lint.loading import prepare
from mlsys_lint.program import Program
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text
from mlsys_lint_plugins.runtimes.onnxruntime.cuda_kernels import runs_on_gpu
from mlsys_lint_plugins.runtimes.onnxruntime.placement import host_ops

CONV = "y = Conv(x, w)"
IMAGES = "(float[1,16,8,8] x) => (float[1,16,8,8] z) <float[16,16,1,1] w, float[16] b>"


def on_cuda(text: str, *, opset: int = 17) -> Program:
    return optimized(text, opset=opset, block=16, runtime="onnxruntime-cuda")


def ops(text: str, *, opset: int = 17) -> list[str]:
    """Operator types without domains, in execution order."""
    return [op.op_type for op in on_cuda(text, opset=opset).order()]


# -- convolutions and products ------------------------------------------------------------------


@pytest.mark.parametrize(
    "activation", ["Relu(y)", "Sigmoid(y)", "LeakyRelu(y)", "HardSigmoid(y)", "Tanh(y)"]
)
def test_a_convolution_keeps_its_activation_to_itself(activation: str) -> None:
    # conv_activation_fusion.cc: the selector returns nullopt where the node is on CUDA
    text = f"g {IMAGES} {{ {CONV} z = {activation} }}"
    assert ops(text) == ["Conv", activation.partition("(")[0]]


def test_a_convolution_takes_in_no_residual() -> None:
    # graph_transformer_utils.cc names cpu_ep for ConvAddActivationFusion
    text = f"g {IMAGES} {{ y = Conv(x, w, b) s = Add(y, x) z = Relu(s) }}"
    assert ops(text) == ["Conv", "Add", "Relu"]


def test_a_convolution_takes_in_scales_and_biases() -> None:
    # Level 1 runs before operators have a provider (ConvMulFusion, ConvAddFusion): 0, 1, 2 -> Conv
    text = """g (float[1,16,8,8] x) => (float[1,16,8,8] z)
        <float[16,16,1,1] w, float[16,1,1] s, float[16,1,1] t>
        { y = Conv(x, w) m = Mul(y, s) z = Add(m, t) }"""
    assert members(on_cuda(text)) == [("Conv", [0, 1, 2])]


def test_there_is_no_blocked_layout() -> None:
    # nchwc_transformer.cc: only nodes on the CPU; the pool's kernel serves opset 12 to 21
    text = f"g {IMAGES} {{ {CONV} z = MaxPool<kernel_shape=[1,1]>(y) }}"
    assert operators(on_cuda(text)) == ["Conv", "MaxPool"]


def test_a_gemm_keeps_its_activation_to_itself() -> None:
    # graph_transformer_utils.cc names cpu_ep for GemmActivationFusion
    text = "g (float[4,8] x) => (float[4,8] z) <float[8,8] w> { y = Gemm(x, w) z = Relu(y) }"
    assert ops(text) == ["Gemm", "Relu"]


def test_products_take_in_transposes_and_scales() -> None:
    # graph_transformer_utils.cc names cpu_cuda_dml_eps for MatmulTransposeFusion and
    # cpu_acl_cuda_dml_eps for MatMulScaleFusion
    text = """g (float[2,4,8] x, float[2,4,8] k) => (float[2,4,4] z) <float s = {0.5}>
        { t = Transpose<perm=[0,2,1]>(k) y = MatMul(x, t) z = Mul(y, s) }"""
    assert members(on_cuda(text)) == [("FusedMatMul", [0, 1, 2])]


# -- half precision -----------------------------------------------------------------------------

HALF = {
    # quick_gelu_fusion.cc asks for no type; its operators have kernels on CUDA
    "QuickGelu": "(float16[4,8] x) => (float16[4,8] z) { s = Sigmoid(x) z = Mul(x, s) }",
    # gelu_fusion.cc: float16, float, double; constants are 1.4141, 1 and 0.5, as bits
    "Gelu": """(float16[4,8] x) => (float16[4,8] z)
        <float16 r = {15784}, float16 one = {15360}, float16 half = {14336}>
        { d = Div(x, r) e = Erf(d) a = Add(e, one) m = Mul(x, a) z = Mul(m, half) }""",
    # matmul_transpose_fusion.cc: float16 too
    "FusedMatMul": """(float16[2,4,8] x, float16[2,4,8] k) => (float16[2,4,4] z)
        { t = Transpose<perm=[0,2,1]>(k) z = MatMul(x, t) }""",
    # skip_layer_norm_fusion.cc: float16, float, bfloat16
    "SkipLayerNormalization": """(float16[1,4,8] x, float16[1,4,8] y) => (float16[1,4,8] z)
        <float16[8] g, float16[8] b> { s = Add(x, y) z = LayerNormalization(s, g, b) }""",
    # insert_cast_transformer.cc: only operators without a provider are cast
    "Conv": "(float16[1,8,4,4] x) => (float16[1,8,4,4] z) <float16[8,8,1,1] w> { z = Conv(x, w) }",
    # core/framework/graph_partitioner.cc: only operators without a provider are inlined
    "Softmax": "(float16[4,8] x) => (float16[4,8] z) { z = Softmax(x) }",
}


@pytest.mark.parametrize("expected", HALF)
def test_half_precision_is_fused_and_not_cast(expected: str) -> None:
    assert ops(f"g {HALF[expected]}") == [expected]


def test_half_precision_is_cast_where_neither_side_computes_it() -> None:
    # Det has no kernel for CUDA, and none for half precision on the CPU; both Casts stand on the
    # CPU: the first one reads a graph input there, the second one writes the result.
    text = "g (float16[4,4] x) => (float16 z) { z = Det(x) }"
    assert ops(text) == ["Cast", "Det", "Cast"]


@pytest.mark.parametrize("name", ["HardSwish", "Selu", "Elu"])
def test_functions_with_a_kernel_are_not_inlined(name: str) -> None:
    # core/providers/cuda/activation/activations.cc; the CPU has no HardSwish
    assert ops(f"g (float[4,8] x) => (float[4,8] z) {{ z = {name}(x) }}") == [name]


def test_functions_without_a_kernel_are_inlined() -> None:
    text = "g (float[4,8] x) => (float[4,8] z) { z = Mish(x) }"
    assert ops(text, opset=18) == ["Softplus", "Tanh", "Mul"]


# -- Softmax with a mask ------------------------------------------------------------------------


def biased(
    mask: str, *, data: str = "2,4,8,8", axis: int | None = -1, more: str = "", result: str = ""
) -> str:
    attribute = "" if axis is None else f"<axis={axis}>"
    return f"""g (float[{data}] x, float[{mask}] m) => (float[{data}] z{result})
        {{ s = Add(x, m) z = Softmax{attribute}(s) {more} }}"""


@pytest.mark.parametrize(
    ("mask", "inner"),
    [
        ("2,1,1,8", 1),  # broadcast along the inner axes 1 and 2
        ("1,1,1,8", 1),  # along all axes: the inner check comes first and holds
        ("2,4,8,8", 1),  # along none
        ("1,1,8,8", 0),  # along the outer axes
        ("8,8", 0),  # which may be absent
        ("8", 0),
    ],
)
def test_softmax_takes_in_its_mask(mask: str, inner: int) -> None:
    # bias_softmax_fusion.cc, TrySelectInputAndBiasWithAlignment
    (op,) = on_cuda(biased(mask)).order()
    assert (op.op_type, sorted(op.members)) == ("BiasSoftmax", [0, 1])
    assert op.attributes == {"axis": len("2488") - 1, "is_inner_broadcast": inner}


def test_the_mask_may_be_the_first_operand() -> None:
    text = """g (float[8,8] m, float[2,4,8,8] x) => (float[2,4,8,8] z)
        { s = Add(m, x) z = Softmax<axis=-1>(s) }"""
    (op,) = on_cuda(text).order()
    assert [value.name for value in op.inputs if value is not None] == ["x", "m"]


def test_equal_symbols_are_equal_sizes() -> None:
    assert ops(biased("N,1,1,S", data="N,4,S,S")) == ["BiasSoftmax"]


@pytest.mark.parametrize(
    "text",
    [
        biased("2,4,8,1"),  # differs along the softmax
        biased("2,1,8,8"),  # ones between equal sizes: neither inner nor outer
        biased("2,4,8,8", axis=1),  # not over the last axis
        biased("N,1,1,T", data="N,4,S,S"),  # symbols that may differ
        biased("2,1,1,8", result=", float[2,4,8,8] s"),  # the sum is a result
        biased("2,1,1,8", result=", float[2,4,8,8] r", more="r = Relu(s)"),  # read twice
    ],
)
def test_softmax_leaves_other_sums_alone(text: str) -> None:
    assert "Softmax" in ops(text)


def test_before_opset_13_softmax_runs_over_all_axes_from_one_on() -> None:
    # axis 2 of 4: the mask's last two axes are those of the data, before them it has ones
    assert ops(biased("1,1,8,8", axis=2), opset=11) == ["BiasSoftmax"]
    # by default from axis 1 on: the last three must be equal
    assert ops(biased("1,4,8,8", axis=None), opset=11) == ["BiasSoftmax"]
    assert ops(biased("1,1,8,8", axis=None), opset=11) == ["Add", "Softmax"]


def test_the_cpu_adds_masks_before_softmax() -> None:
    # bias_softmax_fusion.cc: the Add must be on CUDA
    program = optimized(biased("2,1,1,8"), block=16)
    assert operators(program) == ["Add", "Softmax"]


# -- host and GPU -------------------------------------------------------------------------------


def test_what_has_no_kernel_runs_on_the_cpu_between_copies() -> None:
    # core/providers/cuda/nn/pool.cc: MaxPool is registered from version 12 on, and open, so not for
    # 22, of which the CPU has a kernel in its blocked layout (16 channels). transformer_memcpy.cc.
    text = f"""g {IMAGES}
        {{ {CONV} p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(y) z = Relu(p) }}"""
    assert ops(text, opset=22) == [
        *("Conv", "MemcpyToHost", "ReorderInput", "MaxPool", "ReorderOutput"),
        *("MemcpyFromHost", "Relu"),
    ]


def test_one_copy_serves_all_readers() -> None:
    # transformer_memcpy.cc adds a copy for a value, not for an edge: Det has no kernel for CUDA
    text = """g (float[2,4,4] x) => (float[2] u, float[2] v)
        { r = Relu(x) d = Det(r) e = Det(r) u = Exp(d) v = Abs(d) }"""
    found = ops(text)
    # e is equal to d, and nobody reads it
    assert (found.count("MemcpyToHost"), found.count("MemcpyFromHost")) == (1, 1)


def test_a_graph_input_is_copied_where_both_sides_read_it() -> None:
    # transformer_memcpy.cc: an input that one side reads is sent there before the run
    both = "g (float[2,4,4] x) => (float[2] d, float[2,4,4] r) { d = Det(x) r = Relu(x) }"
    one = "g (float[2,4,4] x) => (float[2] d, float[2] r) { d = Det(x) r = Abs(d) }"
    assert sorted(ops(both)) == ["Det", "MemcpyFromHost", "Relu"]
    assert ops(one) == ["Det", "MemcpyFromHost", "Abs"]


SIZES = """g (float[N,4] x, float[1,8] v) => (float[M,8] z)
    <int64 zero = {0}, int64 four = {4}, int64[1] at = {0}, int64[1] eight = {8}>
    { r = Relu(x) s = Shape(r) n = Gather(s, zero) m = Mul(n, four) u = Unsqueeze(m, at)
      c = Concat<axis=0>(u, eight) z = Expand(v, c) }"""


def test_arithmetic_on_sizes_runs_on_the_host_and_is_not_copied() -> None:
    # core/framework/fallback_cpu_capability.cc, GetCpuPreferredNodes: Shape's kernel is CUDA's and
    # writes to the host, Expand's reads its sizes there; all between has CUDA kernels too
    program = on_cuda(SIZES)
    host = {op.op_type for op in host_ops(program)}
    assert host == {"Gather", "Mul", "Unsqueeze", "Concat"}
    assert not any(op.op_type.startswith("Memcpy") for op in program.order())


def test_large_constants_keep_arithmetic_on_the_gpu() -> None:
    # fallback_cpu_capability.cc: up to 100 elements, and none of half precision
    text = """g (float[N,4] x) => (int64[101] z) <int64 i = {0}, int64[%d] t>
        { s = Shape(x) n = Gather(s, i) z = Add(n, t) }"""
    assert {op.op_type for op in host_ops(on_cuda(text % 101))} == {"Gather"}
    assert "MemcpyFromHost" in ops(text % 101)
    assert {op.op_type for op in host_ops(on_cuda(text.replace("101", "100") % 100))} == {
        *("Gather", "Add")
    }


UNEVEN = """g (float[1,4,8,8] x) => (float[1,4,N,M] z) <float[4,4,3,3] w>
    {{ z = ConvTranspose<{}>(x, w) }}"""
RECURRENT = """g (float[3,1,8] x) => (float[3,1,1,4] y) <float[1,{n},8] w, float[1,{n},4] r>
    {{ y = {op}<hidden_size=4{more}>(x, w, r) }}"""


@pytest.mark.parametrize(
    ("text", "on_gpu"),
    [
        # core/providers/cuda/cuda_execution_provider.cc, GetCapability
        (UNEVEN.format("pads=[1,1,1,1]"), True),
        (UNEVEN.format("pads=[0,0,1,1]"), False),
        (UNEVEN.format('auto_pad="SAME_UPPER"'), False),
        (RECURRENT.format(op="LSTM", n=16, more=""), True),
        (RECURRENT.format(op="LSTM", n=16, more=", clip=1.0"), False),
        (RECURRENT.format(op="LSTM", n=16, more=", input_forget=1"), False),
        (RECURRENT.format(op="GRU", n=12, more=""), False),
        (RECURRENT.format(op="GRU", n=12, more=", linear_before_reset=1"), True),
        (RECURRENT.format(op="RNN", n=4, more=', activations=["Relu"]'), False),
        ("g (float[4,8] x) => (int64[1,8] z) { z = ArgMax(x) }", True),
        ("g (float[4,8] x) => (int64[1,8] z) { z = ArgMax<select_last_index=1>(x) }", False),
        ("g (int64[4,8] x) => (int64[1,8] z) { z = ArgMax(x) }", False),  # no kernel for int64
    ],
)
def test_the_provider_refuses_what_its_kernels_do_not_compute(text: str, *, on_gpu: bool) -> None:
    (op,) = on_cuda(text).order()
    assert runs_on_gpu(op) is on_gpu


# -- quantization -------------------------------------------------------------------------------

QDQ = """g (uint8[1,16,8,8] q) => (uint8[1,16,8,8] z)
    <float s = {0.1}, uint8 p = {128}, int8[16,16,1,1] w, float t = {0.01}, int8 o = {0}>
    { x = DequantizeLinear(q, s, p) v = DequantizeLinear(w, t, o) y = Conv(x, v)
      z = QuantizeLinear(y, s, p) }"""


def test_quantized_pairs_stay_around_a_float_convolution() -> None:
    # qdq_transformer/selectors_actions/qdq_selector_action_transformer.cc: ConvQDQRules name
    # the CPU, DirectML and ACL
    found = ops(QDQ)
    assert sorted(found) == ["Conv", "DequantizeLinear", "DequantizeLinear", "QuantizeLinear"]
    assert operators(optimized(QDQ, block=16)) != found  # one QLinearConv


def test_dynamic_quantization_runs_on_the_cpu() -> None:
    # graph_transformer_utils.cc names cpu_dml_acl_eps for MatMulIntegerToFloatFusion;
    # DynamicQuantizeLinear has no kernel for CUDA, MatMulInteger only one for int8
    text = """g (float[4,8] x) => (float[4,8] z) <uint8[8,8] w, uint8 o = {128}, float t = {0.1}>
        { q, s, p = DynamicQuantizeLinear(x) i = MatMulInteger(q, w, p, o) f = Cast<to=1>(i)
          m = Mul(s, t) z = Mul(f, m) }"""
    program = on_cuda(text)
    found = [op.op_type for op in program.order()]
    assert {"DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul"} <= set(found)
    assert {op.op_type for op in host_ops(program)} >= {"DynamicQuantizeLinear", "MatMulInteger"}


def test_weights_of_few_bits_are_read_as_they_are() -> None:
    # qdq_selector_action_transformer.cc, DQMatMulToMatMulNBitsRules: CPU, CUDA and DirectML
    text = """g (float16[4,32] x) => (float16[4,16] z) <int4[32,16] w, float16[1,16] s>
        { d = DequantizeLinear<axis=0, block_size=32>(w, s) z = MatMul(x, d) }"""
    assert members(on_cuda(text, opset=21)) == [("MatMulNBits", [0, 1])]


# -- conservation -------------------------------------------------------------------------------

CONSERVED: Mapping[str, tuple[str, int]] = {
    "convolution": (f"g {IMAGES} {{ {CONV} z = Relu(y) }}", 17),
    "mask": (biased("2,1,1,8"), 17),
    "quantized": (QDQ, 17),
    "half": (f"g {HALF['Gelu']}", 17),
    "pool": (f"g {IMAGES} {{ {CONV} z = MaxPool<kernel_shape=[1,1]>(y) }}", 22),
}


@pytest.mark.parametrize("name", CONSERVED)
def test_every_node_is_computed_once(name: str) -> None:
    text, opset = CONSERVED[name]
    program = on_cuda(text, opset=opset)
    computed = [index for _, indexes in members(program) for index in indexes]
    assert sorted(computed) == list(range(len(model_from_text(text, opset).graph.node)))


@pytest.mark.parametrize("name", CONSERVED)
def test_flops_are_conserved(name: str) -> None:
    text, opset = CONSERVED[name]
    loaded = prepare(model_from_text(text, opset), Path("model.onnx"))
    analysis = analyse(loaded, HOST, Bindings())
    found = execute(analysis, HOST, HOST.runtimes["onnxruntime-cuda"], None)
    flops = sum(kernel.cost.flops for kernel in found.kernels)
    assert flops == sum(one.cost.flops for one in analysis.costs if one.cost is not None) > 0


def test_kernels_that_compute_in_place() -> None:
    # core/providers/cuda/activation/activations.cc has MayInplace, math/*.cc and nn/softmax.cc not
    table = HOST.runtimes["onnxruntime-cuda"].in_place
    assert table["", "Relu"] == table["", "HardSwish"] == ((0, 0),)
    assert not {("", name) for name in ("Add", "Mul", "Softmax", "Clip", "Cast")} & table.keys()
    # contrib_ops/cuda/bert/group_query_attention.cc: past and present keys and values
    assert table["com.microsoft", "GroupQueryAttention"] == ((3, 1), (4, 2))
