"""A CUDA provider that does not work, and options that it refuses: exit 2 with its words.

The texts are those of onnxruntime-gpu 1.31.1: without CUDA's libraries, with the libraries and no
driver, and with stand-ins for the libraries whose functions all succeed (no GPU was there).
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mlsys_lint.cli import run
from mlsys_lint.errors import OptionError, RuntimeUnavailableError
from mlsys_lint.measure.cuda_errors import cuda_fault, loader_reason, not_loaded

FAKE = Path(__file__).parent / "fake"
LOG = (FAKE / "loader.log").read_text(encoding="utf-8")
MISSING = "libcublasLt.so.13: cannot open shared object file: No such file or directory"

_CALL = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, "
    "void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*) "
)
_PARSE = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc:63 static "
    "onnxruntime::CUDAExecutionProviderInfo onnxruntime::CUDAExecutionProviderInfo::"
    "FromProviderOptions(const onnxruntime::ProviderOptions&) [ONNXRuntimeError] : 1 : FAIL : "
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    text = '<ir_version: 9, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Neg(x) }'
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def test_a_provider_that_does_not_load_is_no_run_on_the_cpu(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FAKE))  # the child process takes over this path
    assert run(["validate", str(model), "--provider", "cuda"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "CUDA was asked for, ONNX Runtime 1.31.1 fell back to CPUExecutionProvider" in err
    assert MISSING in err
    assert len(err.splitlines()) == 1


def test_the_loaders_words_are_found_in_the_log() -> None:
    assert loader_reason(LOG) == MISSING


def test_windows_words_are_found_too() -> None:
    # microsoft/onnxruntime issue 21424
    log = (
        "2024-07-19 17:51:49.6543942 [E:onnxruntime:Default, provider_bridge_ort.cc:1972 "
        "onnxruntime::TryGetProviderInfo_CUDA] D:\\core\\session\\provider_bridge_ort.cc:1636 "
        "onnxruntime::ProviderLibrary::Get [ONNXRuntimeError] : 1 : FAIL : LoadLibrary failed with "
        'error 126 "" when trying to load "C:\\onnxruntime_providers_cuda.dll"\n'
    )
    assert loader_reason(log) == (
        'LoadLibrary failed with error 126 "" when trying to load "C:\\onnxruntime_providers_cuda.dll"'
    )


def test_without_a_loaders_line_the_last_line_of_the_log_is_the_reason() -> None:
    (warning,) = (line for line in LOG.splitlines() if "[W:onnxruntime" in line)
    reason = loader_reason(warning)
    assert reason is not None
    assert reason.startswith(
        "Failed to create CUDAExecutionProvider. Require cuDNN 9.* and CUDA 13.*"
    )
    assert loader_reason("") is None
    assert "fell back to nothing;" in str(not_loaded("1.99.0", "nothing", ""))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            (
                f"{_CALL}CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; "
                "GPU=-1 ; hostname=vm ; expr=cudaSetDevice(info_.device_id); \n\n"
            ),
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version; check",
        ),
        (  # the option is sound, the driver is not
            (
                f'{_PARSE}provider_options_utils.h:187 Parse Failed to parse provider option "device_id": '
                "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ;"
            ),
            "CUDA failure 35",
        ),
        (
            (
                "Error in execution: Non-zero status code returned while running Conv node. Name:'' Status "
                "Message: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_kernel.h:296 static "
                "cudnnContext* onnxruntime::cuda::CudaKernel::RequireCudnnHandle(cudnnHandle_t) "
                "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : cuDNN is unavailable or disabled for CUDA "
                "Execution Provider: dlopen failed for libcudnn.so: libcudnn.so: cannot open shared "
                "object file: No such file or directory"
            ),
            "dlopen failed for libcudnn.so",
        ),
    ],
    ids=["no driver", "no driver, with an option", "no cuDNN"],
)
def test_an_installation_that_does_not_work_is_told_from_the_model(text: str, words: str) -> None:
    error = cuda_fault(text)
    assert isinstance(error, RuntimeUnavailableError)
    assert words in str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'provider_options_utils.h:182 Parse Unknown provider option: "nonsense".\n',
            'Unknown provider option: "nonsense"',
        ),
        (
            (
                "provider_options_utils.h:187 Parse Failed to parse provider option "
                '"cudnn_conv_algo_search": provider_options_utils.h:56 NameToEnum Failed to map enum name '
                "to value: BAD\n"
            ),
            (
                'Failed to parse provider option "cudnn_conv_algo_search": Failed to map enum name to '
                "value: BAD"
            ),
        ),
        (
            (
                'provider_options_utils.h:187 Parse Failed to parse provider option "device_id": '
                "cuda_execution_provider_info.cc:71 operator() Invalid device ID: 7, must be between 0 "
                "(inclusive) and 1 (exclusive).\n"
            ),
            (
                'Failed to parse provider option "device_id": Invalid device ID: 7, must be between 0 '
                "(inclusive) and 1 (exclusive)"
            ),
        ),
    ],
)
def test_a_refused_option_is_reported_in_the_providers_words(text: str, words: str) -> None:
    error = cuda_fault(_PARSE + text)
    assert isinstance(error, OptionError)
    assert str(error) == f"--provider-option: CUDAExecutionProvider says: {words}"


def test_lack_of_memory_is_the_models_fault() -> None:
    assert cuda_fault(f"{_CALL}CUDA failure 2: out of memory ; GPU=0 ;") is None
    assert cuda_fault("Load model from m.onnx failed: Fatal error: Foo is not registered") is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--provider-option", "use_tf32=0"], "--provider-option is for --provider cuda"),
        (["--provider", "cuda", "--provider-option", "use_tf32"], "use_tf32: say KEY=VALUE"),
        (["--provider", "cuda", "--provider-option", "=1"], "=1: say KEY=VALUE"),
        (
            ["--provider", "cuda", "--provider-option", "a=0", "--provider-option", "a=1"],
            "--provider-option a=1: a is given twice",
        ),
    ],
)
def test_options_are_checked_before_anything_runs(
    model: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(model), *arguments]) == 2
    assert words in capsys.readouterr().err
