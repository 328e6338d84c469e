"""The graphs that ONNX Runtime's optimizers make of a model, saved level by level, without weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import onnx

from mlsys_lint.joining.graph import name_nodes
from mlsys_lint.measure.runtime import PROVIDER_NAMES, Provider, Runtime

LEVELS: Final = ("BASIC", "EXTENDED", "ALL")
_WEIGHT_BYTES: Final = 1024
"""Larger weights are not saved: only the graph is wanted."""
_SILENT: Final = 4  # log severity: fatal only
_SAVED: Final = "session.optimized_model_external_initializers"

Source: TypeAlias = str | bytes
"""What a session is made from: a path, or a model in memory."""


def named_model(path: Path) -> Source:
    """The model with a name of its own for every node: kernels are found again by name.

    The file itself where all have one. External data stays where it is: the session options say
    where.
    """
    proto = onnx.load(path, load_external_data=False)
    return proto.SerializeToString() if name_nodes(proto) else str(path)


def save_graphs(
    runtime: Runtime,
    source: Source,
    data: Path,
    scratch: Path,
    *,
    levels: Sequence[str] = LEVELS,
    providers: Sequence[Provider] = (PROVIDER_NAMES["cpu"],),
) -> Iterator[Path]:
    """The graph of each level, as a session on these providers would run it.

    Args:
        runtime: The module onnxruntime.
        source: See `named_model`.
        data: Folder of the model's external data.
        scratch: Where the graphs are written.
        levels: Those that are wanted.
        providers: In order of preference, with options.
    """
    for level in levels:
        path = scratch / f"{level.lower()}.onnx"
        options = saving_options(runtime, data, path, threads=1, level=level)
        options.add_session_config_entry("session.disable_prepacking", "1")  # it is not run
        runtime.InferenceSession(source, options, providers=list(providers), enable_fallback=0)
        yield path


def saving_options(
    runtime: Runtime, data: Path, path: Path, *, threads: int, level: str = "ALL"
) -> Any:
    """Options of a session that also saves its graph, without its weights.

    The names of inserted nodes differ from session to session: a profile and the graph that it
    speaks of must come from the same one.
    """
    options = session_options(runtime, data, threads=threads, level=level)
    options.optimized_model_filepath = str(path)
    weights = path.with_name("weights")
    with suppress(OSError):  # a system without links: the weights are written
        weights.symlink_to(os.devnull)
    options.add_session_config_entry(f"{_SAVED}_file_name", weights.name)
    options.add_session_config_entry(f"{_SAVED}_min_size_in_bytes", str(_WEIGHT_BYTES))
    return options


def session_options(runtime: Runtime, data: Path, *, threads: int, level: str = "ALL") -> Any:
    """Options of a session on the CPU for a model in memory."""
    options = runtime.SessionOptions()
    options.graph_optimization_level = getattr(
        runtime.GraphOptimizationLevel, f"ORT_ENABLE_{level}"
    )
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(data)
    )
    return options
