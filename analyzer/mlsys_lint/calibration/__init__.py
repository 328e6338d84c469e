"""Timing a runtime's kernels on this machine: micro-networks -> parameters of kernel classes."""

from __future__ import annotations

from mlsys_lint.calibration.calibrating import calibrated_profile, timing_of
from mlsys_lint.calibration.document import to_toml

__all__ = ["calibrated_profile", "timing_of", "to_toml"]
