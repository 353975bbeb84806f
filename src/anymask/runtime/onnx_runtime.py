"""ONNX Runtime as a runtime: the graphs of a Sam as ONNX files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..offline import import_onnxruntime
from .graph_runtime import Arrays, Call, GraphRuntime
from .graphs import Graph

OPSET = 18


class OnnxRuntime(GraphRuntime):
    """Runs a model on the CPU of ONNX Runtime, in float32: it knows no bfloat16 there, so that "fast" is as "exact".

    With "int8" weights have a scale a row, and each activation has one of its own, which it gets as it comes.
    """

    name: ClassVar[str] = "onnx"
    library: ClassVar[str] = "onnxruntime"
    file: ClassVar[str] = "graph.onnx"

    def _convert(self, graph: Graph, path: Path) -> None:
        import torch

        with warnings.catch_warnings(), _quiet(logging.getLogger("torch.onnx")):
            warnings.simplefilter("ignore")  # of tracing, about which a user can do nothing
            program = torch.onnx.export(graph.export(), dynamo=True, opset_version=OPSET, verbose=False)
        if program is None:
            raise RuntimeError("torch.onnx.export gave no program")
        program.save(path)

    def _quantise(self, path: Path, result: Path) -> None:
        import_onnxruntime()
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with _quiet(logging.getLogger()):  # which is told to prepare the graph; there is nothing to prepare
            quantize_dynamic(
                path,
                result,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                use_external_data_format=True,
            )

    def _compile(self, path: Path, name: str, shapes: Sequence[tuple[int, ...]]) -> Call:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]

        def call(inputs: Arrays) -> Arrays:
            arrays = [np.ascontiguousarray(array) for array in inputs]
            return list(session.run(None, dict(zip(names, arrays, strict=True))))

        return call


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Let a logger tell of errors only."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
