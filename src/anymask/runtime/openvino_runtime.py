"""OpenVINO as a runtime: the graphs of a Sam, compiled for this CPU."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..model.sam import Sam
from ..offline import import_openvino
from .graph_runtime import Arrays, Call, GraphRuntime
from .graphs import Graph
from .names import Precision

GROUP = "64"
"""channels of an activation that share a scale when they are brought to 8 bits"""
TINY = 1e-12
"""stands for the largest of weights that are all zero"""


class OpenVinoRuntime(GraphRuntime):
    """Runs a model on the CPU plugin of OpenVINO, in float32 or, with "fast", in bfloat16 where the chip has it.

    With "int8" each row of a linear layer's weights has a scale, and activations are brought to 8 bits as they come, so
    that no photos are needed to calibrate by; all else is as with "fast".

    Graphs that are compiled for fixed shapes run four times faster than those for any shape.
    """

    name: ClassVar[str] = "openvino"
    library: ClassVar[str] = "openvino"
    file: ClassVar[str] = "graph.xml"

    def __init__(self, sam: Sam, precision: Precision = "exact") -> None:
        super().__init__(sam, precision)
        bf16 = precision != "exact" and "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._options = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP if precision == "int8" else "0",
        }
        self._fused = bf16  # attention as one kernel gains in bfloat16 alone

    def _convert(self, graph: Graph, path: Path) -> None:
        save_openvino(convert_openvino(graph), path)

    def _quantise(self, path: Path, result: Path) -> None:
        model = _core().read_model(path)
        quantise_openvino(model)
        save_openvino(model, result)

    def _compile(self, path: Path, name: str, shapes: Sequence[tuple[int, ...]]) -> Call:
        model = _core().read_model(path)
        model.reshape({i: list(shape) for i, shape in enumerate(shapes)})
        fused = "ENABLE" if self._fused and name == "encoder" else "DISABLE"
        compiled = _core().compile_model(model, "CPU", {**self._options, "SNIPPETS_MODE": fused})
        request = compiled.create_infer_request()

        def call(inputs: Arrays) -> Arrays:
            return list(request.infer(inputs, share_inputs=True, share_outputs=True).values())

        return call


def convert_openvino(graph: Graph) -> Any:
    """A graph as a model of OpenVINO."""
    openvino = import_openvino()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, about which a user can do nothing
        return openvino.convert_model(graph.export())


def save_openvino(model: Any, path: Path, half: bool = False) -> None:
    """Write a model as an .xml file with a .bin beside it, its weights in float16 with `half`."""
    import_openvino().save_model(model, path, compress_to_fp16=half)


def quantise_openvino(model: Any) -> None:
    """Bring the weights of a model's linear layers to 8 bits, a scale for each channel that comes out."""
    openvino = import_openvino()
    opset13 = openvino.opset13
    for node in model.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        weights = node.input_value(1).get_node()
        if weights.get_type_name() != "Constant" or not node.get_attributes()["transpose_b"]:
            continue
        values = weights.data  # a row for each channel that comes out
        scale = np.maximum(np.abs(values).max(axis=1, keepdims=True), TINY) / 127
        small = opset13.constant(np.rint(values / scale).astype(np.int8), openvino.Type.i8)
        product = opset13.multiply(opset13.convert(small, "f32"), opset13.constant(scale.astype(np.float32)))
        node.input(1).replace_source_output(product.output(0))


@cache
def _core() -> Any:
    return import_openvino().Core()
