"""The model behind the annotator: embeddings, masks by prompts and text, and everything in a photo."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from queue import Empty, Queue
from threading import Lock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AnymaskError
from ..export.browser import pack_embedding
from ..model.sam import ImageEmbedding, Sam
from ..predict.automask.generator import SamAutomaticMaskGenerator
from ..predict.embedding_cache import EmbeddingCache
from ..predict.predictor import SamPredictor
from ..task import rle
from ..task.image import read_image
from ..task.prompts import Prompt
from .turns import Turns

log = logging.getLogger("anymask")

POINTS_PER_SIDE = 16
"""of the grid for everything"""
IN_MEMORY = 4
"""embeddings"""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo to segment: how it is read, and a stamp that changes with its file."""

    stamp: str
    read: Callable[[], NDArray[np.uint8]]
    """gives H×W×3 uint8 RGB; raises ImageError"""

    @classmethod
    def of_bytes(cls, content: bytes, name: str) -> Photo:
        """A photo that came with a request; errors call it by the name."""
        return cls(sha256(content).hexdigest(), lambda: read_image(content, name=name))


class Segmenter:
    """A model that answers one question at a time, whoever asks.

    Args:
        sam: the model.
        text_model: what finds things by text.
        cache: where embeddings are kept.
    """

    def __init__(self, sam: Sam, text_model: str, cache: EmbeddingCache) -> None:
        self.sam = sam
        self.cache = cache
        self.predictor = SamPredictor(sam, text_model=text_model)
        self._model = Turns()
        self._embeddings: OrderedDict[str, ImageEmbedding] = OrderedDict()
        self._lock = Lock()

    @cached_property
    def reads_text(self) -> bool:
        """Whether things can be found by text here."""
        return find_spec("wordllama") is not None or bool(self.sam.config.text_width)

    def embedding(self, photo: Photo) -> ImageEmbedding:
        """The embedding of a photo, as float16 keeps it, from memory, from disk, or made. Raises ImageError."""
        with self._lock:
            if photo.stamp in self._embeddings:
                self._embeddings.move_to_end(photo.stamp)
                return self._embeddings[photo.stamp]
        pixels = photo.read()
        with self._model:
            found = self.cache.embed(pixels, self.predictor.runtime)
        with self._lock:
            self._embeddings[photo.stamp] = found
            while len(self._embeddings) > IN_MEMORY:
                self._embeddings.popitem(last=False)
        return found

    def packed(self, photo: Photo) -> bytes:
        """The embedding of a photo as a browser gets it. Raises ImageError."""
        return pack_embedding(self.embedding(photo))

    def segment(
        self, photo: Photo, prompt: Prompt, multimask: bool | None = None
    ) -> list[tuple[rle.RLE, float, NDArray[np.float32]]]:
        """The masks for a prompt, their scores and logits h×w; see `SamPredictor.predict_many`.

        Raises PromptError and ImageError.
        """
        embedding = self.embedding(photo)
        with self._model:
            self.predictor.set_embedding(embedding)
            found = self.predictor.predict_many([prompt], multimask)[0]
        return [(rle.encode(m), float(s), x) for m, s, x in zip(found.masks, found.scores, found.logits, strict=True)]

    def find(self, photo: Photo, text: str, prompt: Prompt | None) -> list[tuple[rle.RLE, float, NDArray[np.float32]]]:
        """All that a text names, or the one that a prompt points at, with probabilities and logits.

        Raises PromptError for what is no text, and ImageError.
        """
        pixels = photo.read()
        with self._model:
            self.predictor.set_pixels(pixels)
            clicks = (None, None, None) if prompt is None else (prompt.points, prompt.labels, prompt.box)
            found = self.predictor.predict_text(text, *clicks)
        return [(rle.encode(m), float(s), x) for m, s, x in zip(found.masks, found.scores, found.logits, strict=True)]

    def everything(self, photo: Photo, progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
        """All masks of a photo, as `SamAutomaticMaskGenerator` gives them in COCO RLE. Raises ImageError."""
        pixels = photo.read()
        generator = SamAutomaticMaskGenerator(
            self.sam, POINTS_PER_SIDE, output_mode="coco_rle", runtime=self.predictor.runtime
        )
        with self._model:
            return generator.generate(pixels, self._model.between(progress))


class Ahead:
    """Embeds photos that will be looked at next, in a thread of its own."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._queue: Queue[Photo | None] = Queue()
        self._thread = Thread(target=self._work, name="ahead", daemon=True)
        self._thread.start()

    def want(self, photos: list[Photo]) -> None:
        """Embed these, unless others are wanted first."""
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
        for photo in photos:
            self._queue.put(photo)

    def close(self) -> None:
        """End when the photo that is being embedded is done."""
        self.want([])
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while photo := self._queue.get():
            try:
                self._segmenter.embedding(photo)
            except (AnymaskError, MemoryError) as error:
                log.info("not embedded ahead: %s", error)
