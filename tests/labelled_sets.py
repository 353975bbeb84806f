"""Folders of labelled images in SA-1B's format, for what works on whole sets."""

from __future__ import annotations

import json
from zlib import crc32

import numpy as np
from labelled_data import HEIGHT, MASKS, WIDTH
from PIL import Image

from anymask.task import rle


def annotations(masks=MASKS, **more):
    """A record for each mask."""
    return [{"id": number, "segmentation": rle.encode(mask), **more} for number, mask in enumerate(masks, 1)]


def pixels(seed, height=HEIGHT, width=WIDTH):
    """An image that looks like no other: a few large random fields, enlarged."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def add(folder, name, records=None, image=None, **about):
    """Write an image and its record; the path of the record comes back. `about` goes into the record of the image."""
    folder.mkdir(parents=True, exist_ok=True)
    image = pixels(crc32(name.encode())) if image is None else image
    Image.fromarray(image).save(folder / f"{name}.png")
    about = {"image_id": name, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT, **about}
    record = {"image": about, "annotations": annotations() if records is None else records}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def labelled_set(folder, count=3, **more):
    """A folder of so many images, each with a ring and an object of two parts, of the category `category`."""
    for number in range(count):
        add(folder, str(number), annotations(**{"category": "a", **more}))
    return folder
