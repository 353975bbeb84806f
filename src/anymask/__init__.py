"""anymask: the whole Segment Anything system as one package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import AnymaskError as AnymaskError
    from .model.registry import build_sam as build_sam
    from .model.registry import build_sam_vit_b as build_sam_vit_b
    from .model.registry import build_sam_vit_h as build_sam_vit_h
    from .model.registry import build_sam_vit_l as build_sam_vit_l
    from .model.registry import sam_model_registry as sam_model_registry
    from .model.sam import Sam as Sam
    from .model.weights import load_model as load_model
    from .predict.automask.generator import SamAutomaticMaskGenerator as SamAutomaticMaskGenerator
    from .predict.automask.tiles import everything_in_tiles as everything_in_tiles
    from .predict.boxes import predict_boxes as predict_boxes
    from .predict.embedding_cache import EmbeddingCache as EmbeddingCache
    from .predict.gaze import GazeTracker as GazeTracker
    from .predict.predictor import SamPredictor as SamPredictor
    from .predict.refine import Refinement as Refinement
    from .predict.similar import Describer as Describer
    from .predict.similar import predict_similar as predict_similar
    from .predict.tiles import TilePredictor as TilePredictor
    from .predict.transform import ResizeLongestSide as ResizeLongestSide
    from .task.image import read_image as read_image
    from .task.prompts import Prompt as Prompt

__version__ = "0.1.0"

_HOMES = {
    "AnymaskError": "errors",
    "Describer": "predict.similar",
    "EmbeddingCache": "predict.embedding_cache",
    "GazeTracker": "predict.gaze",
    "Prompt": "task.prompts",
    "Refinement": "predict.refine",
    "ResizeLongestSide": "predict.transform",
    "Sam": "model.sam",
    "SamAutomaticMaskGenerator": "predict.automask.generator",
    "SamPredictor": "predict.predictor",
    "TilePredictor": "predict.tiles",
    "build_sam": "model.registry",
    "build_sam_vit_b": "model.registry",
    "build_sam_vit_h": "model.registry",
    "build_sam_vit_l": "model.registry",
    "everything_in_tiles": "predict.automask.tiles",
    "load_model": "model.weights",
    "predict_boxes": "predict.boxes",
    "predict_similar": "predict.similar",
    "read_image": "task.image",
    "sam_model_registry": "model.registry",
}
"""public name to the module it lives in; a module is loaded when its name is first used, so that import is instant"""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
