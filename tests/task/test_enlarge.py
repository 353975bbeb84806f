"""Masks brought to full size in part are those of `masks_to_original`, and there is nothing outside of the part."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from anymask.task import enlarge
from anymask.task.enlarge import Enlarger
from anymask.task.frame import ImageFrame

FRAMES = {
    "wide": ImageFrame(150, 225, 128),
    "tall": ImageFrame(333, 90, 128),
    "small": ImageFrame(20, 31, 128),
    "a crop": ImageFrame(60, 60, 128, left=7, top=9),
    "squeezed": replace(ImageFrame(150, 225, 128), occupied=(128, 128)),
}


def blobs(side: int = 32) -> torch.Tensor:
    """Logits of smooth masks, among them one that is nowhere and one that is everywhere."""
    coarse = torch.randn(6, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(coarse, (side, side), mode="bicubic")[:, 0] * 3 - 2
    return torch.cat([smooth, torch.full((1, side, side), -4.0), torch.full((1, side, side), 4.0)])


@pytest.mark.parametrize("level", [0.0, -1.0])
@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("large", [0.0, 1.0])
def test_windows_hold_the_whole_mask(name, level, large, monkeypatch):
    monkeypatch.setattr(enlarge, "LARGE", large)  # cut out of the whole, or made alone
    frame, logits = FRAMES[name], blobs()
    full = frame.masks_to_original(logits[:, None])[:, 0]
    for window, whole in zip(Enlarger(frame, 32).windows(logits, level), full, strict=True):
        h, w = window.logits.shape
        part = whole[window.top : window.top + h, window.left : window.left + w]
        torch.testing.assert_close(window.logits, part, atol=1e-5, rtol=0)
        assert (window.logits > level).sum() == (whole > level).sum()


def test_windows_are_no_larger_than_a_few_cells_more_than_the_mask():
    logits = torch.full((1, 32, 32), -4.0)
    logits[0, 10:14, 20:23] = 4.0
    (window,) = Enlarger(ImageFrame(320, 320, 128), 32).windows(logits, 0.0)
    assert window.logits.shape[0] <= 10 * (4 + 3) and window.logits.shape[1] <= 10 * (3 + 3)


def test_what_lies_in_the_padding_is_no_mask():
    logits = torch.full((1, 32, 32), -4.0)
    logits[0, 28:] = 4.0
    (window,) = Enlarger(ImageFrame(100, 200, 128), 32).windows(logits, 0.0)
    assert window.logits.numel() == 0
