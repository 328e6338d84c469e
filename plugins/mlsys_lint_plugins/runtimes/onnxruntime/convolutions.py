"""Convolutions that take in their neighbours: scales, biases, padding, activations."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add, attrgetter
from typing import Final

from mlsys_lint.program import Op, Program, Rule, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import follower

_CONTRIB: Final = "com.microsoft"
_FLOATS: Final = frozenset({"float", "double", "float16"})
_ACTIVATIONS: Final = ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Clip")
_IMAGE_RANK: Final = 4


@rule("ConvAddFusion", "Conv")
def conv_add(program: Program, op: Op) -> bool:
    """Add of a constant for each output channel goes into the bias.

    The constant is the second operand, of shape [C, 1, ...] or [1, C, 1, ...].
    """
    sum_ = follower(op, "Add")
    if sum_ is None or not _is_stored(op) or not _is_per_channel(op, sum_.input(1)):
        return False
    _take_in(program, op, sum_, bias=True)
    return True


@rule("ConvMulFusion", "Conv")
def conv_mul(program: Program, op: Op) -> bool:
    """Mul by a constant for each output channel, or by one number, goes into weight and bias.

    The constant is the second operand; a number has no axes.
    """
    product = follower(op, "Mul")
    scale = product.input(1) if product is not None else None
    if product is None or scale is None or not _is_stored(op):
        return False
    if not _is_per_channel(op, scale) and not (_is_alike(op, scale) and scale.dims == ()):
        return False
    _take_in(program, op, product, weight=True, bias=len(op.inputs) > 2)
    return True


@rule("ConvBNFusion", "Conv", "ConvTranspose")
def conv_norm(program: Program, op: Op) -> bool:
    """BatchNormalization with stored parameters goes into weight and bias."""
    norm = follower(op, "BatchNormalization")
    channels = _output_channels(op)
    if norm is None or norm.only_output is None or channels is None or not _is_stored(op):
        return False
    stored = [value for value in norm.inputs[1:] if value is not None and _is_alike(op, value)]
    if [value.dims for value in stored] != [(channels,)] * 4:
        return False
    _take_in(program, op, norm, weight=True, bias=True)
    return True


def _is_stored(conv: Op) -> bool:
    """True where weight and bias are constants of one float type."""
    weight = conv.input(1)
    if conv.domain or weight is None or weight.dtype not in _FLOATS:
        return False
    return all(value is not None and _is_alike(conv, value) for value in conv.inputs[1:])


def _is_alike(conv: Op, value: Value) -> bool:
    """True for a constant of the weight's type."""
    weight = conv.input(1)
    return value.constant and weight is not None and value.dtype == weight.dtype


def _is_per_channel(conv: Op, value: Value | None) -> bool:
    """True for a constant that differs along the output channels only."""
    sizes = weight.static if (weight := conv.input(1)) is not None else None
    if value is None or not _is_alike(conv, value) or sizes is None or len(sizes) <= 2:
        return False
    channels = (sizes[0], *[1] * (len(sizes) - 2))
    return value.dims in (channels, (1, *channels))


def _output_channels(op: Op) -> int | None:
    """Of a Conv or ConvTranspose; None where the weight does not tell."""
    sizes = weight.static if (weight := op.input(1)) is not None else None
    if sizes is None or len(sizes) <= 2:
        return None
    return sizes[0] if op.op_type == "Conv" else sizes[1] * op.integer("group", 1)


def _take_in(
    program: Program, conv: Op, gone: Op, *, weight: bool = False, bias: bool = False
) -> None:
    """Let a Conv, which keeps its place, write what its only reader did, with new constants."""
    old = conv.input(1)
    channels = _output_channels(conv)
    if old is not None and weight:
        program.set_input(conv, 1, program.value(old, constant=True))
    if old is not None and channels is not None and bias:
        program.set_input(conv, 2, program.value(old, shape=(channels,), constant=True))
    program.extend(conv, [gone], folded=[gone])


@rule("PadFusion", "Pad")
def pad(program: Program, op: Op) -> bool:
    """Pad of spatial axes with zeros goes into the pads of a Conv or AveragePool, past a Cast.

    Of an AveragePool that does not round sizes up and has no padding of its own (observed).
    """
    data, pads = op.input(0), _zero_pads(op)
    cast = follower(op, "Cast")
    target = _padded(cast or op)
    if data is None or pads is None or target is None:
        return False
    own = target.integers("pads") or (0,) * len(pads)
    if len(own) != len(pads):
        return False
    attributes = {**target.attributes, "pads": tuple(map(add, own, pads))}
    if target.is_a("AveragePool"):
        attributes["count_include_pad"] = 1
    program.retype(target, target.op_type, "", attributes)
    program.set_input(cast or target, 0, data)
    program.extend(target, [op], target.outputs, folded=[op])
    if cast is not None:
        cast.output.dims, cast.output.shape = data.dims, data.shape
    return True


def _zero_pads(op: Op) -> tuple[int, ...] | None:
    """Pads of the spatial axes, first those before; None unless zeros pad these axes only."""
    stored = [value.array for value in op.inputs[1:] if value is not None and value.constant]
    if len(stored) != len(op.inputs) - 1 or len(stored) > 2 or op.text("mode") not in _CONSTANT:
        return None
    fill = stored[1] if len(stored) > 1 else None
    if op.attributes.get("value", 0.0) or (fill is not None and any(fill.tobytes())):
        return None
    listed = stored[0] if stored else None
    pads = op.integers("pads") if listed is None else tuple(int(one) for one in listed)
    half = len(pads or ()) // 2
    if pads is None or half < 2 or min(pads) < 0 or any((*pads[:2], *pads[half : half + 2])):
        return None
    return (*pads[2:half], *pads[half + 2 :])


_CONSTANT: Final = ("", "constant")


def _padded(op: Op) -> Op | None:
    """The Conv or AveragePool whose image alone is what `op` writes, where it can take more pads.

    ONNX Runtime pads a weight, too, and then rejects the model (1.32.0, observed).
    """
    conv, pool = follower(op, "Conv"), follower(op, "AveragePool")
    if pool is not None and (pool.integer("ceil_mode", 0) or any(pool.integers("pads") or ())):
        return None
    target = conv or pool
    if target is None or target.input(0) is not op.output:
        return None
    return target if target.text("auto_pad") in ("", "NOTSET") else None


@rule("ConvActivationFusion", "Conv")
def conv_activation(program: Program, op: Op) -> bool:
    """A float Conv of any rank and the activation that alone reads it: a FusedConv."""
    source = op.input(0)
    last = _activation(op)
    if source is None or source.dtype != "float" or op.domain or last is None:
        return False
    attributes = {**op.attributes, "activation": last.op_type}
    program.fuse([op, last], "FusedConv", op.inputs, domain=_CONTRIB, attributes=attributes)
    return True


def _activation(op: Op) -> Op | None:
    """The activation that alone reads what `op` computes; bounds of a Clip are constants."""
    value = op.only_output
    last = value.only_reader if value is not None else None
    if last is None or last.domain or last.op_type not in _ACTIVATIONS:
        return None
    bounds = [one for one in last.inputs[1:] if one is not None]
    return last if all(one.constant and one.static in ((), (1,)) for one in bounds) else None


@rule("ConvAddActivationFusion", "Conv")
def conv_add_activation(program: Program, op: Op) -> bool:
    """A Conv with a bias, an Add of equal four-dimensional sizes, and an activation: a FusedConv.

    Where both operands come from a Conv, the one with the lower index takes the Add.
    """
    sum_ = follower(op, "Add")
    source = op.input(0)
    if sum_ is None or source is None or source.dtype != "float" or not _are_equal(sum_.inputs):
        return False
    conv = _first_conv(sum_)
    if conv is None:
        return False
    other = sum_.inputs[1 - sum_.inputs.index(conv.output)]
    last = _activation(sum_)
    attributes, ops = dict(conv.attributes), [conv, sum_]
    if last is not None:
        attributes["activation"] = last.op_type
        ops.append(last)
    inputs = [*conv.inputs, other]
    program.fuse(ops, "FusedConv", inputs, domain=_CONTRIB, attributes=attributes)
    return True


def _are_equal(values: Sequence[Value | None]) -> bool:
    """True for values of equal sizes, numbers or symbols, along four axes."""
    found = {value.dims if value is not None else None for value in values}
    dims = found.pop()
    return not found and dims is not None and len(dims) == _IMAGE_RANK and all(dims)


def _first_conv(sum_: Op) -> Op | None:
    """Of the operands' producers, the first by index that is a Conv with a bias, read once."""
    found = {value.producer for value in sum_.inputs if value is not None}
    for op in sorted((one for one in found if one is not None), key=attrgetter("index")):
        if op.is_a("Conv") and len(op.inputs) > 2 and follower(op, "Add") is sum_:
            return op
    return None


CONSTANTS: Final[tuple[Rule, ...]] = (conv_add, conv_mul, conv_norm, pad)
"""Level 1: ConvAddFusion, ConvMulFusion, ConvBNFusion, PadFusion."""
ACTIVATIONS: Final[tuple[Rule, ...]] = (conv_activation,)
"""Level 2: ConvActivationFusion."""
RESIDUALS: Final[tuple[Rule, ...]] = (conv_add_activation,)
"""Level 3: ConvAddActivationFusion, of what the blocked layout refused."""
