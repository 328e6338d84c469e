"""Timing a runtime's kernels on this machine: micro-networks -> parameters of kernel classes."""

from __future__ import annotations

from mlsys_lint.calibration.calibrating import calibrated_profile
from mlsys_lint.calibration.document import to_toml
from mlsys_lint.calibration.running import timing_of

__all__ = ["calibrated_profile", "timing_of", "to_toml"]
