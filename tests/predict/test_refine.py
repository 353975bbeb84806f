"""Refinement: each prompt sees the last logits, and each can be undone."""

from __future__ import annotations

import numpy as np
import pytest
from reference import fill_with_noise

from anymask.errors import PromptError
from anymask.model.checkpoint import build_model
from anymask.model.registry import MODELS
from anymask.predict.predictor import SamPredictor
from anymask.predict.refine import Refinement


@pytest.fixture()
def predictor():
    sam = build_model(MODELS["test_tiny_light"].config)
    fill_with_noise(sam)
    predictor = SamPredictor(sam)
    predictor.set_image(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    return predictor


def test_a_second_click_sees_the_first_mask(predictor):
    refinement = Refinement(predictor, keep_parts=True)
    first = refinement.add_point(30, 20)
    second = refinement.add_point(5, 5, 0)
    masks, scores, logits = predictor.predict(
        second.points, second.labels, mask_input=first.logits[None], multimask_output=False
    )
    np.testing.assert_array_equal(second.mask, masks[0])
    np.testing.assert_allclose(second.logits, logits[0])
    assert second.score == pytest.approx(float(scores[0]))
    without, _, _ = predictor.predict(second.points, second.labels, multimask_output=False)
    assert (without[0] != second.mask).any(), "the earlier logits should matter"


def test_undo_and_redo_go_through_the_states(predictor):
    refinement = Refinement(predictor)
    states = [refinement.state, refinement.add_point(30, 20), refinement.set_box([10, 5, 50, 40])]
    assert refinement.undo() is states[1]
    assert refinement.undo() is states[0] and states[0].mask is None
    with pytest.raises(PromptError, match="nothing to undo"):
        refinement.undo()
    assert refinement.redo() is states[1]
    other = refinement.add_point(8, 8, 0)
    assert refinement.state is other
    with pytest.raises(PromptError, match="nothing to redo"):
        refinement.redo()


def test_a_prompt_that_fails_changes_nothing(predictor):
    refinement = Refinement(predictor)
    state = refinement.add_point(30, 20)
    with pytest.raises(PromptError):
        refinement.add_point(300, 20)
    assert refinement.state is state


def test_pick_chooses_among_the_three(predictor):
    masks = predictor.predict([[30, 20]], [1])[0]
    areas = masks.sum(axis=(1, 2))
    large = Refinement(predictor, pick="largest", keep_parts=True).add_point(30, 20)
    small = Refinement(predictor, pick="smallest", keep_parts=True).add_point(30, 20)
    assert large.mask.sum() == areas.max()
    assert small.mask.sum() == areas[areas > 0].min()
