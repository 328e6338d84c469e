"""The analysed graph: node views by index, and the order in which each scope executes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlsys_lint.records import Dimension, NodeView, TensorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One scope: its nodes in executable order and the values it hands out."""

    order: tuple[int, ...]
    outputs: tuple[int, ...]
    """uids of the results"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A model with every size bound.

    Attributes:
        nodes: By index: the top level in file order, then the bodies as they were met.
        visits: Indexes in the order of the walk: owners before their bodies.
        frames: By scope; `""` is the top level.
        inputs: What a caller feeds.
        dims: Sizes of dynamic dimensions and where they come from.
        notes: Assumptions about the model as a whole.
    """

    nodes: tuple[NodeView, ...]
    visits: tuple[int, ...]
    frames: Mapping[str, Frame]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    dims: tuple[Dimension, ...]
    notes: tuple[str, ...] = ()
