"""The model as a run starts it, and the task that it is trained on, as the recipe says."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import ConfigError
from ..model.checkpoint import load_weights
from ..model.light import LightEncoder
from ..model.registry import MODELS, entry
from ..model.sam import Sam
from ..model.vit import ViTEncoder
from ..model.weights import packaged_path
from .config import Recipe
from .distil import DistilledTask, open_teacher
from .freeze import freeze
from .lora import add_lora
from .pretrained import load_imagenet, load_mae
from .task import PromptedTask


def start_model(recipe: Recipe, filled: bool = True) -> Sam:
    """The model of a recipe as it starts out, frozen and adapted as the recipe says; unless `filled`, at random."""
    sam = Sam(entry(recipe.model).config)
    if filled:
        _fill(sam, recipe)
    if isinstance(sam.image_encoder, ViTEncoder):
        frozen = "image_encoder" in recipe.freeze
        sam.image_encoder.set_drop_path(0.0 if frozen else recipe.drop_path)
        sam.image_encoder.checkpointing = recipe.checkpointing and not frozen  # nothing goes back through a frozen one
    elif recipe.drop_path:
        raise ConfigError(f"drop_path: is for ViT encoders, which {recipe.model} has not")
    if recipe.freeze:
        freeze(sam, recipe.freeze)
    if recipe.lora:
        add_lora(sam, recipe.lora)
    return sam


def make_task(sam: Sam, recipe: Recipe, device: torch.device) -> PromptedTask | DistilledTask:
    """What a recipe trains, on its device."""
    if recipe.teacher:
        return DistilledTask(sam, recipe, open_teacher(recipe.teacher, device)).to(device)
    return PromptedTask(sam, recipe).to(device)


def _fill(sam: Sam, recipe: Recipe) -> None:
    if recipe.start == "lite2":
        if not isinstance(sam.image_encoder, LightEncoder):
            raise ConfigError(f"start: {recipe.start} fits a light encoder, which {recipe.model} has not")
        load_imagenet(sam.image_encoder.backbone)
    elif recipe.start in MODELS and MODELS[recipe.start].packaged:
        load_weights(sam, packaged_path(recipe.start))
    elif recipe.start:
        load_weights(sam, Path(recipe.start))
    if recipe.start_encoder:
        if not isinstance(sam.image_encoder, ViTEncoder):
            raise ConfigError(f"start_encoder: is for a ViT encoder, which {recipe.model} has not")
        load_mae(sam.image_encoder, Path(recipe.start_encoder))
