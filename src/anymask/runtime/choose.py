"""Which runtime a model gets: the one that is asked for, or the fastest that is installed."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import get_args

from ..errors import ConfigError
from ..model.config import ViTConfig
from ..model.sam import Sam
from .interface import Runtime
from .names import Precision, RuntimeName

log = logging.getLogger("anymask")

LIBRARIES = {"openvino": ("openvino",), "onnx": ("onnx", "onnxruntime", "onnxscript")}
"""what a runtime needs, which is also the extra that installs it"""


def open_runtime(sam: Sam, name: RuntimeName | Runtime = "auto", precision: Precision = "exact") -> Runtime:
    """Make a model ready to answer.

    "auto" takes OpenVINO for a ViT whose hash is known and that takes no text, on the CPU, where it is installed: it
    converts the model once and keeps it on disk. Else it takes torch, which follows the weights as they are trained.
    The logger "anymask" tells which, at level INFO.

    Raises ConfigError for a name that is not known or not installed.
    """
    if isinstance(name, Runtime):
        return name
    if name not in get_args(RuntimeName):
        raise ConfigError(f"runtime {name!r} is not known; expected one of {', '.join(get_args(RuntimeName))}")
    if precision not in get_args(Precision):
        raise ConfigError(f"precision {precision!r} is not known; expected one of {', '.join(get_args(Precision))}")
    chosen = _fastest(sam, precision) if name == "auto" else name
    runtime = _open(sam, chosen, precision)
    log.info("%s runs on %s", sam.config.name, runtime)
    return runtime


def _fastest(sam: Sam, precision: Precision) -> RuntimeName:
    if precision == "int8":
        return "openvino" if find_spec("openvino") or not find_spec("onnxruntime") else "onnx"
    vit = isinstance(sam.config.encoder, ViTConfig)  # a light model is as fast on torch
    if vit and not sam.config.text_width and sam.device.type == "cpu" and sam.weights_hash and find_spec("openvino"):
        return "openvino"
    return "torch"


def _open(sam: Sam, name: RuntimeName, precision: Precision) -> Runtime:
    for library in LIBRARIES.get(name, ()):
        if not find_spec(library):
            raise ConfigError(f"runtime {name}: {library} is not installed; pip install 'anymask[{name}]'")
    if name == "openvino":
        from .openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(sam, precision)
    if name == "onnx":
        from .onnx_runtime import OnnxRuntime

        return OnnxRuntime(sam, precision)
    from .torch_runtime import TorchRuntime

    return TorchRuntime(sam, precision)
