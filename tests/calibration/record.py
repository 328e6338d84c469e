"""Times a few micro-networks on this machine and keeps the result as `recorded.json`.

    python tests/calibration/record.py

Tests fit this recording: what they check holds for any machine. It is to be made anew when one of
the networks below changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from mlsys_lint.calibration.rows import steady, without_profiler
from mlsys_lint.host import detect_host
from mlsys_lint.measure import time_networks
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records.calibration import MicroNetwork

RECORDED: Final = Path(__file__).with_name("recorded.json")
NETWORKS: Final = (
    *("dense_28_128_1", "dense_14_256_1", "dense_14_64_4", "pointwise_28_128", "pointwise_14_256"),
    *("pointwise_20_112", "depthwise_28_192", "depthwise_14_384", "depthwise_20_240"),
    *("products_1", "products_2", "products_hot", "rows_a", "reduce_a"),
)


def networks() -> list[MicroNetwork]:
    """The networks of the recording, in its order."""
    timing = PluginHost(third_party=False).runtimes["onnxruntime-cpu"].timing
    assert timing is not None
    found = {one.name: one for one in timing.networks()}
    return [found[name] for name in NETWORKS if name in found]


def main() -> None:
    wanted = networks()
    version, results = time_networks(
        [(one.name, one.model) for one in wanted],
        threads=1,
        budget_s=0.5,
        progress=lambda _name, _share: None,
    )
    host = detect_host(1)
    document = {
        "version": version,
        "cpu": host.name,
        "lanes": host.vector_lanes,
        "networks": {
            one.name: _compact(result) for one, result in zip(wanted, results, strict=True)
        },
    }
    RECORDED.write_text(json.dumps(document, indent=None) + "\n", encoding="utf-8")


def _compact(result: dict[str, Any]) -> dict[str, Any]:
    """Steady times, the profiler's own taken off: kernels add up to the total."""
    kernels = result["kernels"]
    times = without_profiler([steady(one["seconds"]) for one in kernels], steady(result["seconds"]))
    return {
        "seconds": [sum(times)],
        "kernels": [
            {**one, "seconds": [seconds]} for one, seconds in zip(kernels, times, strict=True)
        ],
    }


if __name__ == "__main__":
    main()
