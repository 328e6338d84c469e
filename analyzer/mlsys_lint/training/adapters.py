"""LoRA: the weights stay as they are, and each matrix gets a pair of adapters that is trained.

Y = X W + X A B with W of [k, n], A of [k, r] and B of [r, n] (Hu et al., arXiv:2106.09685): for m rows
m r (k + n) MACs forward; backward as much for dA and dB, m r n for the gradient of X A, and m r k for that of X
where it is wanted. X and X A are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlsys_lint.gradients import gradient_products
from mlsys_lint.records import Contraction, TensorInfo, Weight, Work
from mlsys_lint.training.flow import Flow, Step
from mlsys_lint.training.options import TrainingOptions
from mlsys_lint.training.trainable import check_patterns, is_chosen

_MATRIX_CLASSES = ("gemm", "gemv", "batched_matmul", "nbits_gemm", "nbits_gemv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A contraction whose right operand is a stored matrix.

    Attributes:
        at: Position of its step in the flow.
        origin: The matrix, which several sites may share.
        name: Its name.
        product: The contraction, rows of all batches joined.
    """

    at: int
    origin: str
    name: str
    product: Contraction

    def weights(self, rank: int, dtype: str) -> tuple[Weight, Weight]:
        """A and B."""
        left, right = (self.product.k, rank), (rank, self.product.n)
        return (
            Weight(name=f"{self.name}.A", shape=left, dtype=dtype, is_matrix=True),
            Weight(name=f"{self.name}.B", shape=right, dtype=dtype, is_matrix=True),
        )

    def forward(self, rank: int) -> Work:
        """X A, (X A) B, and the sum with X W; the scale alpha / r is put into A."""
        down, up = self._pair(rank)
        return Work(contractions=(down, up), vector_ops=self.product.m * self.product.n)

    def backward(self, rank: int, *, wanted: bool) -> Work:
        """Both sides of (X A) B, dA, and the gradient of X where it is wanted: a second one to add."""
        down, up = self._pair(rank)
        return Work(
            contractions=(
                *gradient_products(up, left=True, right=True),
                *gradient_products(down, left=wanted, right=True),
            ),
            vector_ops=self.product.m * self.product.k if wanted else 0,
        )

    def kept(self, step: Step, rank: int) -> tuple[TensorInfo, ...]:
        """X and X A."""
        inner = TensorInfo(name="adapted", dtype=self.product.dtype, shape=(self.product.m, rank))
        data = step.inputs[0]
        return (inner,) if data is None else (data, inner)

    def _pair(self, rank: int) -> tuple[Contraction, Contraction]:
        m, n, k, dtype = self.product.m, self.product.n, self.product.k, self.product.dtype
        return (
            Contraction(m=m, n=rank, k=k, dtype=dtype),
            Contraction(m=m, n=n, k=rank, dtype=dtype),
        )


def find_sites(flow: Flow) -> Iterator[Site]:
    """Every product with a stored matrix (itself or rearranged, in whatever format) on the right."""
    origins: dict[int, TensorInfo] = {}
    for at, step in enumerate(flow.steps):
        for tensor in step.inputs:
            if tensor is not None and tensor.origin is not None:
                origins[tensor.uid] = tensor
        if step.inputs and all(tensor is None or tensor.constant for tensor in step.inputs):
            _hand_on(step, origins)
        elif (site := _site(at, step, origins)) is not None:
            yield site


def _hand_on(step: Step, origins: dict[int, TensorInfo]) -> None:
    data = step.inputs[0] if step.inputs else None
    if data is not None and data.uid in origins:
        for tensor in step.outputs:
            if tensor is not None:
                origins[tensor.uid] = origins[data.uid]


def _site(at: int, step: Step, origins: dict[int, TensorInfo]) -> Site | None:
    cost = step.one.cost if step.one is not None else None
    weight = step.inputs[1] if len(step.inputs) > 1 else None
    if cost is None or weight is None or weight.uid not in origins:
        return None
    if cost.kernel_class not in _MATRIX_CLASSES or len(cost.contractions) != 1:
        return None
    (one,) = cost.contractions
    stored = origins[weight.uid]
    if one.k * one.n != weight.numel and not cost.kernel_class.startswith("nbits"):
        return None  # several matrices in one tensor
    product = Contraction(m=one.batch * one.m, n=one.n, k=one.k, dtype=one.dtype)
    return Site(at=at, origin=stored.origin or "", name=stored.name, product=product)


def chosen(sites: Sequence[Site], options: TrainingOptions) -> tuple[Site, ...]:
    """The sites whose matrices the patterns name; all of them without patterns."""
    check_patterns([site.name for site in sites], options)
    return tuple(site for site in sites if is_chosen(site.name, options))
