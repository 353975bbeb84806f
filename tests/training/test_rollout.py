"""The rollout: first prompts lie where they should, corrections lie in the error, the last logits are fed back."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from anymask.model.registry import MODELS
from anymask.model.sam import Sam
from anymask.task.prompts import Label
from anymask.training.config import Prompting, Stage
from anymask.training.rollout import Draws, Targets, rollout

CPU = torch.device("cpu")
OBJECT = torch.tensor([8.0, 16, 56, 40])  # in a frame of 64 pixels


@pytest.fixture()
def targets():
    masks = torch.zeros(2, 40, 32, 32, dtype=torch.bool)
    masks[:, :, 8:20, 4:28] = True
    return Targets(masks, OBJECT.expand(2, 40, 4), torch.tensor([32.0, 28]).expand(2, 40, 2))


@pytest.fixture()
def play(targets):
    """Plays a rollout with a toy model; gives each round's prompts and answer, and the losses."""
    torch.manual_seed(0)
    sam = Sam(MODELS["test_tiny_light"].config)
    embedding = sam.encode(torch.randn(2, 3, 64, 64))

    def run(seed=1, **settings):
        seen = []

        def decode(embedding, prompts):
            answer = sam.decode_all(embedding, prompts)
            seen.append((prompts, answer))
            return answer

        draws = Draws(seed, 2, 40, slice(None), CPU)
        losses = list(rollout(decode, embedding, targets, Stage(64, 1, 1, 1), Prompting(**settings), draws))
        return seen, losses

    return run


def tokens(prompts):
    """How many tokens each object has."""
    counts = prompts.present.sum(-1).unique()
    assert len(counts) == 1
    return int(counts)


def test_the_papers_rollout_has_eleven_rounds_of_which_two_bring_no_new_prompt(play):
    seen, losses = play()
    assert len(seen) == len(losses) == 11
    lengths = [tokens(prompts) for prompts, _ in seen]
    assert lengths[0] == 2 and lengths[-1] == lengths[-2] == 10
    new = [later - earlier for earlier, later in pairwise(lengths)]
    assert sorted(new) == [0, 0] + [1] * 8 and new[-1] == 0
    blanks = {tuple(tokens(prompts) for prompts, _ in play(seed)[0]) for seed in range(6)}
    assert len(blanks) > 2, "the first of the two comes at random"


def test_the_first_prompt_is_a_click_on_the_object_or_a_box_about_it(play):
    prompts, _ = play(points=0, refine=False)[0][0]
    is_box = prompts.labels[..., 0] == Label.BOX_TOP_LEFT
    assert 20 < is_box.sum() < 60
    clicks = prompts.coords[~is_box][:, 0]
    assert ((clicks > OBJECT[:2]) & (clicks < OBJECT[2:])).all()
    assert len(clicks.unique(dim=0)) > 20
    assert (prompts.labels[~is_box] == torch.tensor([Label.FOREGROUND, Label.NOT_A_POINT])).all()
    corners = prompts.coords[is_box].flatten(1)
    assert 0 < (corners - OBJECT).abs().max() <= 20 * 64 / 1024
    assert prompts.masks is None


def test_shares_of_boxes_and_of_central_clicks(play):
    only_boxes = play(box=1.0, points=0, refine=False)[0][0][0]
    assert (only_boxes.labels == torch.tensor([Label.BOX_TOP_LEFT, Label.BOX_BOTTOM_RIGHT])).all()
    central = play(box=0.0, centre=1.0, points=0, refine=False)[0][0][0]
    assert (central.coords[:, :, 0] == torch.tensor([32.0, 28])).all()


@pytest.mark.parametrize("centre", [0.0, 1.0])
def test_corrections_lie_in_the_error_of_the_mask_that_was_fed_back(play, targets, centre):
    seen, _ = play(points=2, refine=False, centre=centre)
    for prompts, _ in seen[1:]:
        last = prompts.present.sum(-1, keepdim=True) - 1
        click = prompts.coords.gather(2, last[..., None].expand(-1, -1, 1, 2))[:, :, 0]
        wrong = (prompts.masks[:, :, 0] > 0) ^ targets.masks
        x, y = (click / 2).long().unbind(-1)
        cells = (y * 32 + x)[..., None]
        assert wrong.flatten(2).gather(2, cells)[..., 0][wrong.flatten(2).any(-1)].all()
        on_object = targets.masks.flatten(2).gather(2, cells)[..., 0]
        assert (prompts.labels.gather(2, last)[..., 0] == on_object.long()).all()


def test_the_best_scored_of_three_is_fed_back_after_the_first_round(play):
    (_, (logits, iou)), (second, (later, _)), (third, _) = play(points=2, refine=False)[0]
    best = iou[..., 1:].argmax(-1) + 1
    for b, n in ((0, 0), (1, 7)):
        torch.testing.assert_close(second.masks[b, n, 0], logits[b, n, best[b, n]].detach().clamp(-32, 32))
        torch.testing.assert_close(third.masks[b, n, 0], later[b, n, 0].detach().clamp(-32, 32))
    assert not second.masks.requires_grad


def test_rounds_that_are_not_learned_from_keep_no_graph(play):
    seen, losses = play(points=5, refine=False, learn=3)
    assert len(seen) == 6 and len(losses) == 3
    learned = [answer[0].requires_grad for _, answer in seen]
    assert learned[0] and learned[-1] and sum(learned) == 3
    for figures in losses:
        assert figures["loss"].requires_grad and torch.isfinite(figures["loss"])


def test_fewer_clicks_are_drawn_anew_for_each_step(play):
    assert len({len(play(seed, points=3, fewer=True, refine=False)[0]) for seed in range(12)}) == 4


def test_a_box_trains_the_single_mask_only_where_the_recipe_says(play):
    (plain,), (both,) = (play(box=1.0, points=0, refine=False, box_single=flag)[1] for flag in (False, True))
    assert both["loss"] > plain["loss"]


def test_draws_are_the_same_however_the_images_are_spread():
    def drawn(images, part):
        draws = Draws(5, images, 3, part, CPU)
        return draws.uniform(), draws.integer(100), draws.normal(4)

    whole, halves = drawn(4, slice(None)), [drawn(4, slice(0, 2)), drawn(4, slice(2, 4))]
    for i in (0, 2):
        assert torch.equal(whole[i], torch.cat([half[i] for half in halves]))
    assert whole[1] == halves[0][1] == halves[1][1]
