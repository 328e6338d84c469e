"""What the terms of kernels count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlsys_lint.records.calibration import Quantity


def _compute(unit: str, meaning: str) -> Quantity:
    return Quantity(unit=unit, meaning=meaning, bound="compute")


def _memory(meaning: str) -> Quantity:
    return Quantity(unit="byte", meaning=meaning, bound="memory")


def _overhead(unit: str, meaning: str) -> Quantity:
    return Quantity(unit=unit, meaning=meaning, bound="overhead")


QUANTITIES: Final[Mapping[str, Quantity]] = {
    "activation": _compute("vector", "results that a fused activation passes over once more"),
    "stream": _memory("bytes streamed from beyond the nearest cache"),
    "strip": _memory("bytes moved in strips from beyond the nearest cache"),
    "paged": _memory("bytes written to memory that was not touched for long"),
    "ragged": _compute("element", "elements outside whole blocks, one by one"),
    "pair": _compute("pair", "pairs of boxes that are compared"),
    "queue_step": _compute("step", "steps of a queue ordered by score"),
    "chosen": _compute("element", "elements that a condition chooses"),
    "forwarded": _compute("element", "partial results handed on"),
    "kept": _compute("element", "candidates kept in order"),
    "map": _compute("map", "channels or rows with a scale of their own"),
    "masked": _compute("element", "elements under a mask"),
    "matrix": _compute("word", "words of matrices that change their inner axis"),
    "merged": _compute("element", "elements merged from several inputs"),
    "put": _compute("element", "elements written to places that indices name"),
    "result": _compute("element", "results of a reduction"),
    "stepped": _compute("element", "elements read with a stride"),
    "taken": _compute("element", "elements read from places that indices name"),
    "tested": _compute("element", "elements tested one by one"),
    "transposed": _compute("element", "elements copied into another order first"),
    "kernel": _overhead("kernel", "starting a kernel: dispatch, allocation of its results"),
    "call": _overhead("call", "one call of an inner kernel"),
    "flop": _compute("FLOP", "multiplications and additions, padding of register blocks included"),
    "load": _compute("vector", "operands loaded into registers"),
    "stall": _compute("slot", "multiply-add slots lost while a narrow block waits for its sums"),
    "tap": _compute("vector", "filter taps of a depthwise filter"),
    "edge_tap": _compute("vector", "the same where the window meets the padding"),
    "output": _compute("vector", "results written, once for each pass over input channels"),
    "edge_output": _compute("vector", "the same where the window meets the padding"),
    "block": _overhead("block", "a block of results in registers: setting up and storing"),
    "conflict": _compute("element", "rows of A that share too few sets of the nearest cache"),
    "transpose": _compute("element", "elements of A transposed before they are multiplied"),
    "pack": _compute("element", "elements of B laid out before they are multiplied"),
    "product": _overhead("product", "one of a batch of products"),
    "dot": _compute("MAC", "a row by the columns of a matrix, one after the other"),
    "dots": _overhead("column", "starting one of them"),
    "axpy": _compute("MAC", "rows of a matrix added up in memory"),
    "axpys": _overhead("pass", "one pass over the sum"),
    "bias": _compute("element", "results that a bias is written to before"),
    "biased": _compute("element", "elements of Q, K and V that a bias is added to"),
    "relu": _compute("element", "results that a simple activation passes over"),
    "transcendental": _compute("element", "results that an activation with exp passes over"),
    "again": _memory("operands and results that later panels read again"),
    "softmax": _compute("element", "scores that a softmax is taken of"),
    "moved": _memory("elements copied into or out of the order of heads"),
    "turned": _memory("elements that Einsum transposes"),
    "gate": _compute("element", "values of a gate of a recurrent cell"),
    "step": _overhead("step", "a step of a recurrent layer"),
    "state": _memory("recurrent weights read again in every step"),
    "state_mac": _compute("MAC", "products of the state in 8 bits"),
    "mac": _compute("MAC", "multiplications and additions in 8 bits"),
    "row": _overhead("row", "starting a row"),
    "element": _compute("element", "elements computed"),
    "fork": _overhead("kernel", "waking further threads and waiting for them"),
    "byte": _memory("bytes read and written"),
    "filter_l2": _memory("filters read again from the second level for every row"),
    "filter_l3": _memory("the same from the third level"),
    "filter_dram": _memory("the same from memory"),
    "weight_l3": _memory("weights that lie in the shared cache"),
    "weight_dram": _memory("weights that no cache keeps from run to run"),
    "read_l3": _memory("activations read from the shared cache"),
    "read_dram": _memory("activations read from memory"),
    "write_l3": _memory("activations written beyond the caches of a core"),
    "write_dram": _memory("activations written to memory"),
    "copy": _compute("element", "elements of patches copied in runs"),
    "gather": _compute("element", "elements of patches taken one by one"),
    "run": _compute("run", "runs of elements that are copied"),
    "group": _overhead("call", "products of one image and group"),
    "row_output": _compute("element", "results of a single row"),
    "scatter": _compute("element", "sums scattered into the result"),
    "sample": _compute("element", "elements interpolated between four neighbours"),
    "upright": _compute("vector", "rows of windows reduced over the whole width"),
    "along": _compute("vector", "reduced rows reduced along"),
    "channel": _overhead("channel", "channels of a pool"),
    "global": _compute("element", "elements of a pool over whole channels"),
    "sum_chain": _compute("vector", "sums that wait for each other"),
    "maximum_chain": _compute("vector", "maxima that wait for each other"),
    "average_tap": _compute("element", "positions of windows, one by one"),
    "average_output": _compute("element", "results of the same"),
    "index_tap": _compute("element", "positions of windows with their index, one by one"),
    "index_output": _compute("element", "results of the same"),
    "dot1": _compute("vector", "products of bytes, int8 by int8"),
    "dot2": _compute("vector", "products of bytes, two at a time"),
    "dot4": _compute("vector", "products of bytes, four at a time"),
    "broadcast": _compute("vector", "bytes of a position spread over a vector"),
    "pointer": _compute("pointer", "pointers to the positions under a filter"),
    "requantized": _compute("vector", "sums turned into bytes"),
    "scaled": _compute("element", "sums turned into floats or bytes"),
    "plain_tap": _compute("vector", "filter taps of half a vector of channels"),
    "single_tap": _compute("element", "filter taps of channels that fill no vector"),
    "plain_output": _compute("element", "results of the same"),
    "patch": _compute("byte", "bytes of patches copied"),
    "patch_run": _compute("run", "runs of bytes that are copied"),
    "scalar": _compute("element", "sums, and weights packed, without vectors"),
    "sum": _compute("element", "results summed up"),
    "pack_columns": _compute("byte", "bytes of the second operand packed"),
    "score_flop": _compute("FLOP", "scores and mixes of attention"),
    "converted": _compute("element", "elements quantized before a product"),
    "unpack": _compute("element", "weights of few bits unpacked"),
    "quantized": _compute("element", "elements quantized"),
    "dequantized": _compute("element", "elements turned into floats"),
    "quantized_run": _overhead("run", "runs of elements of one scale"),
    "dequantized_run": _overhead("run", "runs of elements of one scale"),
    "ranged": _compute("element", "elements whose range is found"),
    "added": _compute("element", "sums of bytes"),
    "multiplied": _compute("element", "products of bytes, element by element"),
    "looked_up": _compute("element", "bytes replaced by way of a table"),
    "copied": _compute("byte", "bytes copied"),
    "span": _overhead("span", "spans in which no operand repeats"),
    "exponential": _compute("element", "exponentials of a softmax of bytes"),
    "average": _compute("element", "means of windows of bytes"),
    "maximum": _compute("element", "maxima of windows of bytes"),
    "mean": _compute("element", "means of whole channels"),
    "unpacked": _compute("element", "elements of a table of few bits"),
    "l3": _memory("bytes that lie in the shared cache"),
    "dram": _memory("bytes that no cache keeps"),
    "data_l3": _memory("activations that lie in the shared cache"),
    "data_dram": _memory("activations that no cache keeps"),
}


def quantity(term: str) -> Quantity | None:
    """What a term counts; `NAME_DETAIL` counts what `NAME` does, for a function, a type or a level."""
    while term not in QUANTITIES and "_" in term:
        term = term.rpartition("_")[0]
    return QUANTITIES.get(term)
