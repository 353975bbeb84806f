"""A tiny labelled data set and a recipe that trains on it in seconds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask.task import rle
from anymask.training.config import Prompting, Recipe, Stage
from anymask.training.loop import train


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """An SA-1B folder `shapes` of 12 images with two bright rectangles each on dark noise."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "shapes"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        image = rng.integers(0, 60, (64, 96, 3), np.uint8)
        annotations = []
        for j in range(2):
            mask = np.zeros((64, 96), bool)
            y, x = rng.integers(2, 30), rng.integers(2, 20) + 46 * j
            mask[y : y + rng.integers(14, 30), x : x + rng.integers(14, 26)] = True
            image[mask] = rng.integers(150, 255, 3)
            annotations.append({"id": j, "segmentation": rle.encode(mask), "area": int(mask.sum())})
        Image.fromarray(image).save(folder / f"{i:02}.png")
        record = {"image": {"width": 96, "height": 64, "file_name": f"{i:02}.png"}, "annotations": annotations}
        (folder / f"{i:02}.json").write_text(json.dumps(record))
    return root


@pytest.fixture()
def train_until():
    """Train, and stop when a step is told of."""

    class StopError(Exception):
        pass

    def run(recipe, data, out, last):
        def stop(step, _):
            if step == last:
                raise StopError

        with pytest.raises(StopError):
            train(recipe, data, out, report=stop)

    return run


@pytest.fixture()
def recipe():
    return Recipe(
        model="test_tiny_light",
        sources={"shapes": 1.0},
        stages=(Stage(size=64, steps=6, batch=2, objects=2), Stage(size=96, steps=4, batch=1, objects=2)),
        prompting=Prompting(points=1, refine=False, box_single=True),
        lr=3e-3,
        warmup=2,
        workers=0,
        bf16=False,
        save_every=4,
        log_every=1,
    )
