"""A million masks in one file: they are read, counted and written, in memory that a laptop has."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled_data import HEIGHT, WIDTH, block, write_image

from anymask.dataset.convert import Target, convert
from anymask.dataset.formats import open_data
from anymask.dataset.stats import gather
from anymask.task import rle

MASKS, IMAGES = 1_000_000, 1_000


@pytest.mark.slow
def test_a_million_masks_in_one_file(tmp_path):
    rng = np.random.default_rng(0)
    pool = []
    for _ in range(200):
        top, left = rng.integers(0, HEIGHT - 4), rng.integers(0, WIDTH - 4)
        pool.append(json.dumps(rle.encode(block(top, top + 3, left, left + 4))))
    write_image(tmp_path / "a.jpg")
    images = []
    for number in range(IMAGES):
        (tmp_path / f"{number}.jpg").hardlink_to(tmp_path / "a.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "height": HEIGHT, "width": WIDTH})
    with (tmp_path / "labels.json").open("w") as file:
        file.write(f'{{"images": {json.dumps(images)}, "categories": [{{"id": 1, "name": "a"}}], "annotations": [')
        for number in range(MASKS):
            about = f'"id": {number}, "image_id": {number % IMAGES}, "category_id": 1'
            file.write(f'{", " * (number > 0)}{{{about}, "segmentation": {pool[number % 200]}}}')
        file.write("]}")
    samples = open_data(tmp_path / "labels.json")
    found = gather(samples, workers=2)
    assert (found.images, found.masks, found.centres.sum()) == (IMAGES, MASKS, MASKS)
    written = convert(samples, tmp_path / "out", Target(images="link"))
    assert (written.images, written.masks) == (IMAGES, MASKS)
    assert len(open_data(tmp_path / "out")[7].objects()) == MASKS // IMAGES
