"""The training loop: plain, on one device, and exact when it goes on after a stop."""

from __future__ import annotations

import csv
import json
import math
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..files import make_folder, replacing, write_json
from ..model.checkpoint import load_weights, save_model
from ..model.light import LightEncoder
from ..model.registry import entry
from ..model.sam import ImageEmbedding, Sam
from ..model.weights import checked_device
from .config import Recipe, Stage
from .pretrained import load_lite0
from .rollout import Targets, rollout
from .views import Sources, Views, batches

Report = Callable[[int, dict[str, float]], None]
"""called with the step and its figures"""


def train(recipe: Recipe, data: Path, out: Path, device: str = "cpu", report: Report | None = None) -> Path:
    """Run a recipe, or go on with it where `out` holds its state; returns the path of the weights.

    The state is written every `save_every` steps and at the end, atomically; whatever stops the run in between costs
    the steps since. Data and prompts are drawn by the step's number, so that a run that was stopped sees what it
    would have seen.
    Raises ConfigError where `out` holds the state of another recipe.
    """
    device = checked_device(device)
    torch.manual_seed(recipe.seed)
    sam = Sam(entry(recipe.model).config)
    sources = Sources(data, recipe.sources, recipe.images, recipe.seed)
    make_folder(out)
    if not _state_path(out).exists():
        _initialise(sam, recipe)
    sam.to(device).train()
    optimizer = make_optimizer(sam, recipe)
    step = _resume(sam, optimizer, recipe, out)
    write_json(out / "recipe.json", recipe.to_dict(), indent=2)
    for stage, first in _stages(recipe):
        if step >= first + stage.steps:
            continue
        cells = sam.config.mask_size * stage.size // sam.config.encoder.size
        length = stage.steps * stage.batch
        views = Views(sources, stage.size, cells, stage.objects, length, recipe.seed + first)
        for pixels, targets in batches(views, stage.batch, (step - first) * stage.batch, recipe.workers):
            pixels, targets = [image.to(device) for image in pixels], _to(targets, device)
            figures = train_step(sam, optimizer, recipe, stage, step, pixels, targets)
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
    pixels: Sequence[Tensor],
    targets: Targets,
) -> dict[str, float]:
    """One optimiser step on B images, 3×h×w pixels of 0 to 255 each.

    The encoder runs once. Each round of prompts goes back to the embedding by itself, so that memory holds one
    round at a time, and the sum of what arrives there goes back through the encoder at the end.
    """
    started = time.perf_counter()
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * schedule(step, recipe.steps, recipe.warmup)
    generator = torch.Generator(sam.device).manual_seed(recipe.seed * 1_000_003 + step)
    optimizer.zero_grad(set_to_none=True)
    cast = torch.autocast(sam.device.type, torch.bfloat16) if recipe.bf16 else nullcontext()
    with cast:
        embedding = sam.encode(torch.stack([sam.preprocess(image, stage.size) for image in pixels]))
        maps = (embedding.features, *embedding.fine)
        leaves = tuple(m.detach().requires_grad_() for m in maps)
        detached = ImageEmbedding(leaves[0], leaves[1:])
        rounds = []
        for figures in rollout(sam, detached, targets, stage.size, recipe.rounds, generator, stage.spread):
            (figures["loss"] / recipe.rounds).backward()
            rounds.append(torch.stack([figures[name].detach() for name in ("loss", "iou", "iou_error")]))
        torch.autograd.backward(maps, [leaf.grad for leaf in leaves])
    norm = nn.utils.clip_grad_norm_(sam.parameters(), recipe.clip)
    optimizer.step()
    table = torch.stack(rounds).tolist()  # the one place that waits for the device
    return {
        "loss": sum(loss for loss, _, _ in table) / len(table),
        "iou_first": table[0][1],
        "iou_last": table[-1][1],
        "iou_error": table[0][2],
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
        if not isinstance(sam.image_encoder, LightEncoder):
            raise ConfigError(f"start: lite0 fits a light encoder, which {recipe.model} has not")
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


def _identity(recipe: Recipe) -> str:
    """The recipe without what changes no result; a state belongs to it."""
    indifferent = {"workers", "save_every", "log_every"}
    return json.dumps({k: v for k, v in recipe.to_dict().items() if k not in indifferent}, sort_keys=True)


def _save_state(sam: Sam, optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, out: Path) -> None:
    state = {
        "step": step,
        "recipe": _identity(recipe),
        "model": sam.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with replacing(_state_path(out)) as temporary:
        torch.save(state, temporary)


def _resume(sam: Sam, optimizer: torch.optim.Optimizer, recipe: Recipe, out: Path) -> int:
    """Restore the state that `out` holds and return its step, or 0 where there is none.

    Rows of the log past that step go, since they will be written again.
    """
    path = _state_path(out)
    step = 0
    if path.exists():
        try:
            state = torch.load(path, map_location=sam.device, weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            raise ConfigError(f"{path}: cannot be read ({error}); remove it to begin anew") from None
        if state["recipe"] != _identity(recipe):
            raise ConfigError(f"{out}: holds the state of another recipe; name a new folder, or give the same recipe")
        sam.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    log = out / "log.csv"
    if log.exists():
        head, *rows = log.read_text(encoding="utf-8").splitlines()
        kept = [row for row in rows if int(row.split(",")[0]) <= step]
        with replacing(log) as temporary:
            temporary.write_text("\n".join([head, *kept, ""]), encoding="utf-8")
    return step


def _log(path: Path, step: int, figures: dict[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(["step", *figures])
        writer.writerow([step, *(f"{value:.6g}" for value in figures.values())])
        file.flush()
        os.fsync(file.fileno())
