from __future__ import annotations

import re

import pytest

from mlsys_lint import Rule
from mlsys_lint_plugins.rules import RULES, register_rules

SECTIONS = ["What it does", "Why it matters", "Example", "Use instead", "Limits"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_documents_itself(rule: Rule) -> None:
    assert rule.doc.startswith(f"{rule.code} {rule.name}: ")
    assert re.findall(r"^## (.*)$", rule.doc, re.MULTILINE) == SECTIONS
    parts = re.split(r"^## .*$", rule.doc, flags=re.MULTILINE)
    assert all(part.strip() for part in parts)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_codes_and_names_have_the_house_form(rule: Rule) -> None:
    assert re.fullmatch(r"MLS[1-5]\d\d", rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)


def test_codes_and_names_are_unique_and_in_order() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_the_hook_offers_them_all() -> None:
    assert tuple(register_rules()) == RULES
