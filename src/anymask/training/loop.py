"""The training loop: plain, on one device, and exact when it goes on after a stop."""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..files import replacing
from ..model.checkpoint import load_weights, save_model
from ..model.registry import entry
from ..model.sam import ImageEmbedding, Sam
from .config import Recipe, Stage
from .pretrained import load_lite0
from .rollout import Targets, rollout
from .views import Views, batches

Report = Callable[[int, dict[str, float]], None]
"""called with the step and its figures"""


def train(recipe: Recipe, data: Path, out: Path, device: str = "cpu", report: Report | None = None) -> Path:
    """Run a recipe, or go on with it where `out` holds its state; returns the path of the weights.

    The state is written every `save_every` steps and at the end, atomically; whatever stops the run in between costs
    the steps since. Data and prompts are drawn by the step's number, so that a run that was stopped sees what it
    would have seen.
    Raises ConfigError where `out` holds the state of another recipe.
    """
    out.mkdir(parents=True, exist_ok=True)
    model = entry(recipe.model)
    torch.manual_seed(recipe.seed)
    sam = Sam(model.config)
    _initialise(sam, recipe)
    sam.to(device).train()
    optimizer = make_optimizer(sam, recipe)
    step = _resume(sam, optimizer, recipe, out)
    for stage, first in _stages(recipe):
        if step >= first + stage.steps:
            continue
        views = Views(data, recipe.sources, stage.size, stage.objects, stage.steps * stage.batch, recipe.seed + first)
        for pixels, targets in batches(views, stage.batch, (step - first) * stage.batch, recipe.workers):
            figures = train_step(sam, optimizer, recipe, stage, step, pixels.to(device), _to(targets, device))
            step += 1
            if step % recipe.log_every == 0:
                _log(out / "log.csv", step, figures)
                if report:
                    report(step, figures)
            if step % recipe.save_every == 0 or step == recipe.steps:
                _save_state(sam, optimizer, recipe, step, out)
    weights = out / f"{recipe.model}.safetensors"
    save_model(sam.eval(), weights, {"recipe": recipe.to_dict(), "steps": step})
    return weights


def train_step(
    sam: Sam,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    stage: Stage,
    step: int,
    pixels: Tensor,
    targets: Targets,
) -> dict[str, float]:
    """One optimiser step on B×3×S×S pixels of 0 to 255.

    The encoder runs once. Each round of prompts goes back to the embedding by itself, so that memory holds one
    round at a time, and the sum of what arrives there goes back through the encoder at the end.
    """
    started = time.perf_counter()
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * schedule(step, recipe.steps, recipe.warmup)
    generator = torch.Generator(pixels.device).manual_seed(recipe.seed * 1_000_003 + step)
    optimizer.zero_grad(set_to_none=True)
    cast = torch.autocast(pixels.device.type, torch.bfloat16) if recipe.bf16 else nullcontext()
    with cast:
        embedding = sam.encode((pixels - sam.pixel_mean) / sam.pixel_std)
        maps = (embedding.features, *embedding.fine)
        leaves = tuple(m.detach().requires_grad_() for m in maps)
        detached = ImageEmbedding(leaves[0], leaves[1:])
        rounds = []
        for figures in rollout(sam, detached, targets, stage.size, recipe.rounds, generator, stage.spread):
            (figures["loss"] / recipe.rounds).backward()
            rounds.append({name: float(value.detach()) for name, value in figures.items()})
        torch.autograd.backward(maps, [leaf.grad for leaf in leaves])
    norm = nn.utils.clip_grad_norm_(sam.parameters(), recipe.clip)
    optimizer.step()
    return {
        "loss": sum(r["loss"] for r in rounds) / len(rounds),
        "iou_first": rounds[0]["iou"],
        "iou_last": rounds[-1]["iou"],
        "iou_error": rounds[0]["iou_error"],
        "grad_norm": float(norm),
        "lr": optimizer.param_groups[0]["lr"],
        "seconds": time.perf_counter() - started,
    }


def schedule(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then a half cosine down to zero, as a factor of the peak learning rate."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_optimizer(sam: Sam, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices alone and its own learning rate for a pretrained backbone."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in sam.named_parameters():
        backbone = name.startswith("image_encoder.backbone")
        groups.setdefault((backbone, parameter.ndim > 1), []).append(parameter)
    records: list[dict[str, Any]] = [
        {
            "params": parameters,
            "peak_lr": recipe.lr * (recipe.encoder_lr if backbone else 1.0),
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (backbone, decays), parameters in groups.items()
    ]
    return torch.optim.AdamW(records, lr=recipe.lr, betas=(0.9, 0.999))


def _initialise(sam: Sam, recipe: Recipe) -> None:
    if recipe.start == "lite0":
        load_lite0(sam.image_encoder.backbone)
    elif recipe.start:
        load_weights(sam, Path(recipe.start))


def _stages(recipe: Recipe) -> Iterator[tuple[Stage, int]]:
    """Each stage with the number of its first step."""
    first = 0
    for stage in recipe.stages:
        yield stage, first
        first += stage.steps


def _to(targets: Targets, device: str) -> Targets:
    return Targets(targets.masks.to(device), targets.boxes.to(device), targets.centres.to(device))


def _state_path(out: Path) -> Path:
    return out / "state.pt"


def _save_state(sam: Sam, optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, out: Path) -> None:
    state = {
        "step": step,
        "recipe": json.dumps(recipe.to_dict(), sort_keys=True),
        "model": sam.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with replacing(_state_path(out)) as temporary:
        torch.save(state, temporary)


def _resume(sam: Sam, optimizer: torch.optim.Optimizer, recipe: Recipe, out: Path) -> int:
    """Restore the state that `out` holds and return its step, or 0 where there is none."""
    path = _state_path(out)
    if not path.exists():
        return 0
    state = torch.load(path, map_location=sam.device, weights_only=True)
    if state["recipe"] != json.dumps(recipe.to_dict(), sort_keys=True):
        raise ConfigError(f"{out}: holds the state of another recipe; name a new folder, or give the same recipe")
    sam.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _log(path: Path, step: int, figures: dict[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(["step", *figures])
        writer.writerow([step, *(f"{value:.6g}" for value in figures.values())])
        file.flush()
        os.fsync(file.fileno())
