"""The model as a run starts it, and the task that it is trained on, as the recipe says."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from ..errors import ConfigError
from ..model.checkpoint import load_weights, read_weights
from ..model.light import LightEncoder
from ..model.registry import MODELS, entry
from ..model.sam import Sam
from ..model.text.clip import ClipTowers, clip_width
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
    sam = Sam(replace(entry(recipe.model).config, text_width=clip_width(recipe.text_tower) if recipe.text_tower else 0))
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


@lru_cache(maxsize=1)
def open_clip(folder: str, device: str = "cpu") -> ClipTowers:
    """The CLIP of a recipe."""
    return ClipTowers(folder, device)


def make_task(sam: Sam, recipe: Recipe, device: torch.device) -> PromptedTask | DistilledTask:
    """What a recipe trains, on its device."""
    if recipe.teacher:
        return DistilledTask(sam, recipe, open_teacher(recipe.teacher, device)).to(device)
    return PromptedTask(sam, recipe).to(device)


def _fill(sam: Sam, recipe: Recipe) -> None:
    if recipe.text_tower and recipe.start and not _reads_text(recipe.start):
        plain = Sam(entry(recipe.model).config)  # whose weights know nothing of text
        _fill(plain, replace(recipe, text_tower="", prompting=replace(recipe.prompting, text=0.0)))
        sam.load_state_dict(plain.state_dict(), strict=False)
        return
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


def _reads_text(start: str) -> bool:
    """Whether the weights that a run starts from are of a model that takes text."""
    if start == "lite2" or start in MODELS:
        return False
    return any("text_projection" in key for key in read_weights(Path(start))[0])
