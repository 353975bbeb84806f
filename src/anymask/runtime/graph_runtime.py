"""What runtimes of exported graphs share: a Sam's graphs, run for fixed shapes, so that each can be compiled well."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError, ModelError
from ..model.config import ViTConfig
from ..model.mask_decoder import in_blocks
from ..model.sam import ImageEmbedding, Sam
from ..task.prompts import Label, PromptBatch
from .graphs import Graph, answer_graph, encoder_graph, shared_graph, upscale_graph
from .interface import Answers, Runtime
from .kept import kept_graph
from .many_prompts import shares_image
from .names import Precision

COUNTS = (1, 4, 8)
"""how many prompts the decoder is compiled for; others are filled up to the next"""
TOKENS = (2, 4, 8, 16, 32, 64, 128, 256)
"""how many tokens a prompt is filled up to"""

Arrays = list[NDArray[Any]]
Call = Callable[[Arrays], Arrays]


class GraphRuntime(Runtime):
    """Runs a model's graphs on the CPU, outside of PyTorch.

    Graphs are converted once and kept on disk. They run for fixed shapes: prompts are filled up to the next count that
    there is, and tokens that are not there are not attended to. A shape is made ready when it first comes. One thread
    at a time may ask.
    """

    batch = COUNTS[-1]
    library: ClassVar[str]
    """the package that runs the graphs"""
    file: ClassVar[str]
    """name of a converted graph"""

    def __init__(self, sam: Sam, precision: Precision = "exact") -> None:
        super().__init__(sam, precision)
        if sam.device.type != "cpu":
            raise ConfigError(
                f"runtime {self.name}: runs on the CPU, but the model is on {sam.device}; use torch there"
            )
        if precision == "int8" and not isinstance(sam.config.encoder, ViTConfig):
            raise ConfigError(f"precision int8: is for ViT encoders, which {sam.config.name} has not; use fast")
        self._calls: dict[Any, Call] = {}
        self._shared: tuple[str, ImageEmbedding, Arrays] | None = None
        self._fine: tuple[ImageEmbedding, Arrays] | None = None

    @abstractmethod
    def _convert(self, graph: Graph, path: Path) -> None:
        """Write a graph in the library's form."""

    @abstractmethod
    def _quantise(self, path: Path, result: Path) -> None:
        """Write a converted graph again, with the products of its linear layers in 8 bits."""

    @abstractmethod
    def _compile(self, path: Path, name: str, shapes: Sequence[tuple[int, ...]]) -> Call:
        """Make a converted graph ready for inputs of these shapes. What it returns may be its own memory."""

    def _form(self, name: str) -> str:
        """What the form of a converted graph depends on besides the model, to keep it by."""
        from importlib.metadata import version

        return f"{name}-{self.name}-{version(self.library)}"

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> ImageEmbedding:
        found = [
            self._run("encoder", lambda: encoder_graph(self.sam), [image[None].numpy()], copy=True) for image in pixels
        ]
        features, *fine = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*found, strict=True))
        return ImageEmbedding(features, tuple(fine), (), self.sam.config.name, self.sam.weights_hash)

    @torch.no_grad()
    def answer(self, embedding: ImageEmbedding, prompts: PromptBatch) -> Answers:
        count, tokens = prompts.labels.shape[1:]
        if prompts.text is not None:
            raise ModelError(f"{self.name} runs no text prompts of CLIP; ask for runtime torch")
        if count > COUNTS[-1]:
            raise ValueError(f"at most {COUNTS[-1]} prompts at once, got {count}")
        n, t = _next(count, COUNTS), _next(tokens, TOKENS)
        image = self._image(embedding, prompts)
        inputs = [*image, *_filled(prompts, n, t)]
        with_masks = prompts.masks is not None
        name = "answer_masks" if with_masks else "answer"
        shared = shares_image(self.sam, prompts)
        iou, cells, weights = self._run(name, lambda: answer_graph(self.sam, with_masks, shared), inputs)
        answers = [torch.from_numpy(array[:count]) for array in (iou.copy(), cells, weights)]
        return Answers(answers[0], answers[1], answers[2], embedding, self)

    @torch.no_grad()
    def upscale(self, cells: Tensor, weights: Tensor, embedding: ImageEmbedding) -> Tensor:
        n = _next(len(cells), COUNTS)
        inputs = [_more(part.numpy(), n) for part in (cells, weights)] + self._blocks(embedding)
        logits = self._run("upscale", lambda: upscale_graph(self.sam), inputs, copy=True)[0]
        return torch.from_numpy(logits[: len(cells)])

    def _image(self, embedding: ImageEmbedding, prompts: PromptBatch) -> Arrays:
        """What prompts see of an image: what they share, computed once for one image after another, or its features."""
        features = embedding.features.numpy()
        if not shares_image(self.sam, prompts):
            return [features]
        if self._shared is None or self._shared[:2] != (self.weights, embedding):
            shared = self._run("shared", lambda: shared_graph(self.sam), [features], copy=True)
            self._shared = (self.weights, embedding, shared)
        return self._shared[2]

    def _blocks(self, embedding: ImageEmbedding) -> Arrays:
        """An image's finer features as they are upscaled, put in order once for one image after another."""
        if self._fine is None or self._fine[0] is not embedding:
            grid = (embedding.features.shape[-2], embedding.features.shape[-1])
            self._fine = (embedding, [in_blocks(fine, grid).contiguous().numpy() for fine in embedding.fine])
        return self._fine[1]

    def _run(self, name: str, graph: Callable[[], Graph], inputs: Arrays, copy: bool = False) -> Arrays:
        """The outputs of a graph; without `copy` they are the runtime's memory, and hold until it is run again."""
        shapes = tuple(array.shape for array in inputs)
        key = (self.weights, name, shapes)  # training the model changes the hash
        if key not in self._calls:
            path = kept_graph(self.sam, self._form(name), self.file, lambda path: self._convert(graph(), path))
            if self.precision == "int8" and name == "encoder":
                small = partial(self._quantise, path)
                path = kept_graph(self.sam, self._form("encoder-int8"), self.file, small)
            self._calls[key] = self._compile(path, name, shapes)
        found = self._calls[key](inputs)
        return [array.copy() if copy else array for array in found]


def _next(count: int, sizes: Sequence[int]) -> int:
    """The least of the sizes that holds `count`; beyond them all, `count` itself."""
    return next((size for size in sizes if size >= count), count)


def _more(array: NDArray[Any], count: int) -> NDArray[Any]:
    """An array filled up with zeros to `count` rows; itself where there are that many."""
    if len(array) == count:
        return np.ascontiguousarray(array)
    return np.concatenate([array, np.zeros((count - len(array), *array.shape[1:]), array.dtype)])


def _filled(prompts: PromptBatch, count: int, tokens: int) -> Arrays:
    """The inputs of 1×N prompts of T tokens, filled up to `count` prompts of `tokens` tokens."""
    n, t = prompts.labels.shape[1:]
    coords = np.zeros((count, tokens, 2), np.float32)
    labels = np.full((count, tokens), int(Label.NOT_A_POINT), np.int64)
    present = np.zeros((count, tokens), bool)
    coords[:n, :t], labels[:n, :t] = prompts.coords[0], prompts.labels[0]
    present[:n, :t] = True if prompts.present is None else prompts.present[0]
    if prompts.masks is None:
        return [coords, labels, present]
    has_mask = np.zeros(count, bool)
    has_mask[:n] = True if prompts.has_mask is None else prompts.has_mask[0]
    return [coords, labels, present, _more(prompts.masks[0].numpy(), count), has_mask]
