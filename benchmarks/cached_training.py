"""Times training of the decoder alone with embeddings kept on disk beside training with the encoder in every step.

    python benchmarks/cached_training.py DATA --images 30 --steps 20

Both are recipes/decoder_only.toml on the same images and prompts, a step of each in turn, so that what else the machine
does weighs on both. Prints the seconds that an image takes to embed, the steps a minute of both with what they take of
one core, and the ratio. The first step of each does not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from anymask.training.cached import CachedViews, embed_all
from anymask.training.config import Stage, read_recipe
from anymask.training.distributed import Alone
from anymask.training.loop import Run
from anymask.training.sources import Sources
from anymask.training.views import Views, batches

RECIPE = Path(__file__).parents[1] / "recipes" / "decoder_only.toml"


def clocks() -> np.ndarray:
    """Seconds on the wall, and of this process on all cores."""
    return np.array([time.perf_counter(), time.process_time()])


def timed_step(run: Run, stage: Stage, made: Iterator[Any]) -> np.ndarray:
    """Seconds of a step, its views among it."""
    started = clocks()
    run.learn(stage, *next(made))
    return clocks() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of labelled images")
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("changes", nargs="*", help="changes to the recipe, as in bf16=false")
    arguments = parser.parse_intermixed_args()
    recipe = read_recipe(RECIPE, arguments.changes)
    stage, flip = recipe.stages[0], recipe.augmentation.flip
    sources = Sources(arguments.data, recipe.sources, arguments.images)
    samples = [sample for each in sources.samples.values() for sample in each]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(recipe, sources, Path(folder), Alone("cpu"))
        cache = Path(folder) / "embeddings"
        started = clocks()
        embed_all(run.task.sam, samples, stage.size, cache, flip)
        _, each = (clocks() - started) / len(samples) / (1 + flip)
        cells = run.task.mask_size(stage)
        length = (1 + arguments.steps) * stage.batch
        settings = (sources, stage.size, cells, stage.objects, recipe.augmentation, length, recipe.seed)
        arms = [batches(views, stage.batch, 0, 0) for views in (CachedViews(*settings, folder=cache), Views(*settings))]
        taken = np.zeros((2, 2))
        for step in range(1 + arguments.steps):
            pair = np.stack([timed_step(run, stage, made) for made in arms])
            taken += pair if step else 0
            run.step += 1
    print(f"{recipe.model} at {stage.size}, batch {stage.batch} of {stage.objects} objects")
    print(f"embedding: {each:.2f} s of a core for each image{' and each mirror image' if flip else ''}")
    for name, (wall, core) in zip(("cached", "not cached"), taken / arguments.steps, strict=True):
        print(f"{name}: {60 / wall:.0f} steps a minute, {core:.2f} s of a core each")
    wall, core = taken[1] / taken[0]
    print(f"with the cache {wall:.1f} times as fast, by the core's time {core:.1f} times")


if __name__ == "__main__":
    main()
