"""ONNX Runtime as a runtime: the graphs of a Sam as ONNX files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..offline import import_onnxruntime
from .graph_runtime import Arrays, Call, GraphRuntime
from .graphs import Graph

OPSET = 20
LARGEST = 1 << 18
"""numbers of a tensor that is computed once, when a graph is written, where it depends on no input"""


class OnnxRuntime(GraphRuntime):
    """Runs a model on the CPU of ONNX Runtime, in float32: it knows no bfloat16 there, so that "fast" is as "exact".

    With "int8" weights have a scale a row, and each activation has one of its own, which it gets as it comes.
    """

    name: ClassVar[str] = "onnx"
    library: ClassVar[str] = "onnxruntime"
    file: ClassVar[str] = "graph.onnx"

    def _convert(self, graph: Graph, path: Path) -> None:
        write_onnx(graph, path)

    def _quantise(self, path: Path, result: Path) -> None:
        quantise(path, result, external=True)

    def _compile(self, path: Path, name: str, shapes: Sequence[tuple[int, ...]]) -> Call:
        session = open_session(path)
        names = [each.name for each in session.get_inputs()]

        def call(inputs: Arrays) -> Arrays:
            arrays = [np.ascontiguousarray(array) for array in inputs]
            return list(session.run(None, dict(zip(names, arrays, strict=True))))

        return call


def open_session(path: Path) -> Any:
    """An ONNX file, ready to be run on the CPU."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def write_onnx(graph: Graph, path: Path, external: bool = False) -> None:
    """Write a graph as an ONNX file; `external` puts its weights beside it, where they are in any case over 2 GB."""
    import torch
    from onnxscript.optimizer import fold_constants, remove_unused_nodes

    with warnings.catch_warnings(), torch.no_grad(), _quiet(logging.getLogger("torch.onnx")):
        warnings.simplefilter("ignore")  # of tracing, about which a user can do nothing
        program = torch.onnx.export(
            graph.export(),
            input_names=list(graph.names),
            output_names=list(graph.outputs),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    fold_constants(program.model, input_size_limit=LARGEST, output_size_limit=LARGEST)
    remove_unused_nodes(program.model)
    for node in program.model.graph.all_nodes():  # which tell of the places of the source code
        node.metadata_props.clear()
        node.doc_string = None
    program.save(path, external_data=external)


def quantise(path: Path, result: Path, external: bool) -> None:
    """Write a graph again with the products of its linear layers in 8 bits, a scale for each channel that comes out.

    `external` puts the weights beside the file, which must be where they are over 2 GB.
    """
    import_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet(logging.getLogger()):  # which is told to prepare the graph; there is nothing to prepare
        quantize_dynamic(
            path,
            result,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=external,
        )


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Let a logger tell of errors only."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
