"""The predictor: equal to the reference implementation from photo to mask, and what it takes besides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from reference import reference_sam, same_as, segment_anything

from anymask.errors import ImageError, PromptError
from anymask.model.registry import MODELS
from anymask.predict.predictor import SamPredictor
from anymask.task.prompts import Prompt

TINY = MODELS["test_tiny"].config


@pytest.fixture(scope="module")
def pair():
    """The reference predictor and ours, with the same weights."""
    reference = reference_sam(TINY)
    return segment_anything.SamPredictor(reference), SamPredictor(same_as(reference, TINY))


@pytest.fixture(scope="module", params=[(90, 61), (37, 120), (64, 64)])
def photo(request):
    """Noise with some structure, at several aspect ratios."""
    height, width = request.param
    rng = np.random.default_rng(height)
    small = rng.integers(0, 256, (6, 6, 3), np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


CALLS = {
    "one click": {"point_coords": [[20, 30]], "point_labels": [1]},
    "clicks": {"point_coords": [[20.5, 30], [3, 7.25], [33, 31]], "point_labels": [1, 0, 1]},
    "box": {"box": [4, 6, 30, 28]},
    "click in box": {"point_coords": [[20, 30]], "point_labels": [0], "box": [4, 6, 30, 28]},
}


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("with_mask", [False, True])
def test_predict_equals_the_reference(pair, photo, call, multimask, with_mask):
    theirs, ours = pair
    arguments = {name: np.array(value) for name, value in CALLS[call].items()}
    if with_mask:
        arguments["mask_input"] = np.random.default_rng(1).normal(0, 4, (1, 16, 16)).astype(np.float32)
    theirs.set_image(photo)
    ours.set_image(photo)
    expected = theirs.predict(**arguments, multimask_output=multimask, return_logits=True)
    found = ours.predict(**arguments, multimask_output=multimask, return_logits=True)
    for a, b in zip(expected, found, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4)
    masks, _, _ = ours.predict(**arguments, multimask_output=multimask)
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks, expected[0] > 0)


def test_predict_torch_equals_the_reference(pair, photo):
    theirs, ours = pair
    shape = photo.shape[:2]
    boxes = torch.tensor([[1.0, 2, 20, 25], [5, 5, 30, 36]])
    results = []
    for predictor in (theirs, ours):
        predictor.set_image(photo, "BGR")
        inside = predictor.transform.apply_boxes_torch(boxes, shape)
        points = predictor.transform.apply_coords_torch(boxes.reshape(2, 2, 2), shape)
        results.append(
            predictor.predict_torch(points, torch.ones(2, 2, dtype=torch.int), inside, multimask_output=True)
        )
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_state_of_the_image_as_in_the_reference(pair, photo):
    theirs, ours = pair
    for predictor in pair:
        predictor.set_image(photo)
    assert ours.original_size == theirs.original_size
    assert ours.input_size == theirs.input_size
    torch.testing.assert_close(ours.get_image_embedding(), theirs.get_image_embedding(), atol=1e-4, rtol=1e-4)
    ours.reset_image()
    assert not ours.is_image_set and ours.features is None
    with pytest.raises(ImageError, match="set_image"):
        ours.predict(box=np.array([1, 2, 3, 4]))


def test_set_torch_image_equals_the_reference(pair):
    theirs, ours = pair
    image = torch.rand(1, 3, 40, 64) * 255
    for predictor in pair:
        predictor.set_torch_image(image, (80, 128))
    torch.testing.assert_close(ours.features, theirs.features, atol=1e-4, rtol=1e-4)
    with pytest.raises(ImageError, match="longer side of 64"):
        ours.set_torch_image(torch.rand(1, 3, 40, 63), (80, 128))


def test_an_image_squeezed_into_the_square_equals_the_reference(pair):
    image = torch.rand(1, 3, 64, 64) * 255
    results = []
    for predictor in pair:
        predictor.set_torch_image(image, (80, 128))
        results.append(predictor.predict(box=np.array([10, 10, 60, 50]), return_logits=True)[0])
    assert pair[1].input_size == (64, 64)
    np.testing.assert_allclose(*results, atol=1e-4, rtol=1e-4)


def test_labels_of_every_kind_equal_the_reference(pair, photo):
    points = torch.tensor([[[20.0, 30], [5, 5]]])
    for labels in (torch.tensor([[True, False]]), torch.tensor([[1, 0]], dtype=torch.uint8), torch.tensor([[1.0, -1]])):
        results = []
        for predictor in pair:
            predictor.set_image(photo)
            results.append(predictor.predict_torch(points, labels.float() if predictor is pair[0] else labels)[2])
        torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


def test_an_embedding_may_be_kept_and_set_again(pair, photo):
    _, ours = pair
    ours.set_image(photo)
    kept, expected = ours.embedding, ours.predict([[20, 30]], [1])[2]
    ours.set_image(photo[::-1])
    ours.set_embedding(kept)
    np.testing.assert_array_equal(ours.predict([[20, 30]], [1])[2], expected)
    ours.set_torch_image(torch.rand(1, 3, 64, 64) * 255, (80, 128))
    squeezed, expected = ours.embedding, ours.predict(box=[10, 10, 60, 50], return_logits=True)[0]
    ours.set_image(photo)
    ours.set_embedding(squeezed)
    np.testing.assert_array_equal(ours.predict(box=[10, 10, 60, 50], return_logits=True)[0], expected)
    with pytest.raises(ImageError, match="one image"):
        ours.set_embedding(ours.model.encode(torch.zeros(1, 3, 64, 64)))


def test_the_size_before_padding_equals_the_reference(pair):
    for shape in ((480, 640), (33, 1), (1000, 777)):
        theirs = pair[0].transform.get_preprocess_shape(*shape, 1024)
        assert pair[1].transform.get_preprocess_shape(*shape, 1024) == theirs


def test_many_ragged_prompts_equal_one_call_each(pair, photo):
    _, ours = pair
    ours.set_image(photo)
    logits = np.random.default_rng(2).normal(0, 4, (16, 16)).astype(np.float32)
    prompts = [
        Prompt([[20, 30]]),
        Prompt([[20, 30], [5, 5], [30, 2]], [1, 0, 0]),
        Prompt(box=[4, 6, 30, 28]),
        Prompt([[9, 9]], [0], [4, 6, 30, 28], logits),
        Prompt(mask=logits),
    ]
    for prompt, result in zip(prompts, ours.predict_many(prompts, batch=2), strict=True):
        masks, scores, low_res = ours.predict(
            prompt.points if len(prompt.points) else None,
            prompt.labels if len(prompt.points) else None,
            prompt.box,
            prompt.mask,
            multimask_output=prompt.is_ambiguous,
        )
        assert result.masks.shape[0] == (3 if prompt.is_ambiguous else 1)
        np.testing.assert_allclose(result.scores, scores, atol=1e-5)
        np.testing.assert_allclose(result.logits, low_res, atol=1e-4)
        assert (result.masks == masks).mean() > 0.999


def test_paths_and_pil_images_and_depths_are_the_same_image(pair, photo, tmp_path):
    _, ours = pair
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    ours.set_image(photo)
    expected = ours.get_image_embedding()
    for image in (path, str(path), Image.fromarray(photo), photo.astype(np.uint16) * 257, photo / 255.0):
        ours.set_image(image)
        torch.testing.assert_close(ours.get_image_embedding(), expected)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"point_coords": [[1, 2]]}, "one label for each point"),
        ({"point_coords": [[np.nan, 2]], "point_labels": [1]}, "NaN"),
        ({"point_coords": [[1, 2], [3, 4]], "point_labels": [1]}, "one for each of 2 points"),
        ({"box": [10, 10, 5, 20]}, "empty or inverted"),
        ({"box": [10, 10, 10, 20]}, "empty or inverted"),
        ({"box": [1, 2, 3]}, "got 3 numbers"),
        ({"mask_input": np.zeros((1, 32, 32))}, "16×16 logits"),
        ({}, "empty prompt"),
    ],
)
def test_bad_prompts_are_refused(pair, photo, prompt, message):
    _, ours = pair
    ours.set_image(photo)
    with pytest.raises(PromptError, match=message):
        ours.predict(**prompt)


def test_prompts_outside_the_image_are_refused(pair, photo):
    _, ours = pair
    ours.set_image(photo)
    width = photo.shape[1]
    for prompt in (Prompt([[width + 1, 3]]), Prompt([[3, -1]]), Prompt(box=[width + 1, 1, width + 9, 9])):
        with pytest.raises(PromptError, match="outside the image"):
            ours.predict_many([prompt])
    with pytest.raises(PromptError, match="at least one"):
        ours.predict_many([])
