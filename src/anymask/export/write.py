"""A whole Sam as a folder of files: encoder, decoder, the enlarging of masks, and a manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from torch.export import Dim

from .. import __version__
from ..errors import ConfigError
from ..files import new_folder, sha256
from ..model.checkpoint import weights_hash
from ..model.sam import Sam
from ..offline import import_openvino
from ..runtime.choose import LIBRARIES
from ..runtime.graphs import Graph
from ..runtime.onnx_runtime import write_onnx
from .browser import write_parts
from .contract import about, preprocessing
from .enlarge import write_enlarge
from .modules import whole_decoder, whole_encoder
from .precision import Precision, stored

Format = Literal["onnx", "openvino"]
MANIFEST = "manifest.json"
VERSION = 1
"""of the manifest's form"""
EXTERNAL = 1 << 30
"""bytes of an encoder's weights from which on they lie beside the ONNX file, which holds 2 GB at most"""


def export_model(
    sam: Sam,
    folder: Path,
    form: Format = "onnx",
    precision: Precision = "float32",
    parts: bool = False,
    licence: str = "",
    external: int = EXTERNAL,
) -> dict[str, Any]:
    """Write a model's encoder, decoder and enlarging into a new folder, whole or not at all; return its manifest.

    Args:
        sam: the model, in evaluation mode, on the CPU.
        folder: must not be there, or be empty.
        form: ONNX, or OpenVINO's .xml with .bin.
        precision: of the decoder's weights; the encoder keeps float32.
        parts: also write the decoder in parts for a browser, into the folder "parts".
        licence: of the weights.
        external: bytes of weights from which on the encoder's ONNX file has them beside it.

    Raises ConfigError where a library is missing, and OutputError for a folder that is not empty.
    """
    check_libraries(form)
    sam.weights_hash = sam.weights_hash or weights_hash(sam)
    large = sum(weight.nbytes for weight in sam.image_encoder.state_dict().values()) >= external
    with new_folder(folder) as unfinished:
        files = {
            "encoder": _write(sam, whole_encoder(sam), unfinished, form, "float32", licence, large),
            "decoder": _write(sam, whole_decoder(sam), unfinished, form, precision, licence),
            "enlarge": _enlarge(sam, unfinished, form, licence),
        }
        manifest = {
            "format": VERSION,
            "kind": form,
            "model": sam.config.name,
            "weights": sam.weights_hash,
            "precision": precision,
            "licence": licence,
            "anymask": __version__,
            "mask_size": sam.config.mask_size,
            "mask_threshold": sam.mask_threshold,
            "preprocessing": preprocessing(sam),
            "files": files,
        }
        if parts:
            (unfinished / "parts").mkdir()
            write_parts(sam, unfinished / "parts", precision)
        (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return manifest


def check_libraries(form: Format) -> None:
    """Raise ConfigError where what writes a format is not installed."""
    extras = ("onnx", "openvino") if form == "openvino" else ("onnx",)
    for library in (library for extra in extras for library in LIBRARIES[extra]):
        if not find_spec(library):
            raise ConfigError(f"--format {form}: {library} is not installed; pip install 'anymask[{','.join(extras)}]'")


def _write(
    sam: Sam, graph: Graph, folder: Path, form: Format, precision: Precision, licence: str, large: bool = False
) -> dict[str, Any]:
    """Write a graph in a format, and say what lies where and what goes in and out."""
    told = about(sam, precision, licence)
    if form == "openvino":
        path = folder / f"{graph.name}.xml"
        _write_openvino(graph, path, precision, told)
    else:
        path = folder / f"{graph.name}.onnx"
        stored(partial(write_onnx, graph, external=large), path, precision)
        _label(path, told)
    return _record(path, _signature(graph), graph.outputs)


def _enlarge(sam: Sam, folder: Path, form: Format, licence: str) -> dict[str, Any]:
    told = about(sam, "float32", licence)
    path = folder / "enlarge.onnx"
    write_enlarge(sam, path)
    if form == "openvino":
        openvino = import_openvino()
        model = openvino.convert_model(path)
        path.unlink()
        path = path.with_suffix(".xml")
        _save_labelled(model, path, False, told)
    else:
        _label(path, told)
    side = sam.config.mask_size
    inputs = [
        {"name": "masks", "shape": ["prompts", "masks", side, side], "type": "float32"},
        {"name": "original_size", "shape": [2], "type": "int64"},
    ]
    return _record(path, inputs, ("full_masks",))


def _write_openvino(graph: Graph, path: Path, precision: Precision, told: Mapping[str, str]) -> None:
    from ..runtime.openvino_runtime import convert_openvino, quantise_openvino

    model = convert_openvino(graph)
    shapes = [[side if isinstance(side, int) else -1 for side in each["shape"]] for each in _signature(graph)]
    model.reshape(dict(enumerate(shapes)))
    for port, name in zip([*model.inputs, *model.outputs], [*graph.names, *graph.outputs], strict=True):
        port.get_tensor().set_names({name})
    if precision == "int8":
        quantise_openvino(model)
    _save_labelled(model, path, precision == "float16", told)


def _save_labelled(model: Any, path: Path, half: bool, told: Mapping[str, str]) -> None:
    from ..runtime.openvino_runtime import save_openvino

    for key, value in told.items():
        model.set_rt_info(value, key.split("."))
    save_openvino(model, path, half)


def _label(path: Path, told: Mapping[str, str]) -> None:
    """Write metadata into an ONNX file."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    onnx.helper.set_model_props(model, dict(told))
    model.producer_name, model.producer_version = "anymask", __version__
    onnx.save(model, path)


def _signature(graph: Graph) -> list[dict[str, Any]]:
    """Name, shape and type of each tensor that goes into a graph; sides that may differ have a name."""
    tensors: list[tuple[Tensor, dict[int, Dim]]] = []
    for given, dynamic in zip(graph.inputs, graph.dynamic, strict=True):
        tensors += zip(given, dynamic, strict=True) if isinstance(given, list) else [(given, dynamic)]
    return [
        {
            "name": name,
            "shape": [dynamic[i].__name__ if i in dynamic else side for i, side in enumerate(tensor.shape)],
            "type": str(tensor.dtype).removeprefix("torch."),
        }
        for name, (tensor, dynamic) in zip(graph.names, tensors, strict=True)
    ]


def _record(path: Path, inputs: list[dict[str, Any]], outputs: tuple[str, ...]) -> dict[str, Any]:
    beside = [path.with_suffix(".bin"), path.with_name(f"{path.name}.data")]
    files = [path, *(other for other in beside if other.is_file())]
    return {
        "files": [
            {"file": each.name, "sha256": sha256(each).hexdigest(), "bytes": each.stat().st_size} for each in files
        ],
        "inputs": inputs,
        "outputs": list(outputs),
    }
