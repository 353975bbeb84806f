"""The masks of a human study: whose they are, and which objects they are of."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from anymask.dataset.sa1b import open_folder
from anymask.errors import DataError
from anymask.evaluation.human import GROUND_TRUTH
from anymask.evaluation.study import LEAST_AREA, make_items
from anymask.predict.predictor import Prediction
from anymask.task import rle


class Corner:
    """Answers with three corners of the image, and trusts the second."""

    def set_image(self, image):
        self.shape = image.shape[:2]

    def predict_many(self, prompts, multimask_output):
        assert multimask_output
        masks = np.zeros((3, *self.shape), bool)
        for i, mask in enumerate(masks):
            mask[: 5 + i, : 5 + i] = True
        self.prompts = prompts
        return [Prediction(masks, np.array([0.1, 0.9, 0.2], np.float32), np.zeros((3, 4, 4))) for _ in prompts]


@pytest.fixture()
def samples(tmp_path):
    """Four images with a large and a middling object each, and one that is too small to ask about."""
    for name in "abcd":
        Image.new("RGB", (120, 150)).save(tmp_path / f"{name}.png")
        masks = []
        for box in ((0, 0, 110, 110), (100, 115, 140, 118), (0, 115, 20, 119)):
            mask = np.zeros((150, 120), bool)
            mask[box[0] : box[2], box[1] if box[2] != 140 else 80 : box[3]] = True
            masks.append(mask)
        annotations = [{"id": i, "segmentation": rle.encode(m), "area": int(m.sum())} for i, m in enumerate(masks)]
        record = {"image": {"file_name": f"{name}.png", "width": 120, "height": 150}, "annotations": annotations}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    return open_folder(tmp_path)


def test_each_object_has_a_mask_from_every_source(samples):
    corner = Corner()
    items = make_items({"shapes": samples}, {"corner": corner}, objects=4)
    assert len(items) == 8
    by_object = {(item.object_id, item.source): item for item in items}
    for name in {item.object_id for item in items}:
        ours, truth = by_object[name, "corner"], by_object[name, GROUND_TRUTH]
        assert ours.mask.sum() == 36, "the best scored of the three"
        assert truth.mask.sum() == truth.area == ours.area >= LEAST_AREA
        (x, y), *_ = ours.prompt.points
        assert truth.mask[int(y), int(x)], "the click lies in the object"
    assert {item.size for item in items} == {"medium", "large"}, "spread over the sizes"


def test_the_same_seed_draws_the_same_objects(samples):
    def drawn(seed):
        return sorted(item.object_id for item in make_items({"shapes": samples}, {"corner": Corner()}, 3, seed))

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(6)}) > 1


def test_more_objects_than_there_are(samples):
    with pytest.raises(DataError, match="8 objects"):
        make_items({"shapes": samples}, {"corner": Corner()}, objects=9)
