"""The last step as an ONNX graph: logits of the model frame to logits of the photo's pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..model.sam import Sam
from ..runtime.onnx_runtime import OPSET


def write_enlarge(sam: Sam, path: Path) -> None:
    """Write the graph that does as `ImageFrame.masks_to_original`; a test holds it to that.

    In: `masks` N×M×s×s logits of the whole model frame, `original_size` int64 (height, width) of the photo.
    Out: `full_masks` N×M×height×width logits.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    side = sam.config.encoder.size
    constants = {
        "side": np.array(side, np.float64),
        "square": np.array([side, side], np.int64),
        "half": np.array(0.5, np.float64),
        "one": np.array(1.0, np.float64),
        "zeros": np.zeros(2, np.int64),
        "rows_and_columns": np.array([2, 3], np.int64),
    }

    def node(kind: str, inputs: str, output: str, **options: Any) -> None:
        nodes.append(helper.make_node(kind, inputs.split(" "), [output], output, **options))

    node("Cast", "original_size", "original", to=TensorProto.DOUBLE)
    node("ReduceMax", "original", "longest", keepdims=0)
    node("Div", "side longest", "scale")
    node("Mul", "original scale", "scaled")
    node("Add", "scaled half", "up")
    node("Floor", "up", "whole")
    node("Max", "whole one", "at_least_one")
    node("Cast", "at_least_one", "resized", to=TensorProto.INT64)
    node("Shape", "masks", "count", start=0, end=2)
    linear = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    node("Concat", "count square", "to_square", axis=0)
    node("Resize", "masks   to_square", "frame", **linear)
    node("Slice", "frame zeros resized rows_and_columns", "occupied")
    node("Concat", "count original_size", "to_original", axis=0)
    node("Resize", "occupied   to_original", "full_masks", **linear)
    size = sam.config.mask_size
    inputs = [
        helper.make_tensor_value_info("masks", TensorProto.FLOAT, ["prompts", "masks_each", size, size]),
        helper.make_tensor_value_info("original_size", TensorProto.INT64, [2]),
    ]
    shape = ["prompts", "masks_each", "height", "width"]
    outputs = [helper.make_tensor_value_info("full_masks", TensorProto.FLOAT, shape)]
    values = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "enlarge", inputs, outputs, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
