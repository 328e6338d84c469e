"""Example plugin of mlsys-lint: one operator, one rule, one device, one reporter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources

from onnx.shape_inference import InferenceContext

from mlsys_lint import (
    DeviceEntry,
    DeviceProfile,
    Hit,
    ModelReport,
    NodeView,
    OpCost,
    OperatorSpec,
    Reporter,
    Rule,
    Severity,
    cost,
    hookimpl,
)
from mlsys_lint.devices import parse_profile


def fused_gelu(node: NodeView) -> OpCost:
    """Y = gelu(X): one erf and four operations per element."""
    elements = node.output().numel
    return cost(node, kernel_class="unary:gelu", vector_ops=4 * elements, transcendentals=elements)


def infer_fused_gelu(context: InferenceContext) -> None:
    """Y has the type of X."""
    context.set_output_type(0, context.get_input_type(0))


@hookimpl
def register_operators() -> list[OperatorSpec]:
    """com.acme::FusedGelu."""
    return [
        OperatorSpec(
            domain="com.acme",
            op_type="FusedGelu",
            since_version=1,
            estimate=fused_gelu,
            infer=infer_fused_gelu,
        )
    ]


RULE_DOC = """ACM101 fused-gelu-on-cpu: com.acme::FusedGelu has no CPU kernel.

## What it does
Reports every com.acme::FusedGelu.
## Why it matters
It runs on Acme hardware only.
## Example
`y = com.acme.FusedGelu(x)`
## Use instead
Gelu of ai.onnx.
## Limits
None.
"""


def check_fused_gelu(report: ModelReport) -> Iterable[Hit]:
    """A hit for each FusedGelu."""
    for one in report.nodes:
        if one.node.op == "com.acme::FusedGelu":
            yield Hit(message="FusedGelu runs on Acme hardware only", node=one.node.index)


@hookimpl
def register_rules() -> list[Rule]:
    """ACM101."""
    return [
        Rule(
            code="ACM101",
            name="fused-gelu-on-cpu",
            severity=Severity.WARNING,
            check=check_fused_gelu,
            doc=RULE_DOC,
        )
    ]


def load_npu() -> DeviceProfile:
    """Parse the profile that ships with this package."""
    text = resources.files(__name__).joinpath("acme-npu.toml").read_text(encoding="utf-8")
    return parse_profile(text, "acme-npu.toml", {})


@hookimpl
def register_devices() -> list[DeviceEntry]:
    """acme-npu."""
    return [DeviceEntry(id="acme-npu", name="Acme NPU", vendor="Acme", kind="npu", load=load_npu)]


def render_line(reports: Sequence[ModelReport]) -> str:
    """A line for each model."""
    return "".join(f"acme: {one.model.path}: {one.totals.flops} FLOPs\n" for one in reports)


@hookimpl
def register_reporters() -> list[Reporter]:
    """acme-line."""
    return [Reporter(name="acme-line", render=render_line)]
