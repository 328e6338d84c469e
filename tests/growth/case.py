"""One operator at two sizes: what a growth case is, and how its figures are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlsys_lint import OpCost
from mlsys_lint.testing import estimate_text

FIGURES = (
    *("macs", "vector_ops", "transcendentals"),
    *("bytes_read", "bytes_written", "weight_bytes", "macs_masked", "workspace_bytes"),
)


@dataclass(frozen=True, kw_only=True)
class Growth:
    """An operator called with a size `{n}` and with twice that size.

    Attributes:
        call: `Conv<group=2>(x, w)`; an operator of another domain is written
            `com.microsoft.BiasGelu(x, b)`.
        inputs: `float[{n},4,8,8] x, float[6,2,3,3] w`; `{n}` may stand in attributes too.
        figures: Name of a figure of OpCost -> (at n, at 2 n), each derived by hand in a comment.
        n: The size.
        outputs: Names of the outputs.
        stored: Constants, as in ONNX text: `int64[1] k = {{3}}` (braces doubled).
        first: Calls that come before, such as the one that makes a sequence.
        fixed: Why no figure grows (a view; one number); empty where some does.
    """

    call: str
    inputs: str
    figures: Mapping[str, tuple[int, int]]
    n: int = 4
    outputs: str = "y"
    stored: str = ""
    first: str = ""
    fixed: str = ""
    opset: int = 23
    domains: Mapping[str, int] = field(default_factory=dict)

    @property
    def op(self) -> tuple[str, str]:
        """(domain, op_type)."""
        name = self.call.partition("(")[0].partition("<")[0]
        domain, _, op_type = name.rpartition(".")
        return domain, op_type

    def __str__(self) -> str:
        return self.call


def measured(case: Growth, n: int) -> OpCost:
    """The cost of the case's operator at a size."""
    outputs = ", ".join(f"float[?] {name.strip()}" for name in case.outputs.split(",") if name)
    stored = f"<{case.stored}>" if case.stored else ""
    calls = f"{case.first} {case.outputs} = {case.call}"
    text = f"g ({case.inputs}) => ({outputs}) {stored} {{{{ {calls} }}}}"
    domains = "".join(f', "{domain}": {version}' for domain, version in case.domains.items())
    if domains:
        text = f'<ir_version: 10, opset_import: ["": {case.opset}{domains}]> {text}'
    found = estimate_text(text.format(n=n), opset=case.opset)[-1]
    assert found.cost is not None, found.reason
    return found.cost
