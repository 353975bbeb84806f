"""OpenVINO as a runtime: the graphs of a Sam, compiled for this CPU."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from ..model.sam import Sam
from .graph_runtime import Arrays, Call, GraphRuntime
from .graphs import Graph
from .names import Precision


class OpenVinoRuntime(GraphRuntime):
    """Runs a model on the CPU plugin of OpenVINO, in float32 or, with "fast", in bfloat16 where the chip has it.

    Graphs that are compiled for fixed shapes run four times faster than those for any shape.
    """

    name: ClassVar[str] = "openvino"
    library: ClassVar[str] = "openvino"
    file: ClassVar[str] = "graph.xml"

    def __init__(self, sam: Sam, precision: Precision = "exact") -> None:
        super().__init__(sam, precision)
        bf16 = precision == "fast" and "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._options = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32", "PERFORMANCE_HINT": "LATENCY"}

    def _convert(self, graph: Graph, path: Path) -> None:
        import openvino

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing, about which a user can do nothing
            model = openvino.convert_model(graph.export())
        openvino.save_model(model, path, compress_to_fp16=False)

    def _compile(self, path: Path, name: str, shapes: Sequence[tuple[int, ...]]) -> Call:
        model = _core().read_model(path)
        model.reshape({i: list(shape) for i, shape in enumerate(shapes)})
        compiled = _core().compile_model(model, "CPU", {**self._options, "SNIPPETS_MODE": "DISABLE"})
        request = compiled.create_infer_request()

        def call(inputs: Arrays) -> Arrays:
            return list(request.infer(inputs, share_inputs=True, share_outputs=True).values())

        return call


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()
