"""The losses against their definitions."""

from __future__ import annotations

import pytest
import torch

from anymask.training.losses import dice_loss, focal_loss, mask_iou, sam_loss


def test_focal_loss_is_the_definition_of_lin_et_al():
    logits = torch.tensor([[[2.0, -1.0], [0.5, -3.0]]])
    target = torch.tensor([[[True, True], [False, False]]])
    p = torch.sigmoid(logits)
    pt = torch.where(target, p, 1 - p)
    alpha = torch.where(target, 0.25, 0.75)
    expected = (-alpha * (1 - pt) ** 2 * pt.log()).mean()
    assert focal_loss(logits, target)[0] == pytest.approx(float(expected), rel=1e-5)


def test_dice_loss_goes_from_nothing_to_one():
    target = torch.zeros(1, 20, 20, dtype=torch.bool)
    target[:, 5:15, 5:15] = True
    sure = torch.where(target, 20.0, -20.0)
    assert dice_loss(sure, target)[0] == pytest.approx(0, abs=1e-4)
    assert dice_loss(-sure, target)[0] > 0.99


def test_mask_iou_counts_pixels():
    logits = torch.tensor([[[1.0, 1.0, -1.0, -1.0]]])
    target = torch.tensor([[[True, False, True, False]]])
    assert mask_iou(logits, target)[0] == pytest.approx(1 / 3)
    assert mask_iou(-torch.ones(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool))[0] == 1


def test_only_the_best_of_the_three_masks_learns_from_an_ambiguous_prompt():
    target = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    target[..., 2:6, 2:6] = True
    logits = torch.stack([torch.where(target[0, 0], s, -s) * 1.0 for s in (0.1, 0.2, 3.0, -1.0)])[None, None]
    logits.requires_grad_()
    iou = torch.zeros(1, 1, 4, requires_grad=True)
    out = sam_loss(logits, iou, target, multi=torch.ones(1, 1), single=torch.zeros(1, 1))
    out["loss"].backward()
    moved = logits.grad.abs().sum(dim=(-2, -1))[0, 0] > 0
    assert moved.tolist() == [False, False, True, False]
    assert iou.grad[0, 0].tolist() == pytest.approx([0, -2 / 3, -2 / 3, 0]), "squared error against the true IoU"
    weighed = sam_loss(logits, iou, target, torch.ones(1, 1), torch.zeros(1, 1), iou_weight=3.0)
    assert float((weighed["loss"] - out["loss"]).detach()) == pytest.approx(2 * float(out["iou_error"]))


def test_the_single_mask_learns_from_an_unambiguous_prompt():
    logits = torch.zeros(1, 1, 4, 8, 8, requires_grad=True)
    target = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    iou = torch.ones(1, 1, 4, requires_grad=True)
    sam_loss(logits, iou, target, torch.zeros(1, 1), torch.ones(1, 1))["loss"].backward()
    assert iou.grad[0, 0].tolist() == [2, 0, 0, 0], "nothing was predicted, so the true IoU is 0"
    assert (logits.grad.abs().sum(dim=(-2, -1))[0, 0] > 0).tolist() == [True, False, False, False]


def test_masks_weigh_twenty_to_one():
    logits, target = torch.randn(1, 1, 4, 8, 8), torch.rand(1, 1, 8, 8) > 0.5
    out = sam_loss(logits, torch.zeros(1, 1, 4), target, torch.zeros(1, 1), torch.ones(1, 1))
    first = logits[:, :, 0]
    assert out["mask"] == pytest.approx(float(20 * focal_loss(first, target) + dice_loss(first, target)), rel=1e-5)
