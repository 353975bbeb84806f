"""What a recipe will do, told before the first step: parameters, data, memory, steps and time (`--dry-run`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..model.weights import checked_device
from .config import Recipe, Stage
from .distil import DistilledTask
from .freeze import trainable
from .memory import enough_memory, step_memory
from .presets import fit, free_memory
from .rollout import Draws, Targets
from .sources import Sources
from .start import make_task, start_model
from .task import PromptedTask, preprocessed
from .views import Seen

TIMED = 3
"""steps of each stage that are timed"""


@dataclass(frozen=True)
class Plan:
    """A run to be.

    Attributes:
        recipe: what was planned, fitted into the memory that it names.
        way: what of the model is trained, where the memory decides it.
        parameters: part of the model to the numbers that are trained, and all.
        images: images to train on, by source; and those held out.
        memory: bytes of a step of each stage.
        seconds: of a step of each stage, without the time to read images.
    """

    recipe: Recipe
    way: str
    parameters: dict[str, tuple[int, int]]
    images: dict[str, int]
    held_out: int
    memory: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def hours(self) -> float:
        """Of all steps."""
        stages = self.recipe.stages
        return sum(stage.steps * seconds for stage, seconds in zip(stages, self.seconds, strict=True)) / 3600

    def lines(self) -> Iterator[str]:
        """The plan in words."""
        yield f"model {self.recipe.model}, from {self.recipe.start or self.recipe.start_encoder or 'random weights'}"
        if self.way:
            accumulate = f", images in {self.recipe.accumulate} parts" if self.recipe.accumulate > 1 else ""
            yield f"what fits into the memory: {self.way}{accumulate}"
        for part, (trained, all_) in self.parameters.items():
            yield f"  {part:<16} {trained / 1e6:8.2f} M of {all_ / 1e6:.2f} M parameters trained"
        share = sum(source.share for source in self.recipe.sources.values())
        for name, count in self.images.items():
            yield f"  {name:<16} {count:>8} images, {self.recipe.sources[name].share / share:.0%} of the views"
        if self.held_out:
            yield f"  {'held out':<16} {self.held_out:>8} images, validated every {self.recipe.validation.every} steps"
        for stage, memory, seconds in zip(self.recipe.stages, self.memory, self.seconds, strict=True):
            yield (
                f"  {stage.steps} steps at {stage.size} px, {stage.batch} images × {stage.objects} objects: "
                f"about {memory / 1e9:.1f} GB, {seconds:.2f} s a step, {_duration(stage.steps * seconds)}"
            )
        told = f"in all {self.recipe.steps} steps, about {_duration(3600 * self.hours)} on this device"
        yield f"{told}; reading, embedding and validation come on top"


def make_plan(recipe: Recipe, data: Path, device: str = "cpu") -> Plan:
    """Plan a run. Of each stage some steps on a single image are timed, and taken times the images of a step.

    Raises what opening the data and the starting weights raises, and ConfigError where nothing fits into the memory.
    """
    device = checked_device(device)
    way = ""
    if recipe.memory:
        preset = fit(recipe, free_memory(recipe.memory, device))
        recipe, way = preset.recipe, preset.name
    images = [recipe.at_once(stage) for stage in recipe.stages]
    sources = Sources(data, recipe.sources, recipe.images, recipe.seed, recipe.validation)
    task = make_task(start_model(recipe).train(), recipe, torch.device(device))
    teacher = 4 * sum(value.numel() for value in task.teacher.parameters()) if isinstance(task, DistilledTask) else 0
    with enough_memory():
        seconds = tuple(_time(task, stage) * stage.batch for stage in recipe.stages)
    return Plan(
        recipe,
        way,
        trainable(task.sam),
        {name: len(samples) for name, samples in sources.samples.items()},
        len(sources.held_out),
        tuple(teacher + step_memory(recipe, s).of(count) for s, count in zip(recipe.stages, images, strict=True)),
        seconds,
    )


def _time(task: PromptedTask | DistilledTask, stage: Stage) -> float:
    """Seconds of one image's share of a step: the mean of some, for the number of clicks may be drawn."""
    device = task.sam.device
    side = task.mask_size(stage)
    masks = torch.zeros(1, stage.objects, side, side, dtype=torch.bool)
    masks[..., side // 4 : side // 2, side // 4 : side // 2] = True
    quarter, half = stage.size / 4, stage.size / 2
    box, centre = torch.tensor([quarter, quarter, half, half]), torch.tensor([0.75 * half, 0.75 * half])
    targets = Targets(masks, box.expand(1, stage.objects, 4), centre.expand(1, stage.objects, 2)).to(device)
    pixels = torch.full((3, stage.size, stage.size), 127.0, device=device)
    image: Seen = pixels
    if task.recipe.cached:
        with torch.no_grad():
            image = task.sam.encode(preprocessed(task.sam, [pixels], stage.size))
    times = []
    for run in range(2 * TIMED):  # each twice, for what is compiled or made ready at first takes no time later
        started = time.perf_counter()
        draws = Draws(run // 2, 1, stage.objects, slice(None), device)
        loss, _ = task([image], targets, replace(stage, batch=1), draws)
        loss.backward()
        loss.item()  # waits for the device
        times.append(time.perf_counter() - started)
        task.zero_grad(set_to_none=True)
    return sum(times[1::2]) / TIMED


def _duration(seconds: float) -> str:
    """In words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
