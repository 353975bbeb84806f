"""A second look: scores are weighed by how far the model gives its best mask again, and masks stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from reference import fill_with_noise

from anymask.model.checkpoint import build_model
from anymask.model.registry import MODELS
from anymask.predict.predictor import SamPredictor
from anymask.task.metrics import iou
from anymask.task.prompts import Prompt

PROMPTS = [Prompt([[30, 20]], [1]), Prompt([[5, 5], [40, 30]], [0, 1], box=[3, 4, 60, 45])]


@pytest.fixture(scope="module", params=["test_tiny", "test_tiny_light"])
def predictors(request):
    sam = build_model(MODELS[request.param].config)
    fill_with_noise(sam)
    photo = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    both = SamPredictor(sam, "torch"), SamPredictor(sam, "torch", second_look=True)
    for predictor in both:
        predictor.set_image(photo)
    return both


def test_scores_are_those_times_the_agreement(predictors):
    plain, looking = predictors
    lower = 0
    for prompt, first, second in zip(PROMPTS, plain.predict_many(PROMPTS), looking.predict_many(PROMPTS), strict=True):
        np.testing.assert_array_equal(first.masks, second.masks)
        shown = Prompt(prompt.points, prompt.labels, prompt.box, first.logits[first.scores.argmax()])
        again = plain.predict_many([shown], multimask_output=False)[0].logits[0]
        agreement = iou(again > 0, shown.mask > 0)
        np.testing.assert_allclose(second.scores, first.scores * agreement, atol=1e-4)
        lower += agreement < 0.99
    assert lower, "noise does not agree with itself everywhere"


def test_a_mask_prompt_gives_way_to_the_mask_that_is_looked_at(predictors):
    plain, looking = predictors
    earlier = Prompt([[30, 20]], [1], mask=plain.predict_many(PROMPTS)[0].logits[0])
    first, second = plain.predict_many([earlier])[0], looking.predict_many([earlier])[0]
    again = plain.predict_many([Prompt([[30, 20]], [1], mask=first.logits[0])], multimask_output=False)[0].logits[0]
    assert second.scores[0] == pytest.approx(first.scores[0] * iou(again > 0, first.logits[0] > 0), abs=1e-4)
