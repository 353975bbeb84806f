"""Graphs whose weights take fewer bytes: in float16, or products in 8 bits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..runtime.onnx_runtime import quantise

Precision = Literal["float32", "float16", "int8"]
"""of a graph's weights: as they are; stored in float16 and computed with in float32; or products in 8 bits"""
LEAST = 256
"""numbers from which on a tensor is worth storing in float16"""


def stored(write: Callable[[Path], None], path: Path, precision: Precision) -> None:
    """Write a graph by `write`, then bring it to a precision; its inputs and outputs stay float32."""
    write(path)
    if precision == "float16":
        halve(path)
    elif precision == "int8":
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            small = Path(folder) / path.name
            quantise(path, small, external=False)
            small.replace(path)


def halve(path: Path) -> None:
    """Store a graph's large float32 weights in float16; a runtime casts them when it loads the graph."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    casts: list[Any] = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < LEAST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}_cast", to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    onnx.save(model, path)
