"""Gather reads what it takes, scatter writes everything; maxima where counts depend on data."""

from __future__ import annotations

import pytest

from mlsys_lint.testing import check_text, estimate_text
from node_costs import cost_of, counts, moved, node_of


def test_gather_reads_rows_and_indices() -> None:
    # 6 int64 indices take 6 rows of 8 floats, of 100.
    inputs = "float[100,8] table, int64[2,3] ids"
    assert moved("Gather(table, ids)", inputs) == (6 * 8 + 6 * 32, 6 * 32)
    assert counts("Gather(table, ids)", inputs) == (0, 0)
    # Along axis 1 they take 6 columns of 100.
    assert moved("Gather<axis=1>(table, ids)", inputs) == (48 + 2400, 2400)


def test_gather_never_reads_more_than_there_is() -> None:
    # 6 indices into 2 rows of 8.
    assert moved("Gather(table, ids)", "float[2,8] table, int64[2,3] ids") == (48 + 64, 192)


def test_gathered_weights() -> None:
    text = "g (int64[2,3] ids) => (float[?] y) <float[100,8] table> { y = Gather(table, ids) }"
    found = check_text(text)
    cost = found.nodes[0].cost
    assert cost is not None
    assert (cost.weight_bytes, cost.bytes_read) == (192, 240)
    assert found.model.parameters == 800
    # Stored indices are read too, and are no parameters.
    text = "g (float[9] x) => (float[?] y) <int64[2] i> { y = Gather(x, i) }"
    found = check_text(text)
    assert found.nodes[0].cost is not None
    assert found.nodes[0].cost.weight_bytes == 16
    assert found.model.parameters == 0


def test_gather_by_element_and_by_tuple() -> None:
    assert moved("GatherElements(x, i)", "float[5,4] x, int64[2,4] i") == (64 + 32, 32)
    # 3 pairs pick 3 vectors of 6 floats.
    assert moved("GatherND(x, i)", "float[5,4,6] x, int64[3,2] i") == (48 + 72, 72)


@pytest.mark.parametrize(
    ("call", "inputs"),
    [
        ("ScatterElements(x, i, u)", "float[5,4] x, int64[2,4] i, float[2,4] u"),
        ("ScatterND(x, i, u)", "float[5,4] x, int64[2,1] i, float[2,4] u"),
    ],
)
def test_scatter_writes_everything(call: str, inputs: str) -> None:
    indices = 8 * (8 if "Elements" in call else 2)
    cost = cost_of(call, inputs)
    assert (cost.bytes_read, cost.bytes_written) == (80 + indices + 32, 80)
    assert (cost.vector_ops, cost.kernel_class) == (0, "scatter")
    # Combining takes one operation per update.
    for reduction in ("add", "mul", "max", "min"):
        combined = call.replace("(", f'<reduction="{reduction}">(')
        assert counts(combined, inputs) == (8, 0)


def test_scatter_into_a_cache() -> None:
    # 2 x 4 x 16 x 8 floats, of which 2 x 4 x 1 x 8 are new, at 2 int64 positions.
    inputs = "float[2,4,16,8] c, float[2,4,1,8] u, int64[2] at"
    assert moved("TensorScatter(c, u, at)", inputs, opset=24) == (4096 + 256 + 16, 4096)


def test_nonzero_compares_every_element() -> None:
    found = node_of("NonZero(x)", "float[3,4] x")
    assert found.cost is not None
    assert found.status.value == "estimated"
    assert found.node.outputs[0] is not None
    assert found.node.outputs[0].shape == (2, 12)
    assert found.node.outputs[0].bounded == {1}
    # At most 2 * 12 int64 are written.
    assert (found.cost.vector_ops, found.cost.bytes_written) == (12, 192)
    scalar = node_of("NonZero(x)", "float x")
    assert scalar.node.outputs[0] is not None
    # ONNX Runtime gives a row of positions for a scalar, too.
    assert scalar.node.outputs[0].shape == (1, 1)


def test_one_hot() -> None:
    text = (
        "g (int64[3] i, float[2] pair) => (float[?] y) <int64 depth = {5}> "
        "{ y = OneHot(i, depth, pair) }"
    )
    (found,) = estimate_text(text)
    assert found.cost is not None
    assert (found.cost.vector_ops, found.cost.bytes_read) == (15, 24 + 8)
    assert found.cost.bytes_written == 60
    assert node_of("OneHot(i, d, v)", "int64[3] i, int64 d, float[2] v").cost is None


def suppression(limit: str, *, known: bool = True) -> str:
    given, stored = ("", f", {limit}") if known else (f", {limit}", "")
    return (
        f"g (float[2,10,4] b, float[2,3,10] s{given}) => (int64[?,?] y) "
        f"<float[1] t = {{0.5}}{stored}> {{ y = NonMaxSuppression(b, s, m, t) }}"
    )


@pytest.mark.parametrize(("limit", "kept"), [(4, 4), (100, 10), (0, 0), (-1, 0)])
def test_suppression_at_most(limit: int, kept: int) -> None:
    (found,) = estimate_text(suppression(f"int64[1] m = {{{limit}}}"))
    assert found.cost is not None
    assert found.node.outputs[0] is not None
    # 2 images, 3 classes.
    assert found.node.outputs[0].shape == (6 * kept, 3)
    # 60 scores compared; 20 areas of 3; 13 for each pair of one of 60 and a kept one.
    assert found.cost.vector_ops == 60 + 60 + 13 * 60 * kept
    assert found.cost.bytes_written == 6 * kept * 3 * 8


def test_suppression_without_a_known_limit_keeps_every_box() -> None:
    text = suppression("int64[1] m", known=False)
    (found,) = estimate_text(text)
    assert found.node.outputs[0] is not None
    assert found.node.outputs[0].shape == (60, 3)


def test_thresholds_are_no_parameters() -> None:
    assert check_text(suppression("int64[1] m = {4}")).model.parameters == 0


@pytest.mark.parametrize(
    ("call", "indices", "read"),
    [
        # Rows 0 and 4 (-1 is 4) of 5 rows of 4 floats, out of 4 indices of 8 bytes.
        ("Gather(x, i)", "int64[4] i = {0,4,0,-1}", 32 + 2 * 16),
        # Column 1 twice: 5 floats.
        ("Gather<axis=1>(x, i)", "int64[2] i = {1,1}", 16 + 20),
        # Of column 0 row 1 twice, of column 1 rows 2 and 3: 3 floats.
        ("GatherElements(x, i)", "int64[2,2] i = {1,2,1,3}", 32 + 12),
        # Rows 3 and 3; places (0, 1), (0, 1) and (2, 3).
        ("GatherND(x, i)", "int64[2,1] i = {3,3}", 16 + 16),
        ("GatherND(x, i)", "int64[3,2] i = {0,1,0,1,2,3}", 48 + 8),
        # In each of 5 batches place 1, named twice: 5 floats.
        ("GatherND<batch_dims=1>(x, i)", "int64[5,2,1] i = {1,1,1,1,1,1,1,1,1,1}", 80 + 20),
    ],
)
def test_stored_indices_read_what_they_name_once(call: str, indices: str, read: int) -> None:
    (found,) = estimate_text(f"g (float[5,4] x) => (float[?] y) <{indices}> {{ y = {call} }}")
    assert found.cost is not None, found.reason
    assert found.cost.bytes_read == read


def test_elements_are_gathered_from_the_lines_that_indices_stand_for() -> None:
    # 200 indices in each of 2 of 100 columns of 100: at most those 2 columns are read.
    inputs = "float[100,100] x, int64[200,2] i"
    assert moved("GatherElements(x, i)", inputs) == (8 * 400 + 4 * 200, 1600)


@pytest.mark.parametrize("opset", [9, 11, 28])
def test_one_hot_of_a_single_index(opset: int) -> None:
    # 7 comparisons; an index of 8 bytes and two floats are read.
    text = "g (int64 i, float[2] v) => (float[?] y) <int64 d = {7}> { y = OneHot(i, d, v) }"
    (found,) = estimate_text(text, opset=opset)
    assert found.cost is not None, found.reason
    assert found.node.output().shape == (7,)
    assert (found.cost.vector_ops, found.cost.bytes_read, found.cost.bytes_written) == (7, 16, 28)


def test_indices_that_stand_for_a_maximum_are_not_told_apart() -> None:
    # The last place of what is found among 8, at most 8, and place 8: 2 rows of 16 bytes at most.
    text = """g (float[8] m, float[10,4] x) => (float[?,?] y) <int64[1] c = {8}> {
        n = NonZero(m)
        s = Shape<start=1>(n)
        i = Concat<axis=0>(s, c)
        y = Gather(x, i)
    }"""
    found = estimate_text(text)[-1]
    assert found.cost is not None
    assert found.cost.bytes_read == 16 + 2 * 16
