"""Einsum: equations in labels, contracted pair by pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from math import prod

import onnx
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, TensorInfo, cost
from mlsys_lint_plugins.ops.inference import element_type, put, sizes


@dataclass(frozen=True, slots=True)
class Equation:
    """Labels of each operand's axes and of the result's; `.1` is the last axis of an ellipsis."""

    terms: tuple[tuple[str, ...], ...]
    result: tuple[str, ...]


def parse_equation(equation: str, ranks: Sequence[int]) -> Equation | None:
    """The equation of operands of known rank; None when it does not fit them.

    An ellipsis stands for the axes that the letters leave over; those of several operands align at
    the end, as in broadcasting. A result that is not written holds the ellipsis, then the letters
    that occur once, in alphabetical order.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(ranks):
        return None
    terms = [_labels(text, rank) for text, rank in zip(texts, ranks, strict=True)]
    known = [term for term in terms if term is not None]
    if len(known) != len(terms):
        return None
    dots = max(([label for label in term if _is_dot(label)] for term in known), key=len)
    if arrow:
        letters = len(right.replace("...", ""))
        result = _labels(right, letters + (len(dots) if "..." in right else 0)) or ()
    else:
        counts = Counter(label for term in known for label in term)
        once = sorted(one for one, count in counts.items() if count == 1 and not _is_dot(one))
        result = (*dots, *once)
    return Equation(terms=tuple(known), result=result)


def _is_dot(label: str) -> bool:
    return label.startswith(".")


def _labels(text: str, rank: int) -> tuple[str, ...] | None:
    before, dots, after = text.partition("...")
    width = rank - len(before) - len(after)
    if width < 0 or (width and not dots):
        return None
    return (*before, *(f".{place}" for place in range(width, 0, -1)), *after)


def einsum(node: NodeView) -> OpCost | Declined:
    """A MAC for each point of the product of all labels where two operands meet.

    With one operand there is none: a sum counts n - 1 operations per result, a diagonal or a
    permutation none. Three operands or more meet pair by pair from the left; labels that nothing
    later needs are summed on the way. Of an operand with a repeated label the diagonal is read.
    """
    operands = [node.input(position) for position in range(len(node.inputs))]
    text = node.text("equation")
    equation = parse_equation(text, [one.rank for one in operands])
    if equation is None:
        return Declined(f"equation {text!r} does not fit the operands' ranks")
    shapes = [one.dims for one in operands]
    sizes = _sizes(equation, shapes)
    if sizes is None or not sizes.keys() >= set(equation.result):
        return Declined(f"equation {text!r} does not fit the operands' sizes")
    read = _read(equation, operands)
    if len(operands) == 1:
        summed = max(0, _points(set(equation.terms[0]), sizes) - node.output().numel)
        kernel_class = "reduction" if summed else "transpose"
        return cost(node, kernel_class=kernel_class, vector_ops=summed, read=read)
    pairs = tuple(_pairs(equation, operands, sizes))
    largest = max(pairs, key=lambda pair: pair.macs)
    return cost(
        node,
        kernel_class=contraction_class(largest),
        contractions=pairs,
        read=read,
        assumptions=("operands meet pair by pair, from the left",) if len(pairs) > 1 else (),
    )


def contraction_class(contraction: Contraction) -> str:
    """Gemv where one side is a vector, batched_matmul where many products run, else gemm."""
    if contraction.batch > 1:
        return "batched_matmul"
    return "gemv" if 1 in (contraction.m, contraction.n) else "gemm"


def _read(equation: Equation, operands: Sequence[TensorInfo]) -> Sequence[TensorInfo]:
    """What is read of each operand, the most first, as an operand may occur twice."""
    parts = [
        replace(operand, shape=(prod(dict(zip(term, operand.dims, strict=True)).values()),))
        for term, operand in zip(equation.terms, operands, strict=True)
    ]
    return sorted(parts, key=lambda part: -part.numel)


def _sizes(equation: Equation, shapes: Sequence[tuple[int, ...]]) -> Mapping[str, int] | None:
    """Size of each label; a size of 1 stretches, and None says that others differ."""
    sizes: dict[str, int] = {}
    for term, shape in zip(equation.terms, shapes, strict=True):
        for label, size in zip(term, shape, strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = size
            elif size not in (1, sizes[label]):
                return None
    return sizes


def infer_einsum(context: InferenceContext) -> None:
    """For ellipses of different lengths, which onnx's own inference refuses."""
    attribute: onnx.AttributeProto | None = context.get_attribute("equation")
    found = [sizes(context, position) for position in range(context.get_num_inputs())]
    shapes = [
        tuple(size for size in shape if size is not None)
        for shape in found
        if shape is not None and None not in shape
    ]
    if attribute is None or len(shapes) < len(found):
        return
    equation = parse_equation(attribute.s.decode(), [len(shape) for shape in shapes])
    known = _sizes(equation, shapes) if equation is not None else None
    if equation is not None and known is not None and known.keys() >= set(equation.result):
        put(context, 0, element_type(context, 0), [known[label] for label in equation.result])


def _points(labels: Collection[str], sizes: Mapping[str, int]) -> int:
    return prod(sizes[label] for label in labels)


def _pairs(
    equation: Equation, operands: Sequence[TensorInfo], sizes: Mapping[str, int]
) -> Iterator[Contraction]:
    """Batch: labels of both sides that stay; m and n: of one side; k: labels that are summed."""
    present = [
        {label for label, size in zip(term, operand.dims, strict=True) if size == sizes[label]}
        for term, operand in zip(equation.terms, operands, strict=True)
    ]
    left: AbstractSet[str] = present[0]
    for position, right in enumerate(present[1:], start=2):
        needed = set(equation.result).union(*present[position:])
        yield Contraction(
            batch=_points(left & right & needed, sizes),
            m=_points((left - right) & needed, sizes),
            n=_points((right - left) & needed, sizes),
            k=_points((left | right) - needed, sizes),
            dtype=operands[0].type_name,
        )
        left = (left | right) & needed
