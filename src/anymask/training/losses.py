"""The losses of SAM: focal and dice 20:1 on the masks, squared error on the predicted IoU (§3, appendix A)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

FOCAL_TO_DICE = 20.0


def focal_loss(logits: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Mean focal loss over the pixels of ...×H×W logits against a mask of 0 and 1 (Lin et al. 2017): ..."""
    target = target.to(logits.dtype).expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p = logits.sigmoid()
    p_wrong = p + target - 2 * p * target  # 1 - probability of the true class
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * p_wrong**gamma * entropy).flatten(-2).mean(-1)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice of ...×H×W logits against a mask of 0 and 1, smoothed by one pixel: ..."""
    p, target = logits.sigmoid().flatten(-2), target.to(logits.dtype).flatten(-2)
    overlap = 2 * (p * target).sum(-1) + 1
    return 1 - overlap / (p.sum(-1) + target.sum(-1) + 1)


def mask_iou(logits: Tensor, target: Tensor, threshold: float = 0.0) -> Tensor:
    """True IoU of thresholded ...×H×W logits with a boolean mask, without gradient; 1 where both are empty."""
    predicted = logits > threshold
    inter = (predicted & target).flatten(-2).sum(-1)
    union = (predicted | target).flatten(-2).sum(-1)
    return torch.where(union > 0, inter / union.clamp(min=1), torch.ones_like(inter, dtype=torch.float32)).detach()


def sam_loss(
    logits: Tensor,
    iou: Tensor,
    target: Tensor,
    multi: Tensor,
    single: Tensor,
    spread: float = 0.0,
    iou_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Loss of one round of prompts.

    Args:
        logits: B×N×4×H×W, the mask for unambiguous prompts first.
        iou: B×N×4 predicted IoU.
        target: B×N×H×W bool.
        multi: B×N float, weight of the least loss among the three masks, and of their predicted IoU (ambiguous
            prompts).
        single: B×N float, weight of the losses of the first mask.
        spread: share of an ambiguous prompt's loss that all three masks bear alike. With 0, the paper's rule, a mask
            that is never the best gets no gradient, and where data has few nested objects one mask takes all.
        iou_weight: of the squared error of the predicted IoU; 1 in the paper.

    Returns:
        `loss`, and for the log `mask`, `iou_error` and `iou` (true, of the mask that answers), all scalars.
    """
    logits, iou, truth = logits.float(), iou.float(), target[:, :, None]
    per_mask = FOCAL_TO_DICE * focal_loss(logits, truth) + dice_loss(logits, truth)  # B×N×4
    ambiguous = (1 - spread) * per_mask[..., 1:].amin(-1) + spread * per_mask[..., 1:].mean(-1)
    mask = (multi * ambiguous + single * per_mask[..., 0]).mean()
    actual = mask_iou(logits, truth)  # B×N×4
    errors = (iou - actual) ** 2
    iou_error = (multi * errors[..., 1:].mean(-1) + single * errors[..., 0]).mean()
    best = actual[..., 1:].gather(-1, iou[..., 1:].argmax(-1, keepdim=True))[..., 0]
    answer = torch.where(multi > 0, best, actual[..., 0]).mean()
    return {
        "loss": mask + iou_weight * iou_error,
        "mask": mask.detach(),
        "iou_error": iou_error.detach(),
        "iou": answer,
    }
