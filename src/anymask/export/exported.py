"""A folder that `export_model` wrote, opened to be run on this machine's CPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..offline import import_openvino
from ..runtime.onnx_runtime import open_session

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]


class Exported:
    """The three graphs of an exported model, each called with arrays by name.

    Raises ModelError for a folder without a manifest.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            files: Mapping[str, Any] = self.manifest["files"]
            self.precision: str = self.manifest["precision"]
            openers = {"onnx": _open_onnx, "openvino": _open_openvino}
            open_graph = openers[self.manifest["kind"]]
        except (OSError, ValueError, KeyError, TypeError):
            raise ModelError(f"{folder}: holds no exported model; expected what `anymask export` writes") from None
        graphs = {name: open_graph(folder / record["files"][0]["file"]) for name, record in files.items()}
        self.encoder, self.decoder, self.enlarge = graphs["encoder"], graphs["decoder"], graphs["enlarge"]


def _open_onnx(path: Path) -> Run:
    session = open_session(path)
    outputs = [each.name for each in session.get_outputs()]

    def run(arrays: Arrays) -> Arrays:
        return dict(zip(outputs, session.run(outputs, arrays), strict=True))

    return run


def _open_openvino(path: Path) -> Run:
    core = import_openvino().Core()
    compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(arrays: Arrays) -> Arrays:
        found = compiled(arrays)
        return {port.get_any_name(): np.array(found[port]) for port in compiled.outputs}

    return run
