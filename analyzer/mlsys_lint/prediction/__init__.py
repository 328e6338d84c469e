"""Time of kernels and models on a device: floor, low, expected, high.

- `combination`: a model's time from that of its kernels; which form predicts a kernel.
- `nominal`: the form for devices that were not calibrated.
- `efficiency`: sustained shares of a roof.
- `floors`: what no run can beat.
"""

from __future__ import annotations

from mlsys_lint.prediction.combination import Prediction, predict

__all__ = ["Prediction", "predict"]
