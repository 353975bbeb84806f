"""The training loop: the same for one process and for many, and exact when it goes on after a stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..dataset.sample import Sample
from ..errors import ConfigError, TrainingError
from ..files import make_folder, sweep, write_json
from ..model.checkpoint import save_model
from ..model.sam import Sam
from . import state as states
from .cached import CachedViews, embed_all
from .check import check_sources
from .clip_prompts import ObjectVectors, embed_objects
from .config import Recipe, Stage
from .distributed import Alone, open_processes
from .ema import MovingAverage
from .judge import Judge, Validate
from .log import Log
from .lora import merge_lora
from .memory import enough_memory
from .optim import make_optimizer, schedule
from .presets import fitted
from .rollout import Draws, Targets
from .sources import Sources
from .start import make_task, open_clip, start_model
from .views import Seen, Views, batches

Report = Callable[[int, dict[str, float]], None]
"""called with the step and its figures: those of the log, and `left`, an estimate of the seconds that remain"""
Announce = Callable[[str, int, int], None]
"""called with what is done before the steps, how much of it is done, and how much there is"""


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    device: str = "cpu",
    report: Report | None = None,
    validate: Validate | None = None,
    announce: Announce | None = None,
) -> Path:
    """Run a recipe, or go on with it where `out` holds its state; returns the path of the weights.

    The state is written every `save_every` steps and at the end, atomically; whatever stops the run in between costs
    the steps since. Data and prompts are drawn by the step's number, so that a run that was stopped sees what it
    would have seen. With `validate` the weights are the best ones, those of the start among them, and else the last.
    Processes on several machines need an `out` that they share.
    Raises ConfigError where `out` holds the state of another recipe, or weights without their state, and TrainingError
    where the loss is no number or the memory is not enough.
    """
    processes = open_processes(device)
    sources = Sources(data, recipe.sources, recipe.images, recipe.seed, recipe.validation if validate else None)
    make_folder(out)
    if recipe.memory:
        recipe = fitted(recipe, out, device, processes)
    for stage in recipe.stages:
        recipe.at_once(stage, processes.count)
    if recipe.check and not states.path_in(out).exists():
        _check(sources, processes, announce)
    run = Run(recipe, sources, out, processes, validate, _about("embedding images", announce))
    if processes.is_main:
        for path in (states.path_in(out), run.last):
            sweep(path)
        write_json(out / "recipe.json", recipe.to_dict(), indent=2)
    with enough_memory():
        run.go(report)
    return run.finish()


def _check(sources: Sources, processes: Alone, announce: Announce | None) -> None:
    """Check all data, of which each process takes a part."""
    parts = [*sources.samples.items(), ("validation", sources.held_out)]
    mine = [(name, samples[processes.rank :: processes.count]) for name, samples in parts]
    told = _about("checking labels", announce if processes.is_main else None)
    check_sources([(name, samples) for name, samples in mine if samples], told)
    processes.wait()


def _about(what: str, announce: Announce | None) -> Callable[[int, int], None] | None:
    return partial(announce, what) if announce else None


class Run:
    """A run between two steps.

    Attributes:
        step: optimiser steps so far.
        task: the module that is trained; `spread` is the same over all processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        sources: Sources,
        out: Path,
        processes: Alone,
        validate: Validate | None = None,
        embedding: Callable[[int, int], None] | None = None,
    ) -> None:
        self.recipe, self.sources, self.out, self.processes = recipe, sources, out, processes
        self._embedding = embedding if processes.is_main else None
        state = states.load(recipe, out)
        if not state and self.last.exists():
            raise ConfigError(f"{self.last}: is of a run whose state is gone; name a new folder, or remove it")
        torch.manual_seed(recipe.seed)
        sam = start_model(recipe, filled=state is None)
        self.task = make_task(sam.train(), recipe, processes.device)
        self.optimizer = make_optimizer(
            sam, recipe.lr, recipe.betas, recipe.weight_decay, recipe.layer_decay, recipe.encoder_lr
        )
        self.spread, _ = processes.prepare(self.task, self.optimizer)
        self.average = MovingAverage(self.task, recipe.ema) if recipe.ema else None
        self.step = 0
        board = out / "tensorboard" if recipe.tensorboard and processes.is_main else None
        step = int(state["step"]) if state else -1
        self.log = Log(out / "log.csv", step, board)
        self.judge = (
            Judge(recipe, sources.held_out, out, Log(out / "validation.csv", step, board), validate)
            if (validate and recipe.validation.every)
            else None
        )
        if state:
            self._restore(state)

    @property
    def last(self) -> Path:
        """Where the last weights will lie."""
        return self.out / f"{self.recipe.model}.safetensors"

    def go(self, report: Report | None) -> None:
        """All steps that are left, unless validation ends the run before. A new run is validated before the first."""
        pace = Pace(self.recipe, self.step)
        if not self.step:
            self._validate(pace)
        for stage, first in stages(self.recipe):
            if self.step >= first + stage.steps or (self.judge and self.judge.should_stop):
                continue
            if self.recipe.compile:
                torch.compiler.reset()  # each stage has shapes of its own; kernels for those of all do not compile
            made = self._batches(stage, first)
            pace.restart(self.step)
            for images, targets in made:
                figures = self.learn(stage, images, targets)
                self.step += 1
                if self.average:
                    self.average.update(self.task, self.step)
                if self.step % self.recipe.log_every == 0:
                    self._tell(figures, pace, report)
                stopping = self._validate(pace)
                if self.step % self.recipe.save_every == 0 or self.step == self.recipe.steps or stopping:
                    self._finite(figures)
                    self._save()
                if stopping:
                    return

    def learn(self, stage: Stage, images: Sequence[Seen], targets: Targets) -> Tensor:
        """One optimiser step on this process's images; gives the task's figures and the norm."""
        recipe, processes = self.recipe, self.processes
        factor = schedule(recipe.schedule, self.step, recipe.steps, recipe.warmup, recipe.drops, recipe.decay)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed((recipe.seed * 1_000_003 + self.step) * processes.count + processes.rank)  # drop path
        part = len(images) // recipe.accumulate
        figures = []
        for i in range(recipe.accumulate):
            mine = slice(i * part, (i + 1) * part)
            whole = slice(*(processes.rank * len(images) + edge for edge in (mine.start, mine.stop)))
            draws = Draws(recipe.seed * 1_000_003 + self.step, stage.batch, stage.objects, whole, processes.device)
            with processes.gathering(self.spread, last=i + 1 == recipe.accumulate):
                loss, told = self.spread(
                    [image.to(processes.device) for image in images[mine]],
                    targets[mine].to(processes.device),
                    stage,
                    draws,
                )
                processes.backward(loss / recipe.accumulate)
            figures.append(told)
        norm = processes.clip(self.spread, recipe.clip)
        self.optimizer.step()
        return torch.cat([processes.mean(torch.stack(figures).mean(0)), norm.detach()[None]])

    def snapshot(self) -> Sam | None:
        """The model as it would be used now: averaged, adapters merged, on its own.

        All processes call it, and the main one gets it.
        """
        weights = states.gather(self.task, self.optimizer)["model"]
        if self.average:
            weights |= {name: _whole(value).cpu() for name, value in self.average.weights.items()}
        if not self.processes.is_main:
            return None
        sam = start_model(self.recipe, filled=False)
        sam.load_state_dict({name.removeprefix("sam."): value for name, value in weights.items()})
        if self.recipe.lora:
            merge_lora(sam)
        return sam.to(self.processes.device).eval()

    def finish(self) -> Path:
        """Write the last weights; the path of those that are best."""
        sam = self.snapshot()
        if sam:
            save_model(sam, self.last, {"recipe": self.recipe.to_dict(), "steps": self.step})
        self.processes.wait()
        return self.judge.weights if self.judge and self.judge.weights.exists() else self.last

    def _batches(self, stage: Stage, first: int) -> Iterator[tuple[list[Seen], Targets]]:
        recipe, processes = self.recipe, self.processes
        share = recipe.accumulate * recipe.at_once(stage, processes.count)
        part = slice(processes.rank * share, (processes.rank + 1) * share)
        return batches(self._views(stage, recipe.seed + first), stage.batch, self.step - first, recipe.workers, part)

    def _views(self, stage: Stage, seed: int) -> Views:
        recipe, processes, cells = self.recipe, self.processes, self.task.mask_size(stage)
        length = stage.steps * stage.batch
        even = recipe.prompting.even_sizes
        settings = (self.sources, stage.size, cells, stage.objects, recipe.augmentation, length, seed, even)
        samples = [sample for samples in self.sources.samples.values() for sample in samples]
        mine = samples[processes.rank :: processes.count]
        if not recipe.cached:
            return Views(*settings, unlabelled=recipe.unlabelled, vectors=self._vectors(mine))
        folder = self.out / "embeddings" / str(stage.size)
        embed_all(self.task.sam, mine, stage.size, folder, recipe.augmentation.flip, self._embedding)
        processes.wait()
        return CachedViews(*settings, folder=folder)

    def _vectors(self, samples: Sequence[Sample]) -> ObjectVectors | None:
        """CLIP's vectors of the objects, of which this process makes those of some images; None without CLIP."""
        recipe = self.recipe
        if not recipe.text_tower:
            return None
        clip, folder = open_clip(recipe.text_tower, str(self.processes.device)), self.out / "clip"
        settings = (recipe.text_tower, recipe.text_crops, recipe.seed, recipe.text_min_area)
        embed_objects(clip, samples, folder, *settings, report=self._embedding)
        self.processes.wait()
        return ObjectVectors(folder, clip.width)

    def _finite(self, figures: Tensor) -> list[float]:
        """The figures as numbers, for which the device is waited for. Raises TrainingError where one is none."""
        values: list[float] = figures.tolist()
        if not all(map(isfinite, values)):
            raise TrainingError(
                f"step {self.step}: the loss is no finite number; begin anew in another folder (-o) with a lower lr or "
                "a longer warmup"
            )
        return values

    def _tell(self, figures: Tensor, pace: Pace, report: Report | None) -> None:
        named = dict(zip((*self.task.figures, "grad_norm"), self._finite(figures), strict=True))
        named |= {"lr": self.optimizer.param_groups[0]["lr"], "seconds": pace.seconds(self.step)}
        if self.processes.is_main:
            self.log.add(self.step, named)
            if report:
                report(self.step, {**named, "left": pace.left(self.step)})

    def _validate(self, pace: Pace) -> bool:
        """Validate where it is time to; whether the run should stop."""
        if not self.judge or (self.step % self.recipe.validation.every and self.step != self.recipe.steps):
            return False
        with pace.validating():
            sam = self.snapshot()
            return self.processes.agree(self.judge.judge(sam, self.step) if sam else False)

    def _save(self) -> None:
        state = {**states.gather(self.task, self.optimizer), "step": self.step}
        if self.average:
            state["average"] = {name: _whole(value).cpu() for name, value in self.average.weights.items()}
        if self.judge:
            state["judge"] = self.judge.state()
        if self.processes.is_main:
            states.save(state, self.recipe, self.out)
        self.processes.wait()

    def _restore(self, state: states.State) -> None:
        states.restore(state, self.task, self.optimizer)
        self.step = int(state["step"])
        if self.average:
            for name, value in self.average.weights.items():
                value.copy_(_spread_as(state["average"][name], value))
        if self.judge and "judge" in state:
            self.judge.restore(state["judge"])


class Pace:
    """How fast a run goes, and how long it still takes.

    A step is taken to cost as its pixels and objects, so that the stages to come can be told from the present one, and
    a validation as much as the last one. Validations are no part of a step's time.
    """

    def __init__(self, recipe: Recipe, step: int) -> None:
        self._recipe = recipe
        self._validation = 0.0
        self.restart(step)

    def restart(self, step: int) -> None:
        """Measure from here."""
        self._told, self._since, self._last = step, time.perf_counter(), float("nan")

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Around a validation."""
        began = time.perf_counter()
        yield
        self._validation = time.perf_counter() - began
        self._since += self._validation

    def seconds(self, step: int) -> float:
        """Seconds a step since this was asked last."""
        now = time.perf_counter()
        self._last = (now - self._since) / max(1, step - self._told)
        self._told, self._since = step, now
        return self._last

    def left(self, step: int) -> float:
        """Seconds from `step` to the end, at the pace of the last time."""
        ahead, present = 0.0, 1.0
        for stage, first in stages(self._recipe):
            cost = stage.size**2 * stage.batch * stage.objects
            ahead += cost * max(0, first + stage.steps - max(step, first))
            if first < step <= first + stage.steps:
                present = cost
        every = self._recipe.validation.every
        validations = self._recipe.steps // every - step // every if every else 0
        return self._last * ahead / present + self._validation * validations


def stages(recipe: Recipe) -> Iterator[tuple[Stage, int]]:
    """Each stage with the number of its first step."""
    first = 0
    for stage in recipe.stages:
        yield stage, first
        first += stage.steps


def _whole(value: Tensor) -> Tensor:
    """A weight that may be spread over processes, whole."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def _spread_as(value: Tensor, like: Any) -> Tensor:
    """A whole weight, spread over processes as another one."""
    if not hasattr(like, "device_mesh"):
        return value
    from torch.distributed.tensor import distribute_tensor

    spread: Tensor = distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    return spread
