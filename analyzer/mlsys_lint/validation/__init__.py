"""Prediction against measurement: the comparison, its verdict, and how it is shown."""

from __future__ import annotations

from mlsys_lint.validation.comparison import compare, exit_status
from mlsys_lint.validation.document import to_document
from mlsys_lint.validation.tables import models_lines
from mlsys_lint.validation.text import to_text

__all__ = ["compare", "exit_status", "models_lines", "to_document", "to_text"]
