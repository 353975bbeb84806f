"""The decoder as a browser loads it: small graphs with a manifest, made once and kept."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from ..files import sha256
from ..model.checkpoint import weights_hash
from ..model.sam import Sam
from ..runtime.graphs import Graph, answer_graph, shared_graph, upscale_graph, upscale_image_graph
from ..runtime.kept import kept_graph
from ..runtime.onnx_runtime import write_onnx
from .embedding import embedding_layout, pack_embedding, unpack_embedding
from .precision import Precision, stored
from .webassembly import rewrite

__all__ = ["browser_decoder", "embedding_layout", "pack_embedding", "unpack_embedding", "write_parts"]

FORMAT = 1
"""of the manifest"""
MANIFEST = "manifest.json"
"""written last"""


def browser_decoder(sam: Sam, precision: Precision = "float32") -> Path:
    """The folder of the decoder's parts, which is made where it is not there yet, and kept.

    Several processes may ask at once: one makes it and the others wait. Raises OutputError where it cannot be written.
    """
    sam.weights_hash = sam.weights_hash or weights_hash(sam)

    def make(manifest: Path) -> None:
        write_parts(sam, manifest.parent, precision)

    return kept_graph(sam, f"browser-{precision}", MANIFEST, make, [Path(__file__).parent]).parent


def write_parts(sam: Sam, folder: Path, precision: Precision = "float32") -> None:
    """Write the decoder's parts into a folder that is there, the manifest last."""
    graphs = {
        "prepare": shared_graph(sam),
        "answer": answer_graph(sam, with_masks=False, shared=True),
        "answer_masks": answer_graph(sam, with_masks=True, shared=False),
        "upscale": upscale_graph(sam),
        "upscale_image": upscale_image_graph(sam),
    }
    manifest = {
        "format": FORMAT,
        "model": sam.config.name,
        "weights": sam.weights_hash,
        "precision": precision,
        "frame": sam.config.encoder.size,
        "mask_size": sam.config.mask_size,
        "mask_threshold": sam.mask_threshold,
        "embedding": embedding_layout(sam),
        "graphs": {name: _write(graph, folder / f"{name}.onnx", precision) for name, graph in graphs.items()},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _write(graph: Graph, path: Path, precision: Precision) -> dict[str, Any]:
    """Write a graph, and say what a page has to know of it."""
    stored(partial(write_onnx, graph), path, precision)
    rewrite(path)
    return {
        "file": path.name,
        "sha256": sha256(path).hexdigest(),
        "bytes": path.stat().st_size,
        "inputs": list(graph.names),
        "outputs": list(graph.outputs),
    }
