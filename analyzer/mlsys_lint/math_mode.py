"""The arithmetic that a CUDA session really uses, by its options and its environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from mlsys_lint.records import Runtime

TF32_OPTION: Final = "use_tf32"
TF32_OVERRIDE: Final = "NVIDIA_TF32_OVERRIDE"
GEMM_OPTIONS: Final = "ORT_CUDA_GEMM_OPTIONS"
_OFF: Final = frozenset({"0", "False", "false"})
"""What ONNX Runtime 1.31.1 reads as false; whatever else is not true it refuses."""
_HALF_SUMS: Final = 1
"""Bit of GEMM_OPTIONS."""


def allows_tf32(options: Mapping[str, str], environment: Mapping[str, str]) -> bool:
    """Whether fp32 contractions may run in TF32.

    The provider option `use_tf32` is 1 by default (onnxruntime, cuda_provider_options.h).
    NVIDIA_TF32_OVERRIDE=0 wins over every setting of a program; other values are not documented
    (developer.nvidia.com/blog/accelerating-ai-training-with-tf32-tensor-cores) and are taken as one
    that allows TF32, so that the floor stays one.
    """
    override = environment.get(TF32_OVERRIDE)
    if override is not None:
        return override != "0"
    return options.get(TF32_OPTION, "1") not in _OFF


def with_math_mode(
    runtime: Runtime, options: Mapping[str, str], environment: Mapping[str, str]
) -> Runtime:
    """The runtime with the fast arithmetic that a session with these options has."""
    if allows_tf32(options, environment):
        return runtime
    fast = {stored: used for stored, used in runtime.fast_math.items() if used != "tf32"}
    return replace(runtime, fast_math=fast)


def math_notes(options: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[str]:
    """What is not the default, and what the prediction can't follow.

    fp16 matrix products accumulate in fp32 unless bit 1 of ORT_CUDA_GEMM_OPTIONS is set
    (onnxruntime, core/providers/cuda/cuda_common.cc); fp16 convolutions always do
    (core/providers/cuda/nn/conv.cc, cuDNN 9).
    """
    if not allows_tf32(options, environment):
        yield "predicted for fp32 arithmetic without TF32, as the session's options demand"
        if environment.get(TF32_OVERRIDE) is None:
            # conv.cc asks cuDNN again with TF32 when it finds no other plan.
            yield (
                "ONNX Runtime may still run convolutions in TF32 for which cuDNN has nothing else: "
                f"set {TF32_OVERRIDE}=0 to be sure"
            )
    if _integer(environment.get(GEMM_OPTIONS, "")) & _HALF_SUMS:
        yield (
            f"{GEMM_OPTIONS} makes fp16 matrix products accumulate in fp16; the device's peak is "
            "that for fp32 sums: a floor that is beaten here proves nothing"
        )


def _integer(text: str) -> int:
    return int(text) if text.isdecimal() else 0
