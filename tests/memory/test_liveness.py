"""Our plan of random graphs against brute force: at each step, every buffer asked by definition."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from memory.observed import PLAIN
from mlsys_lint.memory.replay import Policy, replay
from mlsys_lint.program import Program, Value, listed_order

SHAPES = ((4, 6), (24,), (2, 6), (), (1,))
KINDS = ("Sin", "Relu", "Reshape", "Add", "Split")


@dataclass(frozen=True)
class Node:
    """A kernel of a random graph; values have numbers, -1 is the graph's input."""

    kind: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]


@dataclass(frozen=True)
class Sketch:
    """A random graph: shapes by value; the input has the first shape."""

    nodes: tuple[Node, ...]
    shapes: tuple[tuple[int, ...], ...]
    results: frozenset[int]

    def shape(self, value: int) -> tuple[int, ...]:
        return SHAPES[0] if value < 0 else self.shapes[value]

    def readers(self, value: int) -> list[int]:
        return [at for at, node in enumerate(self.nodes) if value in node.reads]


@st.composite
def sketches(draw: st.DrawFn) -> Sketch:
    nodes: list[Node] = []
    shapes: list[tuple[int, ...]] = []
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(KINDS))
        recent = st.integers(max(-1, len(shapes) - 6), len(shapes) - 1)
        reads = tuple(draw(recent) for _ in range(2 if kind == "Add" else 1))
        first = SHAPES[0] if reads[0] < 0 else shapes[reads[0]]
        count = 2 if kind == "Split" else 1
        nodes.append(Node(kind, reads, tuple(range(len(shapes), len(shapes) + count))))
        shapes += [first if kind == "Relu" else draw(st.sampled_from(SHAPES)) for _ in range(count)]
    results = draw(st.frozensets(st.integers(0, len(shapes) - 1), min_size=1, max_size=3))
    return Sketch(tuple(nodes), tuple(shapes), results)


def program(sketch: Sketch, names: str = "v{}") -> Program:
    made = Program(order=listed_order)
    source = Value("x", "float", SHAPES[0], SHAPES[0])
    source.home = made
    values = [
        Value(names.format(number), "float", shape, shape)
        for number, shape in enumerate(sketch.shapes)
    ]
    for node in sketch.nodes:
        made.add(
            node.kind,
            [source if read < 0 else values[read] for read in node.reads],
            [values[write] for write in node.writes],
        )
    made.results = [values[number] for number in sorted(sketch.results)]
    for value in made.results:
        value.is_result = True
    return made


class BruteForce:
    """Cells (buffers) by the definition of each rule, every question asked of the whole graph."""

    def __init__(self, sketch: Sketch, *, reuse: bool) -> None:
        self.sketch = sketch
        self.reuse = reuse
        self.cells: list[list[int]] = []
        """values of each cell, in the order in which they moved in"""
        for step, node in enumerate(sketch.nodes):
            for value in node.writes:
                self.place(step, node, value)

    def cell(self, value: int) -> list[int] | None:
        return next((cell for cell in self.cells if value in cell), None)

    def place(self, step: int, node: Node, value: int) -> None:
        source = self.cell(node.reads[0])
        if value in self.sketch.results:
            self.cells.append([value])
        elif node.kind == "Reshape":
            if source is not None:
                source.append(value)
        elif node.kind == "Relu" and source is not None and self.is_dead(source, step):
            source.append(value)
        else:
            taken = self.newest_dead_cell(step, value)
            if taken is None:
                self.cells.append([value])
            else:
                taken.append(value)

    def is_dead(self, cell: list[int], step: int) -> bool:
        """Nobody but this step, or an earlier one, reads what is in the cell."""
        return all(
            value not in self.sketch.results
            and all(reader <= step for reader in self.sketch.readers(value))
            for value in cell
        )

    def newest_dead_cell(self, step: int, value: int) -> list[int] | None:
        shape = self.sketch.shape(value)
        if not self.reuse or not shape or not self.sketch.readers(value):
            return None
        fitting = [
            (self.death(cell, step), cell)
            for cell in self.cells
            if self.sketch.shape(cell[0]) == shape
            and not set(cell) & set(self.sketch.nodes[step].writes)
            and self.is_dead(cell, step - 1)
        ]
        return max(fitting)[1] if fitting else None

    def death(self, cell: list[int], step: int) -> tuple[int, int]:
        """Step and place, among what that step reads and then writes, of the last use before."""
        return max(
            (at, place)
            for at, node in enumerate(self.sketch.nodes[:step])
            for place, value in enumerate((*node.reads, *node.writes))
            if value in cell
        )

    def held(self) -> list[int]:
        """Bytes at each step: of every cell that was written before and is needed now or later."""
        return [
            sum(self.nbytes(cell) for cell in self.cells if self.is_there(cell, step))
            for step in range(len(self.sketch.nodes))
        ]

    def nbytes(self, cell: list[int]) -> int:
        return 4 * prod(self.sketch.shape(cell[0]))

    def is_there(self, cell: list[int], step: int) -> bool:
        born = min(at for at, node in enumerate(self.sketch.nodes) if cell[0] in node.writes)
        reads = [reader for value in cell for reader in self.sketch.readers(value)]
        kept = not reads or bool(set(cell) & self.sketch.results)
        return born <= step and (kept or step <= max(reads))


def held(sketch: Sketch, *, reuse: bool, frees_unread: bool = False) -> list[int]:
    policy = Policy(runtime=PLAIN, reuse=reuse, frees_unread=frees_unread)
    return [step.held for step in replay(program(sketch), policy).steps]


@given(sketches())
def test_the_plan_is_that_of_brute_force(sketch: Sketch) -> None:
    for reuse in (True, False):
        assert held(sketch, reuse=reuse) == BruteForce(sketch, reuse=reuse).held()


@given(sketches())
def test_no_kernel_holds_less_than_what_it_reads_and_writes(sketch: Sketch) -> None:
    brute = BruteForce(sketch, reuse=True)
    for node, found in zip(sketch.nodes, held(sketch, reuse=True), strict=True):
        cells = {
            id(cell): brute.nbytes(cell)
            for value in (*node.reads, *node.writes)
            if (cell := brute.cell(value)) is not None
        }
        assert found >= sum(cells.values())


@given(sketches())
def test_no_plan_beats_liveness(sketch: Sketch) -> None:
    ideal = held(sketch, reuse=False, frees_unread=True)
    assert max(held(sketch, reuse=True)) >= max(ideal)


@given(sketches())
def test_two_values_alive_share_a_buffer_only_as_views(sketch: Sketch) -> None:
    brute = BruteForce(sketch, reuse=True)
    for cell in brute.cells:
        for one, later in pairwise(cell):
            (born,) = (at for at, node in enumerate(sketch.nodes) if later in node.writes)
            view = sketch.nodes[born].kind == "Reshape"
            assert view or all(reader <= born for reader in sketch.readers(one))


@given(sketches())
def test_names_change_nothing(sketch: Sketch) -> None:
    renamed = replay(program(sketch, "{}_other"), Policy(runtime=PLAIN, reuse=True))
    assert [step.held for step in renamed.steps] == held(sketch, reuse=True)
    assert all(step.kept <= step.held for step in renamed.steps)
