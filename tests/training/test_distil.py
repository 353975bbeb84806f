"""Distillation: a light student comes to embed and to answer as its teacher does, with labels and without."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch

from anymask.errors import ConfigError
from anymask.model.checkpoint import open_model, save_model
from anymask.model.registry import entry
from anymask.model.sam import ImageEmbedding, Sam
from anymask.task.prompts import PromptBatch
from anymask.training.config import Augmentation, Recipe, Source, Stage, Teacher
from anymask.training.distil import DistilledTask, feature_loss, fill_in, on_grid, take_decoder
from anymask.training.loop import train
from anymask.training.rollout import Draws, Targets
from anymask.training.sources import Sources
from anymask.training.task import preprocessed
from anymask.training.views import Views, batches


def model(name, seed, **changes):
    torch.manual_seed(seed)
    return Sam(replace(entry(name).config, **changes)).eval()


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A checkpoint of a toy ViT."""
    path = tmp_path_factory.mktemp("teacher") / "vit.safetensors"
    save_model(model("test_tiny", 1), path)
    return path


@pytest.fixture()
def distilling(recipe, teacher):
    """A recipe that learns from the teacher on images without labels."""
    return replace(
        recipe,
        sources={"shapes": Source(format="images")},
        stages=(Stage(size=64, steps=6, batch=3, objects=2),),
        teacher=Teacher(str(teacher)),
        augmentation=Augmentation(jitter=(0.7, 1.5), flip=True),
    )


def first_batch(recipe, root, task):
    stage = recipe.stages[0]
    sources = Sources(root, recipe.sources)
    views = Views(sources, stage.size, task.mask_size(stage), stage.objects, recipe.augmentation, 3, 0, unlabelled=True)
    return next(batches(views, 3, 0, 0)), Draws(0, 3, stage.objects, slice(0, 3), torch.device("cpu"))


def figures(path):
    with path.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def answers(sam, embedding):
    """The four masks of 16 clicks in an image."""
    side = sam.config.encoder.size
    ticks = (torch.arange(4) + 0.5) * side / 4
    clicks = torch.cartesian_prod(ticks, ticks)[None, :, None]
    return sam.decode_all(embedding, PromptBatch(clicks, torch.ones(1, 16, 1, dtype=torch.long)))[0] > 0


@torch.no_grad()
def agreement(student, teacher, samples):
    """Distance of the embeddings, and IoU of the teacher's masks with those its decoder makes of the student's."""
    found = []
    for sample in samples:
        image = teacher.frame(*sample.size).resize_image(sample.image())
        pixels = [torch.from_numpy(image).permute(2, 0, 1)]
        wanted = teacher.encode(preprocessed(teacher, pixels, 64))
        given = on_grid(student.encode(preprocessed(student, pixels, 64)), wanted)
        inside = torch.zeros(1, 4, 4, dtype=torch.bool)
        inside[:, :3] = True  # 96×64 pixels leave a padding of a third
        a, b = answers(teacher, wanted), answers(teacher, given)
        found.append(torch.stack([feature_loss(given, wanted, inside), (a & b).sum() / (a | b).sum()]))
    return torch.stack(found).mean(0).tolist()


def test_a_student_comes_to_embed_and_to_answer_as_its_teacher(shapes, distilling, teacher, tmp_path):
    recipe = replace(
        distilling,
        stages=(Stage(64, 80, 4, 1),),
        augmentation=Augmentation(flip=True),
        lr=1e-2,
        save_every=1000,
        log_every=10,
    )
    student = open_model(train(recipe, shapes, tmp_path))
    assert set(figures(tmp_path / "log.csv")[0]) == {"step", "loss", "features", "grad_norm", "lr", "seconds"}
    samples = Sources(shapes, recipe.sources).samples["shapes"]
    before, after = (agreement(one, open_model(teacher), samples) for one in (model(recipe.model, 0), student))
    assert after[0] < before[0] / 4
    assert after[1] > before[1] + 0.1


def test_masks_through_the_frozen_decoder_teach_the_embedding(shapes, distilling, teacher):
    recipe = replace(distilling, teacher=Teacher(str(teacher), features=0.0, masks=1.0))
    task = DistilledTask(model(recipe.model, 0).train(), recipe, open_model(teacher))
    (images, targets), draws = first_batch(recipe, shapes, task)
    loss, told = task(images, targets, recipe.stages[0], draws)
    assert dict(zip(task.figures, told.tolist(), strict=True))["masks"] == pytest.approx(loss.item())
    loss.backward()
    learned = {name.split(".")[1] for name, value in task.named_parameters() if value.grad is not None}
    assert learned == {"image_encoder"}
    assert all(value.grad is None for value in task.teacher.parameters())


def test_labels_are_the_targets_where_there_are_some(shapes, distilling, teacher):
    recipe = replace(
        distilling,
        sources={"labelled": Source(path="shapes"), "shapes": Source(format="images")},
        teacher=Teacher(str(teacher), masks=1.0),
    )
    task = DistilledTask(model(recipe.model, 0), recipe, open_model(teacher))
    (images, targets), draws = first_batch(recipe, shapes, task)
    labelled = targets.masks.flatten(1).any(1)
    assert labelled.any() and not labelled.all()
    sides = [image.float() for image in images]
    embedding = task.teacher.encode(preprocessed(task.teacher, sides, 64))
    filled = fill_in(task.teacher, embedding, targets, sides, draws)
    for name in ("masks", "boxes", "centres"):
        assert torch.equal(getattr(filled, name)[labelled], getattr(targets, name)[labelled])
    assert filled.masks.shape == targets.masks.shape == (3, 2, 16, 16)
    assert all(mask.any() for mask in filled.masks.flatten(0, 1))


def test_the_teachers_masks_are_its_best_of_each_point_within_the_image():
    sam = model("test_tiny", 1)
    images = [torch.rand(3, 40, 64) * 255, torch.rand(3, 64, 32) * 255]
    embedding = sam.encode(preprocessed(sam, images, 64))
    empty = Targets(torch.zeros(2, 3, 16, 16, dtype=torch.bool), torch.zeros(2, 3, 4), torch.zeros(2, 3, 2))
    filled = fill_in(sam, embedding, empty, images, Draws(3, 2, 3, slice(0, 2), torch.device("cpu")))
    assert (filled.centres >= 0).all()
    assert (filled.centres[0] < torch.tensor([64, 40])).all() and (filled.centres[1] < torch.tensor([32, 64])).all()
    assert not filled.masks[0, :, 10:].any() and not filled.masks[1, :, :, 8:].any()
    for image in range(2):
        for i, point in enumerate(filled.centres[image]):
            one = ImageEmbedding(embedding.features[image : image + 1])
            coords = torch.stack([point, torch.zeros(2)])[None, None]
            logits, iou = sam.decode(one, PromptBatch(coords, torch.tensor([[[1, -1]]])))
            theirs = logits[0, 0, iou[0, 0].argmax()] > 0
            theirs[10 if image == 0 else 16 :], theirs[:, 16 if image == 0 else 8 :] = False, False
            assert torch.equal(theirs, filled.masks[image, i])
            rows, columns = (theirs.any(axis).nonzero()[:, 0] for axis in (1, 0))
            box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            assert filled.boxes[image, i].tolist() == [4 * int(edge) for edge in box]


def test_the_distance_is_relative_and_looks_at_the_image_alone():
    torch.manual_seed(0)
    wanted = 5 * torch.randn(2, 8, 4, 4) + 1
    inside = torch.zeros(2, 4, 4, dtype=torch.bool)
    inside[0, :2], inside[1] = True, True
    shown = inside[:, None].expand_as(wanted)
    means = torch.stack([wanted[i][shown[i]].mean() for i in range(2)])[:, None, None, None].expand_as(wanted)
    assert feature_loss(ImageEmbedding(means), ImageEmbedding(wanted), inside) == pytest.approx(1.0, abs=1e-5)
    other = torch.where(shown, wanted, torch.zeros(()))
    assert feature_loss(ImageEmbedding(other), ImageEmbedding(wanted), inside) == 0
    half = [
        feature_loss(ImageEmbedding(means[i : i + 1] * 0), ImageEmbedding(wanted[i : i + 1]), inside[i : i + 1])
        for i in range(2)
    ]
    both = feature_loss(ImageEmbedding(means * 0), ImageEmbedding(wanted), inside)
    assert both == pytest.approx(float(sum(half)) / 2, rel=1e-5)


def test_finer_features_count_where_both_have_them():
    fine = torch.randn(1, 4, 8, 8)
    wanted = ImageEmbedding(torch.randn(1, 16, 4, 4), (fine,))
    inside = torch.ones(1, 4, 4, dtype=torch.bool)
    off = on_grid(ImageEmbedding(wanted.features, (torch.zeros(1, 4, 16, 16), torch.zeros(1, 2, 32, 32))), wanted)
    assert [level.shape[-1] for level in off.fine] == [8]
    scale = float((fine**2).mean() / ((fine - fine.mean()) ** 2).mean())
    assert feature_loss(off, wanted, inside) == pytest.approx(scale / 2, rel=1e-4)


@pytest.mark.parametrize("name", ["test_tiny", "test_tiny_light"])
def test_a_student_with_the_teachers_embedding_answers_as_the_teacher(name):
    teacher, student = model(name, 1), model("test_tiny_light", 2)
    left = take_decoder(student, teacher)
    own = {key for key in student.state_dict() if key.startswith(("prompt_encoder.drawn.", "mask_decoder.mixing."))}
    assert set(left) == (own if name == "test_tiny" else set())
    pixels = torch.rand(1, 3, 64, 64)
    fine = student.encode(pixels).fine
    embedding = ImageEmbedding(torch.randn(1, 16, 8, 8), fine)
    plain = embedding if name == "test_tiny_light" else ImageEmbedding(embedding.features)
    torch.testing.assert_close(
        student.decode_all(embedding, PromptBatch(torch.tensor([[[[9.0, 30]]]]), torch.tensor([[[1]]])))[0],
        # The same place in the frame that the same grid has under the teacher's stride.
        teacher.decode_all(
            plain,
            PromptBatch(
                (torch.tensor([[[[9.0, 30]]]]) + 0.5) * teacher.config.encoder.stride / 8 - 0.5, torch.tensor([[[1]]])
            ),
        )[0],
        atol=1e-4,
        rtol=1e-4,
    )


def test_what_does_not_fit_is_named_and_stays():
    teacher, student = model("test_tiny", 1, mlp=32), model("test_tiny", 2)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    left = take_decoder(student, teacher)
    assert left and all(".mlp." in name for name in left)
    assert all(torch.equal(student.state_dict()[name], before[name]) for name in left)
    assert torch.equal(student.mask_decoder.iou_token.weight, teacher.mask_decoder.iou_token.weight)
    heads = take_decoder(student, model("test_tiny", 1, heads=4))
    assert heads and all(name.startswith("mask_decoder.") for name in heads)


def test_a_run_that_was_stopped_ends_with_the_same_student(shapes, distilling, teacher, tmp_path, train_until):
    recipe = replace(distilling, teacher=Teacher(str(teacher), masks=0.5), ema=0.9)
    whole = train(recipe, shapes, tmp_path / "whole")
    train_until(recipe, shapes, tmp_path / "parts", 5)
    state = torch.load(tmp_path / "parts" / "state.pt", weights_only=True)
    assert state["step"] == 4 and all(name.startswith("sam.") for name in state["model"])
    parts = train(recipe, shapes, tmp_path / "parts")
    a, b = open_model(whole).state_dict(), open_model(parts).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_what_cannot_be_distilled_is_refused(distilling, teacher):
    with pytest.raises(ConfigError, match="32 channels, test_tiny_light in 16"):
        DistilledTask(model("test_tiny_light", 0), distilling, model("test_tiny", 1, dim=32))
    with pytest.raises(ConfigError, match=r"has no mask_decoder.*mlp.* that fits test_tiny_light"):
        DistilledTask(model("test_tiny_light", 0), distilling, model("test_tiny", 1, mlp=32))
    frozen = model("test_tiny_light", 0)
    frozen.image_encoder.requires_grad_(False)
    with pytest.raises(ConfigError, match="image encoder alone learns"):
        DistilledTask(frozen, distilling, open_model(teacher))
    with pytest.raises(ConfigError, match=r"learning from a \[teacher\]"):
        Recipe(model="nano", sources={"a": Source(format="images")}, stages=(Stage(64, 1, 1, 1),))


def test_views_of_images_without_labels(shapes, distilling):
    sources = Sources(shapes, distilling.sources)
    views = Views(sources, 64, 16, 2, distilling.augmentation, 20, 0, unlabelled=True)
    seen = [views[i] for i in range(20)]
    assert len({tuple(view.pixels.shape) for view in seen}) > 3
    assert all(max(view.pixels.shape[1:]) <= 64 and not view.masks.any() for view in seen)
    assert torch.equal(views[7].pixels, seen[7].pixels)
