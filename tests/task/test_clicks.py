"""The simulated annotator clicks where the definitions say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from anymask.task.clicks import centre_click, centre_of_error_click, noisy_box, random_click
from anymask.task.prompts import Label


def draw_region(shape: tuple[int, int], seed: int) -> NDArray[np.bool_]:
    """Discs and boxes, some over the border."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    region = np.zeros(shape, bool)
    for _ in range(3):
        cx, cy, r = rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), rng.uniform(1, 9)
        region |= (x - cx) ** 2 + (y - cy) ** 2 < r**2
        region |= (abs(x - cx - 5) < r) & (abs(y - cy) < 2)
    return region


def depths(region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The distance of each pixel to the nearest one outside the region or the image, by trying them all."""
    padded = np.pad(region, 1)
    outside = np.argwhere(~padded)
    depth = np.zeros(padded.shape)
    for y, x in np.argwhere(padded):
        depth[y, x] = np.sqrt(((outside - [y, x]) ** 2).sum(axis=1).min())
    return depth[1:-1, 1:-1]


def at(click: tuple[float, float]) -> tuple[int, int]:
    """Row and column of the pixel that was clicked on; a click is on a pixel's centre."""
    assert click[0] % 1 == click[1] % 1 == 0.5
    return int(click[1]), int(click[0])


@pytest.mark.parametrize("seed", range(10))
def test_centre_is_the_farthest_from_the_edge(seed: int) -> None:
    region = draw_region((25, 32), seed)
    click = centre_click(region)
    assert click is not None
    depth = depths(region)
    assert depth[at(click)] == pytest.approx(depth.max(), abs=1e-4)


def test_centre_of_plain_shapes() -> None:
    mask = np.zeros((20, 30), bool)
    assert centre_click(mask) is None
    mask[7, 11] = True
    assert centre_click(mask) == (11.5, 7.5)
    mask[3:8, 20:25] = True
    assert centre_click(mask) == (22.5, 5.5)
    assert centre_click(np.ones((9, 9), bool)) == (4.5, 4.5)  # the image's border is an edge
    assert centre_click(np.ones((1, 1), bool)) == (0.5, 0.5)


@pytest.mark.parametrize("seed", range(10))
def test_the_deeper_error_is_clicked(seed: int) -> None:
    truth, predicted = draw_region((25, 32), seed), draw_region((25, 32), seed + 100)
    missed, spilt = depths(truth & ~predicted), depths(predicted & ~truth)
    result = centre_of_error_click(predicted, truth)
    assert result is not None
    click, label = result
    deeper = missed if label == Label.FOREGROUND else spilt
    assert deeper[at(click)] == pytest.approx(max(missed.max(), spilt.max()), abs=1e-4)
    assert truth[at(click)] == (label == Label.FOREGROUND)
    assert predicted[at(click)] != truth[at(click)]


def test_the_two_kinds_of_error_are_not_merged() -> None:
    """Two strips side by side, each two pixels wide, lose to a square of three, though together they are wider."""
    truth, predicted = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    truth[:, 2:4], predicted[:, 4:6] = True, True
    predicted[10:13, 12:15] = True
    assert centre_of_error_click(predicted, truth) == ((13.5, 11.5), Label.BACKGROUND)


def test_nothing_wrong_gives_no_click() -> None:
    region = draw_region((25, 32), 0)
    assert centre_of_error_click(region, region) is None
    first = centre_of_error_click(np.zeros_like(region), region)
    assert first == (centre_click(region), Label.FOREGROUND)


@pytest.mark.parametrize("seed", range(6))
def test_no_pixel_is_clicked_twice(seed: int) -> None:
    """Each click is the deepest that is left; depths are those of the whole region, not of what is left of it."""
    truth, predicted = draw_region((14, 17), seed), draw_region((14, 17), seed + 100)
    missed, spilt = depths(truth & ~predicted), depths(predicted & ~truth)
    left = np.maximum(missed, spilt)
    taken: list[tuple[float, float]] = []
    while (result := centre_of_error_click(predicted, truth, taken)) is not None:
        click, label = result
        assert left[at(click)] == pytest.approx(left.max(), abs=1e-4)
        assert left[at(click)] > 0, "a pixel that was clicked before"
        assert truth[at(click)] == (label == Label.FOREGROUND)
        left[at(click)] = 0
        taken.append(click)
    assert len(taken) == (truth ^ predicted).sum(), "at last every wrong pixel was clicked"


def test_clicks_in_other_places_change_nothing() -> None:
    truth = draw_region((25, 32), 0)
    predicted = draw_region((25, 32), 100)
    right = [(x + 0.5, y + 0.5) for y, x in np.argwhere(truth == predicted)]
    assert centre_of_error_click(predicted, truth, right) == centre_of_error_click(predicted, truth)


def test_the_other_kind_of_error_is_next_where_the_deepest_is_taken() -> None:
    truth, predicted = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    truth[2:4, 2:4], predicted[12, 12] = True, True
    taken = [(x + 0.5, y + 0.5) for y, x in np.argwhere(truth)]
    assert centre_of_error_click(predicted, truth, taken[:3]) == (taken[3], Label.FOREGROUND)
    assert centre_of_error_click(predicted, truth, taken) == ((12.5, 12.5), Label.BACKGROUND)
    assert centre_of_error_click(np.zeros((1, 1), bool), np.ones((1, 1), bool), [(0.5, 0.5)]) is None


def test_random_clicks_lie_inside_and_cover() -> None:
    region = torch.zeros(6, 9, dtype=torch.bool)
    region[1:3, 4:7] = True
    region[5, 8] = region[0, 0] = True
    clicks = random_click(region.expand(4000, 6, 9), torch.rand(4000, generator=torch.Generator().manual_seed(0)))
    assert clicks.shape == (4000, 2)
    assert (clicks % 1 == 0.5).all()
    x, y = clicks.long().unbind(-1)
    assert region[y, x].all()
    counts = torch.bincount(y * 9 + x, minlength=54)[region.flatten()]
    assert (counts > 400).all()  # 8 pixels in 4000 draws: 500 each, give or take 21
    assert (counts < 600).all()


def test_random_clicks_are_drawn_for_each_region() -> None:
    regions = torch.stack([torch.tensor(draw_region((25, 32), seed)) for seed in range(6)]).reshape(2, 3, 25, 32)
    clicks = random_click(regions, torch.full((2, 3), 0.4))
    assert clicks.shape == (2, 3, 2)
    for region, click in zip(regions.flatten(0, 1), clicks.flatten(0, 1), strict=True):
        x, y = click.long().tolist()
        assert region[y, x]
        first, last = (random_click(region, torch.tensor(draw)) for draw in (0.0, 1.0))
        inside = region.nonzero().flip(-1) + 0.5
        assert torch.equal(first, inside[0]) and torch.equal(last, inside[-1])


def test_a_random_click_in_an_empty_region_is_anywhere() -> None:
    clicks = random_click(torch.zeros(600, 2, 3, dtype=torch.bool), torch.arange(600) / 600)
    assert {tuple(click) for click in clicks.tolist()} == {(x + 0.5, y + 0.5) for x in range(3) for y in range(2)}


def normal(boxes: torch.Tensor) -> torch.Tensor:
    return torch.randn(boxes.shape, generator=torch.Generator().manual_seed(0))


def test_noisy_boxes_move_by_a_tenth_of_the_side() -> None:
    boxes = torch.tensor([100.0, 200.0, 180.0, 240.0]).expand(20000, 4)
    moved = noisy_box(boxes, normal(boxes)) - boxes
    assert moved.mean(dim=0).abs().max() < 0.2
    deviation = moved.std(dim=0)
    torch.testing.assert_close(deviation, torch.tensor([8.0, 4.0, 8.0, 4.0]), rtol=0.03, atol=0)
    assert moved.abs().max() <= 20


def test_noisy_boxes_move_by_twenty_pixels_at_most() -> None:
    boxes = torch.tensor([0.0, 0.0, 1000.0, 800.0]).expand(5000, 4)
    moved = noisy_box(boxes, normal(boxes)) - boxes
    assert moved.abs().max() == 20
    assert (moved.abs() == 20).float().mean() > 0.7
    near = noisy_box(boxes, normal(boxes), limit=3) - boxes
    assert near.abs().max() == 3


def test_noisy_boxes_stay_in_order() -> None:
    """Also the smallest ones, of which the noise may swap the corners."""
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(3, 7000, 2, generator=generator) * 100
    size = torch.rand(3, 7000, 2, generator=generator) * 5
    boxes = torch.cat([low, low + size], dim=-1)
    boxes = noisy_box(boxes, normal(boxes))
    assert boxes.shape == (3, 7000, 4)
    assert (boxes[..., 2:] - boxes[..., :2] > 0.99).all()
    assert (boxes[..., :2] - low).abs().max() < 4
