"""How models run: on one thread, which leaves the other cores to the other workers."""

from pathlib import Path
from typing import Any

__all__ = ["open_session"]


def open_session(model: Path | bytes) -> Any:
    """The model of a file or its content, ready to run; may be used by several threads at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Whatever goes wrong is raised as well.
    options.log_severity_level = 4
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
