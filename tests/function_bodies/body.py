"""An operator and the function body by which onnx defines it: what each of them counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import onnx
import onnx.inliner
from onnx import defs

from mlsys_lint.analysis import analyse
from mlsys_lint.loading import prepare
from mlsys_lint.operators import OperatorTable, normal_domain
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import NodeCost, NodeStatus
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

Figures: TypeAlias = tuple[int, int, int]
"""MACs, vector operations, transcendentals."""
Version: TypeAlias = tuple[str, str, int, int]
"""Domain, operator, version of the schema, version of the body."""
_NEWEST_ONNX: Final = 28


@dataclass(frozen=True, kw_only=True)
class Body:
    """A call whose formula and body are compared in every version that has a body.

    Attributes:
        call: `Elu(x)`; another domain's operator is written `ai.onnx.preview.FlexAttention(...)`.
        inputs: Declarations in ONNX text.
        stored: Constants.
        outputs: Names of the outputs, or their declarations where they are no tensors of floats.
        more: What the body counts beyond the formula; a comment derives it.
        expanded: The operator has no formula: its cost is that of its body's nodes, and these are
            their figures, derived by hand.
        known: Count also what is known before the run (arithmetic on shapes), which folds otherwise.
        opsets: Only these; empty: one for each version.
    """

    call: str
    inputs: str = ""
    stored: str = ""
    outputs: str = "y"
    more: Figures = (0, 0, 0)
    expanded: Figures | None = None
    known: bool = False
    opsets: tuple[int, ...] = ()

    @property
    def op(self) -> tuple[str, str]:
        """(domain, op_type)."""
        name = self.call.partition("(")[0].partition("<")[0].strip()
        domain, _, op_type = name.rpartition(".")
        return domain, op_type

    def __str__(self) -> str:
        return f"{self.call}, {self.inputs}"

    def model(self, opset: int) -> onnx.ModelProto:
        """A graph with nothing but the call."""
        typed = self.outputs
        if "[" not in typed:
            typed = ", ".join(f"float[?] {name.strip()}" for name in typed.split(","))
        names = ", ".join(part.split()[-1] for part in self.outputs.split(", "))
        stored = f"<{self.stored}>" if self.stored else ""
        text = f"g ({self.inputs}) => ({typed}) {stored} {{ {names} = {self.call} }}"
        domain = self.op[0]
        if not domain:
            return model_from_text(text, opset)
        imports = f'["": {_NEWEST_ONNX}, "{domain}": {opset}]'
        return model_from_text(f"<ir_version: 10, opset_import: {imports}> {text}")


def versions() -> Iterator[Version]:
    """Every body of every version of every operator that the installed onnx has one for."""
    schemas: Any = defs.get_all_schemas_with_history()  # the stubs lack what follows
    for schema in schemas:
        bodies = {
            *schema.function_opset_versions,
            *schema.context_dependent_function_opset_versions,
        }
        for body in bodies:
            yield normal_domain(schema.domain), schema.name, schema.since_version, body


def opsets_of(case: Body) -> dict[int, Version]:
    """Opset -> the version that it stands for."""
    found = {max(one[2:]): one for one in versions() if one[:2] == case.op}
    return {at: one for at, one in found.items() if not case.opsets or at in case.opsets}


def ours(case: Body, opset: int) -> Figures:
    """What the product counts, by the formula or, without one, by listing the body."""
    return _totals(case, case.model(opset), _host())


def theirs(case: Body, opset: int) -> Figures:
    """What it counts where it has no formula for this operator: the nodes of the body."""
    costs = _costs(case.model(opset), _without(*case.op))
    assert costs[0].status is NodeStatus.EXPANDED
    return _sum(case, costs)


def inlined(case: Body, opset: int) -> Figures:
    """As `theirs`, with the body put in the operator's place by onnx itself.

    Onnx leaves attributes of the body that are not given empty; their defaults are spelled out.
    """
    model, (domain, name) = case.model(opset), case.op
    for tensor in model.graph.initializer:  # the inliner asks for their types
        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.value_info.append(info)
    (node,) = model.graph.node
    known = {one.name for one in node.attribute}
    for attribute in defs.get_schema(name, opset, domain).attributes.values():
        if attribute.name not in known and attribute.default_value.type:
            node.attribute.append(attribute.default_value)
    body = onnx.inliner.inline_selected_functions(
        model, [(domain, name)], inline_schema_functions=True
    )
    assert name not in {node.op_type for node in body.graph.node}
    return _totals(case, body, _host())


def has_formula(case: Body, opset: int) -> bool:
    """True when a plugin of ours brings one."""
    return _host().operators.find(*case.op, opset) is not None


def _totals(case: Body, model: onnx.ModelProto, host: PluginHost) -> Figures:
    return _sum(case, _costs(model, host))


def _costs(model: onnx.ModelProto, host: PluginHost) -> tuple[NodeCost, ...]:
    return analyse(prepare(model, Path("text.onnx")), host, Bindings()).costs


def _sum(case: Body, found: tuple[NodeCost, ...]) -> Figures:
    executed = [one for one in found if one.node.repeat]
    assert not [one.reason for one in executed if one.cost is None]
    counted = [one for one in executed if case.known or not _is_known(one)]
    costs = [(one.cost, one.node.repeat) for one in counted if one.cost is not None]
    return (
        sum(cost.macs * repeat for cost, repeat in costs),
        sum(cost.vector_ops * repeat for cost, repeat in costs),
        sum(cost.transcendentals * repeat for cost, repeat in costs),
    )


def _is_known(found: NodeCost) -> bool:
    results = [one for one in found.node.outputs if one is not None]
    return all(one.constant or one.value is not None for one in results)


@cache
def _host() -> PluginHost:
    return PluginHost(third_party=False)


@cache
def _without(domain: str, name: str) -> PluginHost:
    host, table = PluginHost(third_party=False), OperatorTable()
    for entry in host.operators:
        if (normal_domain(entry.spec.domain), entry.spec.op_type) != (domain, name):
            table.merge([entry.spec], entry.plugin)
    host.operators = table
    return host
