"""The rollout: first prompts lie where they should, corrections lie in the error, the last logits are fed back."""

from __future__ import annotations

import pytest
import torch

from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.task.prompts import Label
from anymask.training.rollout import Targets, rollout


@pytest.fixture()
def targets():
    masks = torch.zeros(2, 40, 32, 32, dtype=torch.bool)
    masks[:, :, 8:20, 4:28] = True
    boxes = torch.tensor([8.0, 16, 56, 40]).expand(2, 40, 4)
    return Targets(masks, boxes, torch.tensor([32.0, 28]).expand(2, 40, 2))


@pytest.fixture()
def played(targets, monkeypatch):
    """The batches of prompts of three rounds, and what the model answered."""
    torch.manual_seed(0)
    sam = Sam(MODELS["test_tiny_light"].config)
    seen = []
    plain = sam.decode_all

    def watched(embedding, prompts):
        answer = plain(embedding, prompts)
        seen.append((prompts, answer))
        return answer

    monkeypatch.setattr(sam, "decode_all", watched)
    embedding = sam.encode(torch.randn(2, 3, 64, 64))
    generator = torch.Generator().manual_seed(1)
    losses = list(rollout(sam, embedding, targets, 64, rounds=3, generator=generator))
    return seen, losses


def test_the_first_prompt_is_a_click_on_the_object_or_a_box_about_it(played, targets):
    prompts, _ = played[0][0]
    is_box = prompts.labels[..., 0] == Label.BOX_TOP_LEFT
    assert 20 < is_box.sum() < 60
    clicks = prompts.coords[~is_box][:, 0]
    assert ((clicks > torch.tensor([8, 16])) & (clicks < torch.tensor([56, 40]))).all()
    assert (prompts.labels[~is_box] == torch.tensor([Label.FOREGROUND, Label.NOT_A_POINT])).all()
    corners = prompts.coords[is_box].flatten(1)
    assert (corners - torch.tensor([8.0, 16, 56, 40])).abs().max() <= 20 * 64 / 1024
    assert prompts.masks is None


def test_corrections_lie_in_the_error_of_the_mask_that_was_fed_back(played, targets):
    seen, _ = played
    for prompts, _ in seen[1:]:
        wrong = (prompts.masks[:, :, 0] > 0) ^ targets.masks
        x, y = (prompts.coords[:, :, -1] / 2).long().unbind(-1)
        hit = wrong.flatten(2).gather(2, (y * 32 + x)[..., None])[..., 0]
        assert hit[wrong.flatten(2).any(-1)].all()
        on_object = targets.masks.flatten(2).gather(2, (y * 32 + x)[..., None])[..., 0]
        assert (prompts.labels[:, :, -1] == on_object.long()).all()


def test_the_best_scored_of_three_is_fed_back_after_the_first_round(played):
    (_, (logits, iou)), (second, (later, _)), (third, _) = played[0]
    best = iou[..., 1:].argmax(-1) + 1
    for b, n in ((0, 0), (1, 7)):
        torch.testing.assert_close(second.masks[b, n, 0], logits[b, n, best[b, n]].detach().clamp(-32, 32))
        torch.testing.assert_close(third.masks[b, n, 0], later[b, n, 0].detach().clamp(-32, 32))
    assert not second.masks.requires_grad


def test_each_round_has_a_loss_of_its_own(played):
    assert len(played[1]) == 3
    for figures in played[1]:
        assert figures["loss"].requires_grad and torch.isfinite(figures["loss"])
