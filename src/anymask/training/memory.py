"""How much memory a step takes, told from the shapes of what it keeps, without computing anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ..errors import TrainingError
from ..model.sam import ImageEmbedding
from ..model.vit import ViTEncoder
from ..task.prompts import Label, PromptBatch
from .config import Recipe, Stage
from .losses import sam_loss
from .start import start_model
from .task import PromptedTask, autocast

OVERHEAD = 1.15
"""what allocators, kernels' work space and the step's peaks take on top; see tests/training/test_memory.py"""


@dataclass(frozen=True)
class Memory:
    """Bytes of a training step in one process.

    Attributes:
        fixed: what does not depend on the images: weights, and what the backward pass needs of them.
        training: gradients and the optimiser's two averages of what is trained, and the moving average.
        image: what encoder and rounds of prompts keep of each image, and compute again where that is asked for.
    """

    fixed: int
    training: int
    image: int

    def of(self, images: int) -> int:
        """All of it for so many images at once, with what is lost on the way."""
        return int(OVERHEAD * (self.fixed + self.training + self.image * images))


def step_memory(recipe: Recipe, stage: Stage) -> Memory:
    """The memory of a step of a stage.

    The step's modules run on PyTorch's fake tensors, which have shapes and no numbers, as on a CPU: a GPU keeps less
    for attention in bfloat16. Nor are they compiled, which may keep less.
    """
    recipe = replace(recipe, compile=False)
    with FakeTensorMode():
        sam = start_model(recipe, filled=False).train()
        task = PromptedTask(sam, recipe)
        weights = sum(_bytes(value) for value in [*sam.parameters(), *sam.buffers()])
        trained = sum(_bytes(value) for value in sam.parameters() if value.requires_grad)
        (encoder, decoder), (both, decoders) = (_kept(task, stage, images) for images in (1, 2))
        again = _kept_again(task, stage) if recipe.checkpointing else 0
    rounds = recipe.prompting.most_learned
    if recipe.cached:
        encoder = both = 0
    fixed = weights + max(0, 2 * encoder - both) + max(0, 2 * decoder - decoders)
    return Memory(fixed, trained * (4 if recipe.ema else 3), both - encoder + rounds * (decoders - decoder) + again)


def _kept(task: PromptedTask, stage: Stage, images: int) -> tuple[int, int]:
    """Bytes that the encoder and one round of prompts keep."""
    sam = task.sam
    with autocast(torch.device("cpu"), task.recipe.bf16):
        pixels = torch.empty(images, 3, stage.size, stage.size).contiguous(memory_format=torch.channels_last)
        with Kept(sam) as by_encoder:
            embedding = sam.encode(pixels)
        with Kept(sam) as by_decoder:
            _round(task, embedding, stage)
    return by_encoder.bytes, by_decoder.bytes


def _kept_again(task: PromptedTask, stage: Stage) -> int:
    """Bytes of one image while the largest of the pieces that are computed twice goes back: a block, or a round."""
    sam = task.sam
    with autocast(torch.device("cpu"), task.recipe.bf16), Kept(sam) as by_decoder:
        embedding = sam.encode(torch.empty(1, 3, stage.size, stage.size))
        _round(PromptedTask(sam, replace(task.recipe, checkpointing=False)), embedding, stage)
    encoder = sam.image_encoder
    if not isinstance(encoder, ViTEncoder) or not any(value.requires_grad for value in encoder.parameters()):
        return by_decoder.bytes
    side = stage.size // encoder.config.patch
    sizes = [by_decoder.bytes]
    for block in encoder.blocks:
        tokens = torch.empty(1, side, side, encoder.config.width, requires_grad=True)
        with autocast(torch.device("cpu"), task.recipe.bf16), Kept(sam) as kept:
            block(tokens)
        sizes.append(kept.bytes)
    return max(sizes)


@contextmanager
def enough_memory() -> Iterator[None]:
    """Raise TrainingError, with what to do, where a GPU's memory is not enough."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise TrainingError(
            "the device's memory is not enough; give memory=auto, or raise accumulate, or lower the stages' objects"
        ) from None


class Kept:
    """Counts the bytes that autograd keeps inside a `with`, each storage once and the weights not at all."""

    def __init__(self, module: nn.Module) -> None:
        self._seen = {value.untyped_storage()._cdata: 0 for value in [*module.parameters(), *module.buffers()]}
        self._alive: list[Tensor] = []  # so that no storage's number is given out again
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda value: value)

    @property
    def bytes(self) -> int:
        """The sum so far."""
        return sum(self._seen.values())

    def __enter__(self) -> Kept:
        self._hooks.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._hooks.__exit__(*details)

    def _pack(self, value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen[storage._cdata] = storage.nbytes()
            self._alive.append(value)
        return value


def _round(task: PromptedTask, embedding: ImageEmbedding, stage: Stage) -> Tensor:
    """One round of prompts and its loss, shapes alone."""
    prompting = task.recipe.prompting
    images, tokens = embedding.features.shape[0], 2 + prompting.points
    side = 4 * embedding.features.shape[-1]
    shape = images, stage.objects
    prompts = PromptBatch(
        torch.empty(*shape, tokens, 2),
        torch.full((*shape, tokens), int(Label.FOREGROUND)),
        torch.ones(*shape, tokens, dtype=torch.bool),
        torch.empty(*shape, 1, side, side),
    )
    target, weight = torch.empty(*shape, side, side, dtype=torch.bool), torch.empty(*shape)
    logits, iou = task.kept(embedding, prompts)
    return sam_loss(logits, iou, target, weight, weight, stage.spread, stage.iou_weight)["loss"]


def _bytes(value: Tensor) -> int:
    return value.numel() * value.element_size()
