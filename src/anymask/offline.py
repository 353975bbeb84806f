"""Libraries that report their use to their makers, imported so that they do not."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any


@cache
def import_openvino() -> Any:
    """OpenVINO, which without the package openvino_telemetry tells nobody of anything. Raises ImportError."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if it were not installed
    import openvino

    return openvino


@cache
def import_onnxruntime() -> Any:
    """ONNX Runtime, with its events turned off. Raises ImportError."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime
