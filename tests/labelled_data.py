"""A small labelled image, and files of every kind that show it."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from anymask.task import rle

HEIGHT, WIDTH = 24, 36


def block(top, bottom, left, right):
    """The mask of a rectangle, from its first rows and columns to those after its last."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


BLOCK = block(2, 8, 20, 32)
HOLE = block(5, 9, 6, 11)
RING = block(2, 12, 3, 14) & ~HOLE
HALVES = [block(15, 20, 2, 7), block(15, 20, 22, 30)]
TWO_PARTS = HALVES[0] | HALVES[1]
MASKS = [RING, TWO_PARTS]
"""two objects that do not touch, one with a hole, one of two parts"""

CORNERS = {"block": [(20, 2), (32, 2), (32, 8), (20, 8)], "ring": [(3, 2), (14, 2), (14, 12), (3, 12)]}
HOLE_CORNERS = [(6, 5), (11, 5), (11, 9), (6, 9)]
"""of the rectangles above, as x, y"""


def write_image(path, height=HEIGHT, width=WIDTH):
    """Write a grey image; the path comes back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), "gray").save(path)
    return path


def write_json(path, content):
    """Write JSON; the path comes back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_map(path, masks, values=(1, 2), dtype=np.uint8, background=0):
    """Write an image whose pixels have the value of the mask they are in, a number or a colour; the path comes back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = masks[0].shape + np.shape(values[0])
    labels = np.full(shape, background, dtype)
    for mask, value in zip(masks, values, strict=True):
        labels[mask] = value
    Image.fromarray(labels).save(path)
    return path


def coco(masks=MASKS, file_name="a.jpg", **image):
    """A COCO JSON of one image, the masks as compressed RLE."""
    annotations = [
        {"id": number, "image_id": 7, "category_id": 3, "segmentation": rle.encode(mask), "area": int(mask.sum())}
        for number, mask in enumerate(masks, 1)
    ]
    return {
        "images": [{"id": 7, "file_name": file_name, "height": HEIGHT, "width": WIDTH, **image}],
        "categories": [{"id": 3, "name": "cup"}],
        "annotations": annotations,
    }


def masks_of(sample):
    """The masks of a sample's objects, in order."""
    return [one.mask for one in sample.objects()]


def check_masks(sample, expected):
    """Assert that a sample's image can be read, and that its objects have these masks."""
    assert sample.image().shape == (HEIGHT, WIDTH, 3)
    found = masks_of(sample)
    assert len(found) == len(expected)
    for mask, truth in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mask, truth)
