"""Presets: ways to train in the memory there is, from all weights down to the decoder alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..errors import ConfigError
from ..files import write_json
from . import state as states
from .config import Augmentation, Recipe, Stage
from .distributed import Alone
from .lora import Lora
from .memory import step_memory

CHOSEN = ("accumulate", "checkpointing", "freeze", "cached", "lora")
"""keys of a recipe that a preset sets"""
CGROUP = Path("/sys/fs/cgroup")
"""where Linux tells of the limits of a container"""
SHARE = 0.9
"""of the memory that a run may take"""


@dataclass(frozen=True)
class Preset:
    """A way to train.

    Attributes:
        name: what it trains.
        recipe: the recipe with its changes.
        bytes: what its largest step takes in one process.
    """

    name: str
    recipe: Recipe
    bytes: int


def fit(recipe: Recipe, memory: int, processes: int = 1) -> Preset:
    """The way that trains most of the model in `memory` bytes.

    In order: all weights; adapters on attention (LoRA); the decoder alone. Each with activations kept, and then
    computed twice, and for each with the images of a step in as few parts as fit. Where the recipe says what is
    frozen or adapted, that stays. Raises ConfigError where nothing fits.
    """
    least: Preset | None = None
    for name, candidate in _candidates(recipe):
        single = [step_memory(candidate, stage) for stage in recipe.stages]
        for parts in _divisors(recipe, processes):
            images = [max(1, stage.batch // (processes * parts)) for stage in recipe.stages]
            largest = max(one.of(count) for one, count in zip(single, images, strict=True))
            found = Preset(name, replace(candidate, accumulate=parts), largest)
            if found.bytes <= SHARE * memory:
                return found
            least = found if least is None or found.bytes < least.bytes else least
    needed = f"{least.bytes / 1e9:.1f} GB" if least else "more"
    raise ConfigError(
        f"memory: no way to train {recipe.model} at these sizes fits into {memory / 1e9:.1f} GB, the least takes "
        f"{needed}; lower the stages' size or objects"
    )


def fitted(recipe: Recipe, out: Path, device: str, processes: Alone) -> Recipe:
    """A recipe fitted into the memory that it names; what was chosen stays where `out` holds the state of a run.

    All processes call it; the main one chooses.
    """
    path = out / "fit.json"
    if processes.is_main and not (states.path_in(out).exists() and path.exists()):
        preset = fit(recipe, free_memory(recipe.memory, device), processes.count)
        chosen = {name: value for name, value in preset.recipe.to_dict().items() if name in CHOSEN}
        write_json(path, {"trains": preset.name, "bytes": preset.bytes, "recipe": chosen}, indent=2)
    processes.wait()
    chosen = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    lora = Lora(**{**chosen["lora"], "parts": tuple(chosen["lora"]["parts"])}) if chosen["lora"] else None
    return replace(recipe, **{**chosen, "lora": lora, "freeze": tuple(chosen["freeze"])})


def free_memory(setting: str, device: str) -> int:
    """Bytes that the setting `memory` of a recipe stands for. Raises ConfigError where it cannot be read."""
    if setting != "auto":
        number = re.fullmatch(r"(\d+(?:\.\d+)?) ?GB", setting)
        if not number:
            raise ConfigError(f'memory: expected "auto" or a size such as "16 GB", got {setting!r}')
        return int(float(number[1]) * 1e9)
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _free_of_system()


def _free_of_system() -> int:
    """What is available to each process of this machine, within the limit of its container."""
    import psutil

    free: int = psutil.virtual_memory().available
    try:
        limit, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        limit = "max"
    if limit != "max":
        free = min(free, int(limit) - int(used))
    return free // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _candidates(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    ways: list[tuple[str, Recipe]]
    if recipe.freeze or recipe.lora:
        ways = [("as the recipe says", recipe)]
    else:
        ways = [
            ("all weights", recipe),
            ("adapters", replace(recipe, lora=Lora())),
            ("decoder", replace(recipe, freeze=("image_encoder",), cached=recipe.augmentation == Augmentation())),
        ]
    for name, way in ways:
        yield name, replace(way, checkpointing=False)
        yield f"{name}, activations computed twice", replace(way, checkpointing=True)


def _divisors(recipe: Recipe, processes: int) -> list[int]:
    """Numbers of parts into which every stage's images divide in each process."""

    def divides(stage: Stage, parts: int) -> bool:
        return stage.batch % (processes * parts) == 0

    most = min(stage.batch for stage in recipe.stages) // processes
    return [parts for parts in range(1, max(1, most) + 1) if all(divides(stage, parts) for stage in recipe.stages)] or [
        recipe.accumulate
    ]
