"""Prompt mixing: nothing at first, then a carrier of what one cell says to those around it."""

from __future__ import annotations

import pytest
import torch
from reference import fill_with_noise

from anymask.model.prompt_mixing import PromptMixing
from anymask.model.registry import MODELS
from anymask.model.sam import Sam


@pytest.fixture()
def maps():
    return torch.randn(2, 8, 12, 20, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_it_begins_by_changing_nothing(maps):
    assert torch.equal(PromptMixing(8, 4)(maps), maps)


@torch.no_grad()
def test_one_cell_is_felt_far_away_and_in_its_own_image_alone(maps):
    mixing = PromptMixing(8, 4)
    fill_with_noise(mixing)
    other = maps.clone()
    other[0, :, 6, 3] += 1
    change = (mixing(other) - mixing(maps)).abs().amax(1)  # 2×12×20
    assert change[0, 6, 3] > 1e-3 and change[0, 6, 15] > 0, "12 cells away, more than one kernel reaches"
    assert not change[1].any()


def test_only_light_models_have_it():
    assert Sam(MODELS["test_tiny_light"].config).mask_decoder.mixing is not None
    assert Sam(MODELS["test_tiny"].config).mask_decoder.mixing is None
