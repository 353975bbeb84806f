"""A ragged batch of prompts answers each object as if it were alone, and as the reference would."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import fill_with_noise, reference_sam, same_as
from torch import Tensor

from anymask.model.prompt_encoder import PromptEncoder
from anymask.model.registry import MODELS, sam_model_registry
from anymask.model.sam import ImageEmbedding, Sam
from anymask.task.frame import ImageFrame
from anymask.task.prompts import Label, Prompt, PromptBatch

TOYS = ["test_tiny", "test_tiny_light"]
HEIGHT, WIDTH = 300, 417


def ragged(sam: Sam) -> list[Prompt]:
    """Objects with 1, 3 and 7 points, a box, box and points, a mask, mask and point, and all at once."""
    rng = np.random.default_rng(0)
    points = [rng.uniform(0, [WIDTH, HEIGHT], (count, 2)) for count in (1, 3, 7, 2, 1, 3)]
    box = [40.0, 30.5, 300.0, 222.0]
    mask = rng.normal(size=(sam.config.mask_size,) * 2) * 4
    return [
        Prompt(points[0]),
        Prompt(points[1], [1, 0, 1]),
        Prompt(points[2], [0, 0, 1, 1, 0, 1, 1]),
        Prompt(box=box),
        Prompt(points[3], [0, 1], box=box),
        Prompt(mask=mask),
        Prompt(points[4], [1], mask=-mask),
        Prompt(points[5], [1, 1, 0], box=box, mask=mask),
    ]


@pytest.fixture(params=TOYS)
def sam(request: pytest.FixtureRequest) -> Sam:
    """A toy model with noise in every parameter."""
    model = sam_model_registry[request.param]()
    fill_with_noise(model)
    return model


@pytest.fixture
def embedding(sam: Sam) -> ImageEmbedding:
    with torch.no_grad():
        return sam.encode(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))


def pad(sam: Sam, prompts: list[Prompt]) -> PromptBatch:
    return PromptBatch.pad(prompts, sam.frame(HEIGHT, WIDTH), sam.config.mask_size)


def assert_near(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


@torch.no_grad()
def test_ragged_prompts_are_as_one_by_one(sam: Sam, embedding: ImageEmbedding) -> None:
    prompts = ragged(sam)
    masks, iou = sam.decode_all(embedding, pad(sam, prompts))
    assert masks.shape[:3] == (1, len(prompts), 4)
    for i, prompt in enumerate(prompts):
        alone, iou_alone = sam.decode_all(embedding, pad(sam, [prompt]))
        assert_near(masks[:, i : i + 1], alone)
        assert_near(iou[:, i : i + 1], iou_alone)
    differences = (masks[0, :, None] - masks[0, None]).abs().amax(dim=(2, 3, 4))
    assert (differences + torch.eye(len(prompts)) > 1e-3).all()  # no two prompts give the same answer


@torch.no_grad()
def test_the_order_of_the_objects_does_not_matter(sam: Sam, embedding: ImageEmbedding) -> None:
    prompts = ragged(sam)
    masks, _ = sam.decode_all(embedding, pad(sam, prompts))
    backwards, _ = sam.decode_all(embedding, pad(sam, prompts[::-1]))
    assert_near(masks, backwards.flip(1))


@torch.no_grad()
def test_absent_tokens_are_not_seen(sam: Sam, embedding: ImageEmbedding) -> None:
    """Whatever stands where a token is absent, the answer is the same."""
    batch = pad(sam, ragged(sam))
    assert batch.present is not None
    coords = torch.where(batch.present[..., None], batch.coords, 17.0)
    labels = torch.where(batch.present, batch.labels, int(Label.FOREGROUND))
    masks, iou = sam.decode_all(embedding, batch)
    again, iou_again = sam.decode_all(embedding, replace(batch, coords=coords, labels=labels))
    assert_near(masks, again)
    assert_near(iou, iou_again)


@torch.no_grad()
def test_a_zero_mask_is_not_no_mask(sam: Sam, embedding: ImageEmbedding) -> None:
    points = [[100.0, 100.0]]
    zero = np.zeros((sam.config.mask_size,) * 2)
    masks, _ = sam.decode_all(embedding, pad(sam, [Prompt(points, mask=zero), Prompt(points)]))
    assert (masks[0, 0] - masks[0, 1]).abs().max() > 1e-3


@torch.no_grad()
def test_text_joins_the_tokens(sam: Sam, embedding: ImageEmbedding) -> None:
    """Text tokens are seen, beside points that are ragged or not."""
    text = torch.randn(1, 2, 3, sam.config.dim, generator=torch.Generator().manual_seed(0))
    point, box = Prompt([[100, 100]]), Prompt([[50, 60], [70, 80]], box=[10, 10, 200, 200])
    batch = pad(sam, [point, box])
    with_text, _ = sam.decode_all(embedding, replace(batch, text=text))
    without, _ = sam.decode_all(embedding, batch)
    assert (with_text - without).abs().amax(dim=(2, 3, 4)).min() > 1e-3
    for i, prompt in enumerate((point, box)):
        alone, _ = sam.decode_all(embedding, replace(pad(sam, [prompt]), text=text[:, i : i + 1]))
        assert_near(with_text[:, i : i + 1], alone)


@torch.no_grad()
def test_a_batch_is_what_the_reference_makes_of_each_prompt() -> None:
    """Prompts in original pixels against segment-anything's prompt encoder on scaled ones."""
    config = MODELS["test_tiny"].config
    reference = reference_sam(config)
    sam = same_as(reference, config)
    frame = sam.frame(HEIGHT, WIDTH)
    prompts = ragged(sam)
    sparse, dense, present = sam.prompt_encoder.embed(pad(sam, prompts))
    assert present is not None
    for i, prompt in enumerate(prompts):
        points = None
        if len(prompt.points):
            coords = torch.tensor(frame.to_model(prompt.points), dtype=torch.float32)[None]
            points = coords, torch.tensor(prompt.labels)[None]
        boxes = None if prompt.box is None else torch.tensor(frame.boxes_to_model(prompt.box)).float()[None]
        mask = None if prompt.mask is None else torch.tensor(prompt.mask)[None, None]
        their_sparse, their_dense = reference.prompt_encoder(points, boxes, mask)
        assert_near(sparse[i][present[i]][None], their_sparse)
        assert_near(dense[i : i + 1], their_dense)


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 96])
def test_prompts_are_drawn_where_they_lie(size: int) -> None:
    """On maps of half the frame's side: clicks, the filled box and the mask, each on its own map."""
    encoder = PromptEncoder(16, size // 8, size, draw_prompts=True)
    coords = torch.tensor([[[10.0, 20.0], [50.0, 30.0], [8.0, 16.0], [40.0, 60.0]]])
    labels = torch.tensor([[1, 0, 2, 3]])
    side = size // 2
    mask = torch.full((1, 1, side, side), -9.0)
    mask[0, 0, 3, 5] = 9.0
    batch = PromptBatch(coords[None], labels[None], masks=mask[None])
    foreground, background, box, earlier = encoder.draw(batch, encoder.image_embedding_size)[0]
    assert foreground.shape == (side, side)
    for disc, (x, y) in ((foreground, (5, 10)), (background, (25, 15))):
        assert disc[y, x] == disc.max() > 0.9
        assert disc[(y + 20) % side, x] < 0.01
    inside = torch.zeros(side, side)
    inside[8:30, 4:20] = 1
    torch.testing.assert_close(box, inside)
    assert earlier.argmax() == 3 * side + 5
    assert earlier.min() > -1
    absent = torch.tensor([[False, True, False, False]])
    maps = encoder.draw(PromptBatch(coords[None], labels[None], absent[None]), encoder.image_embedding_size)[0]
    assert torch.equal(maps[1], background)
    assert not maps[[0, 2, 3]].any()


def test_only_what_is_ragged_is_marked() -> None:
    """No mask of presence where all tokens are, so that the faster way through attention is taken."""
    frame = ImageFrame(100, 100, 64)
    even = PromptBatch.pad([Prompt([[1, 2]]), Prompt([[3, 4]])], frame)
    assert even.present is None
    assert even.masks is None
    assert even.has_mask is None
    assert even.shape == (1, 2)
    logits = np.ones((16, 16))
    masks = PromptBatch.pad([Prompt(mask=logits), Prompt(mask=logits)], frame, mask_size=16)
    assert masks.present is None
    assert masks.coords.shape == (1, 2, 0, 2)
    assert masks.masks is not None
    assert masks.has_mask is None
    some = PromptBatch.pad([Prompt(mask=logits), Prompt([[3, 4]])], frame, mask_size=16)
    assert some.present is not None
    assert some.present.tolist() == [[[False, False], [True, True]]]
    assert some.has_mask is not None
    assert some.has_mask.tolist() == [[True, False]]
