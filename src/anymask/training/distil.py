"""Distillation: a light student learns the embedding of a teacher, and to answer through the teacher's decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from ..model.light import LightEncoder
from ..model.sam import ImageEmbedding, Sam
from ..model.weights import load_model
from ..task.frame import ImageFrame
from ..task.prompts import Label, PromptBatch
from .config import Recipe, Stage, Teacher
from .rollout import Draws, Targets
from .task import FIGURES, PromptedTask, autocast, preprocessed

MIN_CELLS = 12
"""smallest mask of the teacher that is learned from where another one is there, in cells of the low-resolution mask"""
OWN = ("prompt_encoder.drawn.", "mask_decoder.mixing.")
"""names of weights that a light model's decoder has beside those of the paper's, and which begin by changing nothing"""
MOST_OF_IMAGE = 0.9
"""largest such mask, as a share of the image"""


class DistilledTask(nn.Module):
    """A student's image encoder learns from a frozen teacher; the student takes over the teacher's decoder.

    The teacher is no part of the module, so that it is neither saved nor trained nor spread over processes.

    Attributes:
        weights: of the parts of the loss.
        figures: names of what `forward` tells beside the loss.
    """

    def __init__(self, sam: Sam, recipe: Recipe, teacher: Sam) -> None:
        """Take the teacher's decoder over and freeze it.

        Raises ConfigError where the embeddings have different numbers of channels, where the decoders are of another
        shape, and where nothing would learn.
        """
        super().__init__()
        assert recipe.teacher is not None
        if sam.config.dim != teacher.config.dim:
            raise ConfigError(
                f"teacher: {recipe.teacher.model} embeds in {teacher.config.dim} channels, {recipe.model} in "
                f"{sam.config.dim}; name a teacher or a model with as many as the other"
            )
        self.sam = sam
        self.recipe = recipe
        self.weights: Teacher = recipe.teacher
        self._teacher = (PromptedTask(teacher.requires_grad_(False).eval(), recipe),)
        self.figures = ("loss", "features", *(("masks", *FIGURES[1:]) if recipe.teacher.masks else ()))
        left = [name for name in take_decoder(sam, teacher) if not name.startswith(OWN)]
        if left:
            raise ConfigError(
                f"teacher: {recipe.teacher.model} has no {left[0]} that fits {recipe.model}; name a teacher or a model "
                "whose decoder is like the other's"
            )
        sam.prompt_encoder.requires_grad_(False)
        sam.mask_decoder.requires_grad_(False)
        for module in () if _is_fine(teacher) else _fine(sam):
            module.requires_grad_(False)
        if not any(parameter.requires_grad for parameter in sam.parameters()):
            raise ConfigError("freeze: with a teacher the image encoder alone learns; leave it out")

    @property
    def teacher(self) -> Sam:
        """The model that is learned from."""
        return self._teacher[0].sam

    def mask_size(self, stage: Stage) -> int:
        """Side of the targets, which is that of the teacher's masks whatever the student's size."""
        return self.teacher.config.mask_size

    def forward(self, images: Sequence[Tensor], targets: Targets, stage: Stage, draws: Draws) -> tuple[Tensor, Tensor]:
        """The loss of B images, and the `figures` without gradient.

        Args:
            images: B tensors 3×h×w of 0 to 255, at most `stage.size` a side.
            targets: their objects; those of an image without labels are empty, and become the teacher's masks.
            draws: the random numbers of the step.
        """
        size = self.teacher.config.encoder.size
        with autocast(self.sam.device, self.recipe.bf16):
            with torch.no_grad():
                shown = [_scaled(image, size / stage.size) for image in images]
                wanted = self.teacher.encode(preprocessed(self.teacher, shown, size))
            given = on_grid(self.sam.encode(preprocessed(self.sam, images, stage.size)), wanted)
            inside = _inside(shown, size, wanted.features.shape[-1]).to(self.sam.device)
            features = feature_loss(given, wanted, inside)
            if not self.weights.masks:
                loss = self.weights.features * features
                return loss, torch.stack([loss, features]).detach()
            targets = _in_frame(targets, size / stage.size)
            if self.recipe.unlabelled:
                targets = fill_in(self.teacher, wanted, targets, shown, draws)
            masks, figures = self._teacher[0].decode(given, targets, replace(stage, size=size), draws)
            loss = self.weights.features * features + self.weights.masks * masks
            return loss, torch.cat([torch.stack([loss, features]).detach(), figures])


def open_teacher(settings: Teacher, device: torch.device) -> Sam:
    """The teacher with its weights: a file, or a name of the registry. Raises what `load_model` does."""
    return load_model(settings.model, str(device))


def feature_loss(student: ImageEmbedding, teacher: ImageEmbedding, inside: Tensor) -> Tensor:
    """Squared distance of two embeddings within the images, relative to the variance of the teacher's.

    The scale of an embedding is the teacher's own, for the norm that it ends with is learned. Over its variance, the
    distance is about 1 for a student that always says the mean, so that learning rate and weight suit any teacher.
    The variance is each image's own over all channels, so that the loss does not depend on how images are batched;
    it is no smaller where an image is plain, since the norm evens out every cell.

    Args:
        student: B×C×h×w, and finer features where the teacher has them.
        teacher: on the same grids.
        inside: B×h×w bool, which cells show the image and not the padding.
    """
    levels = zip((student.features, *student.fine), (teacher.features, *teacher.fine), strict=False)
    return torch.stack([_distance(given.float(), wanted.float(), inside) for given, wanted in levels]).mean()


def _distance(given: Tensor, wanted: Tensor, inside: Tensor) -> Tensor:
    finer = wanted.shape[-1] // inside.shape[-1]
    weight = inside.repeat_interleave(finer, 1).repeat_interleave(finer, 2)[:, None].float()
    weight = (weight / (weight.sum((1, 2, 3), keepdim=True) * wanted.shape[1])).expand_as(wanted)  # sums to 1 an image
    mean = (weight * wanted).sum((1, 2, 3), keepdim=True)
    variance = (weight * (wanted - mean) ** 2).sum((1, 2, 3))
    return ((weight * (given - wanted) ** 2).sum((1, 2, 3)) / variance.clamp(min=1e-6)).mean()


def on_grid(embedding: ImageEmbedding, like: ImageEmbedding) -> ImageEmbedding:
    """An embedding resized bilinearly to the grids of another one, without finer features that the other has not."""
    levels = zip((embedding.features, *embedding.fine), (like.features, *like.fine), strict=False)
    features, *fine = [_resized(given, wanted.shape[-2:]) for given, wanted in levels]
    return replace(embedding, features=features, fine=tuple(fine))


def _resized(x: Tensor, grid: torch.Size) -> Tensor:
    if x.shape[-2:] == grid:
        return x
    return F.interpolate(x.float(), grid, mode="bilinear", align_corners=False)


def fill_in(
    teacher: Sam, embedding: ImageEmbedding, targets: Targets, images: Sequence[Tensor], draws: Draws
) -> Targets:
    """Targets in which the objects of images without labels are the teacher's best-scored masks of drawn points.

    A mask that is nearly empty or nearly the whole image gives way to another one of its image, if there is any.

    Args:
        teacher: what makes the masks.
        embedding: its own of the images.
        targets: B×N objects in its frame, all empty where an image has no labels.
        images: B tensors 3×h×w at its size.
        draws: the random numbers of the step; as many are drawn whatever the images.
    """
    masks = targets.masks
    sides = torch.tensor([[image.shape[-1], image.shape[-2]] for image in images]).to(masks.device)  # B×2, x first
    points = torch.stack([draws.uniform(), draws.uniform()], dim=-1) * sides[:, None]  # B×N×2
    with torch.no_grad():
        theirs = _best_masks(teacher, embedding, points)
    cells = _inside(images, teacher.config.encoder.size, masks.shape[-1]).to(masks.device)[:, None]  # B×1×m×m
    theirs = theirs & cells
    area = theirs.flatten(-2).sum(-1)
    good = (area >= MIN_CELLS) & (area <= MOST_OF_IMAGE * cells.flatten(-2).sum(-1))
    index = torch.arange(good.shape[1], device=masks.device).expand_as(good)
    index = torch.where(good | ~good.any(-1, keepdim=True), index, good.float().argmax(-1, keepdim=True))
    theirs = theirs.gather(1, index[..., None, None].expand_as(theirs))
    points = points.gather(1, index[..., None].expand_as(points))
    labelled = masks.flatten(1).any(1)[:, None, None]
    cell = teacher.config.encoder.size / masks.shape[-1]
    return Targets(
        torch.where(labelled[..., None], masks, theirs),
        torch.where(labelled, targets.boxes, _boxes(theirs) * cell),
        torch.where(labelled, targets.centres, points),
    )


def _best_masks(sam: Sam, embedding: ImageEmbedding, points: Tensor) -> Tensor:
    """The best-scored mask of each click, B×N×2 in the model frame: B×N×m×m bool."""
    kinds = torch.tensor([Label.FOREGROUND, Label.NOT_A_POINT], device=points.device)
    coords = torch.stack([points, torch.zeros_like(points)], dim=2)
    logits, iou = sam.decode(embedding, PromptBatch(coords, kinds.expand(*points.shape[:2], 2)))
    best = iou.argmax(-1)[..., None, None, None].expand(-1, -1, 1, *logits.shape[-2:])
    return logits.gather(2, best)[:, :, 0] > sam.mask_threshold


def _boxes(masks: Tensor) -> Tensor:
    """Boxes around B×N×m×m masks in cells, B×N×4; the whole frame around an empty one."""
    columns, rows = masks.any(-2).float(), masks.any(-1).float()
    low = torch.stack([columns.argmax(-1), rows.argmax(-1)], dim=-1)
    high = masks.shape[-1] - torch.stack([columns.flip(-1).argmax(-1), rows.flip(-1).argmax(-1)], dim=-1)
    return torch.cat([low, high], dim=-1).float()


def _scaled(image: Tensor, factor: float) -> Tensor:
    """Scale 3×h×w pixels by a factor."""
    height, width = image.shape[-2:]
    frame = ImageFrame(height, width, max(1, round(max(height, width) * factor)))
    return frame.resize_tensor(image[None].float())[0]


def _inside(images: Sequence[Tensor], size: int, grid: int) -> Tensor:
    """Which cells of a grid over the model frame show some of the image: B×grid×grid bool."""
    cells = torch.zeros(len(images), grid, grid, dtype=torch.bool)
    for i, image in enumerate(images):
        height, width = (-(-side * grid // size) for side in image.shape[-2:])
        cells[i, :height, :width] = True
    return cells


def _in_frame(targets: Targets, factor: float) -> Targets:
    """Targets with their boxes and centres in a frame that is `factor` times as large."""
    return Targets(targets.masks, targets.boxes * factor, targets.centres * factor)


@torch.no_grad()
def take_decoder(student: Sam, teacher: Sam) -> list[str]:
    """Copy a teacher's prompt encoder and mask decoder as far as they fit, so that a student answers prompts with them.

    What a light student adds to the decoder's input, and the teacher does not, is put to nothing by its last layer:
    finer features, drawn prompts and what mixes prompts into the image. All may still be trained from there.

    Returns:
        The names of the student's weights that the teacher has none for, or of another shape; they are not copied.
    """
    same_heads = student.config.heads == teacher.config.heads  # shapes do not tell
    theirs = teacher.state_dict()
    left = []
    for name, value in student.state_dict().items():
        if not name.startswith(("prompt_encoder.", "mask_decoder.")):
            continue
        fits = name in theirs and theirs[name].shape == value.shape
        if fits and (same_heads or not name.startswith("mask_decoder.")):
            value.copy_(theirs[name])
        else:
            left.append(name)
    unused = [] if _is_fine(teacher) else [module[-1] for module in _fine(student)]
    if student.prompt_encoder.drawn is not None and teacher.prompt_encoder.drawn is None:
        unused.append(student.prompt_encoder.drawn.embed[-1])
    if student.mask_decoder.mixing is not None and teacher.mask_decoder.mixing is None:
        unused.append(student.mask_decoder.mixing.restore)
    for layer in unused:
        for parameter in layer.parameters():
            parameter.zero_()
    student.weights_hash = ""
    return left


def _is_fine(sam: Sam) -> bool:
    return bool(_fine(sam))


def _fine(sam: Sam) -> list[nn.Sequential]:
    """What makes a model's finer features, if it has any."""
    encoder = sam.image_encoder
    return [encoder.fine4, encoder.fine2] if isinstance(encoder, LightEncoder) else []
