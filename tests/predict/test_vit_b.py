"""From photo to mask at the size of ViT-B: predictor and mask generator against the reference implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference import hugging_face_sam, reference_sam, same_as, segment_anything

from anymask.model.checkpoint import _from_hugging_face
from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.predict.automask.generator import SamAutomaticMaskGenerator
from anymask.predict.predictor import SamPredictor
from anymask.task.image import read_image

VIT_B = MODELS["vit_b"].config
FLIPPED = 1e-4
"""share of a mask's pixels whose logit is so near the cut-off that rounding may decide"""

pytestmark = pytest.mark.slow


def test_predictor_and_generator_equal_the_reference(photos):
    reference = reference_sam(VIT_B)
    ours = same_as(reference, VIT_B)
    image = read_image(photos / "chelsea.jpg")
    theirs, mine = segment_anything.SamPredictor(reference), SamPredictor(ours)
    theirs.set_image(image)
    mine.set_image(photos / "chelsea.jpg")
    torch.testing.assert_close(mine.features, theirs.features, atol=1e-4, rtol=1e-4)
    points, labels, box = np.array([[240, 150], [440, 20]]), np.array([1, 0]), np.array([30, 10, 420, 295])
    for arguments in (
        {"point_coords": points[:1], "point_labels": labels[:1]},
        {"point_coords": points, "point_labels": labels, "box": box, "multimask_output": False},
    ):
        expected = theirs.predict(**arguments, return_logits=True)
        found = mine.predict(**arguments, return_logits=True)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-4, rtol=1e-4)
        assert ((found[0] > 0) != (expected[0] > 0)).mean() < FLIPPED

    # the generators embed the photo anew; the embedding is equal, so each takes its own from above
    options = {"points_per_side": 3, "pred_iou_thresh": -99.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}
    records = []
    for package, predictor in ((segment_anything.SamAutomaticMaskGenerator, theirs), (SamAutomaticMaskGenerator, mine)):
        generator = package(predictor.model, **options)
        predictor.set_image = lambda _: None
        predictor.reset_image = lambda: None
        generator.predictor = predictor
        records.append(generator.generate(image))
    assert len(records[0]) == len(records[1]) == 27
    for a, b in zip(*records, strict=True):
        assert (a["segmentation"] != b["segmentation"]).mean() < FLIPPED
        assert a["predicted_iou"] == pytest.approx(b["predicted_iou"], abs=1e-4)
        assert a["stability_score"] == pytest.approx(b["stability_score"], abs=1e-3)
        assert (a["point_coords"], a["crop_box"]) == (b["point_coords"], b["crop_box"])


@torch.no_grad()
def test_encoder_equals_hugging_face():
    theirs = hugging_face_sam(VIT_B)
    ours = Sam(VIT_B)
    ours.load_state_dict(_from_hugging_face(theirs.state_dict()))
    pixels = torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours.encode(pixels).features, theirs.get_image_embeddings(pixels), atol=1e-4, rtol=1e-4)
