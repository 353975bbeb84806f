"""Embeddings kept on disk, so that a decoder learns beside a frozen encoder that sees each image once."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..dataset.sample import Sample
from ..errors import DataError, ImageError, OutputError
from ..files import replacing
from ..model.checkpoint import weights_hash
from ..model.sam import ImageEmbedding, Sam
from ..task.frame import ImageFrame
from .claim import claim
from .config import Augmentation
from .sources import Sources
from .task import preprocessed
from .views import View, Views, draw_crop, make_targets

MIRRORED = "-mirrored"
"""what the name of a mirror image's embedding ends with"""

Progress = Callable[[int, int], None]
"""told of the images that are embedded and of all there are"""


def embed_all(
    sam: Sam,
    samples: Sequence[Sample],
    size: int,
    folder: Path,
    mirrored: bool = False,
    report: Progress | None = None,
) -> None:
    """Put the embedding of each whole image into a folder, in half precision, a file each; what is there stays.

    A file is named after the content of its image, so that images may move, repeat and change. It takes 2 MiB for a
    ViT at 1024 pixels, and 8 MiB for nano at 512, which has finer features.

    Args:
        sam: its encoder is what counts; it computes as it is, in evaluation mode and without autocast.
        samples: the images.
        size: side of the model frame, in pixels.
        folder: of this encoder and size alone.
        mirrored: also embed the mirror image of each.
        report: called after each image.

    Raises ConfigError where the folder holds embeddings of another encoder or size, OutputError where there is no room
    for all, and ImageError for an image that cannot be read.
    """
    claim(folder, _manifest(sam, size), "embeddings of another encoder or size")
    missing = [_missing(folder, sample, mirrored) for sample in samples]
    left = sum(map(len, missing))
    training = sam.training
    sam.eval()
    try:
        for done, (sample, paths) in enumerate(zip(samples, missing, strict=True), 1):
            if paths:
                image = sample.image()
            for path in paths:
                embedding = _embed(sam, image[:, ::-1] if path.stem.endswith(MIRRORED) else image, size)
                _check_room(folder, embedding, left)
                _write(path, embedding)
                left -= 1
            if report:
                report(done, len(samples))
    finally:
        sam.train(training)


def read_embedding(folder: Path, sample: Sample, mirrored: bool = False) -> ImageEmbedding:
    """The embedding of an image, or of its mirror image, in half precision. Raises DataError where it is not there."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = _paths(folder, sample)[mirrored]
    try:
        state = load_file(path)
        return ImageEmbedding(state.pop("features"), tuple(state[name] for name in sorted(state)))
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(
            f"{path}: the embedding of {sample.image_path} is missing or damaged ({error}); remove it and run again"
        ) from None


class CachedViews(Views):
    """The views that `Views` would draw with the same settings, with embeddings in the place of pixels.

    Args:
        folder: where `embed_all` has put the embeddings of all images at `size`, mirrored too where the augmentation
            has flips, which is all that it may have.
    """

    def __init__(
        self,
        sources: Sources,
        size: int,
        mask_size: int,
        objects: int,
        augmentation: Augmentation,
        length: int,
        seed: int,
        even_sizes: bool = False,
        *,
        folder: Path,
    ) -> None:
        super().__init__(sources, size, mask_size, objects, augmentation, length, seed, even_sizes)
        self.folder = folder

    def make(self, sample: Sample, donor: Sample | None, rng: np.random.Generator) -> View | None:
        """A view of an image; None where no object in it is large enough."""
        if not sample.annotations:
            return None
        masks = [sample.counted(each) for each in self.draw_objects(sample, rng)]
        frame, mirrored = draw_crop(masks[0], self.size, self.augmentation, rng)
        shown = make_targets(masks, frame, mirrored, self.size, self.mask_size, self.objects)
        if shown is None:
            return None
        return View(read_embedding(self.folder, sample, mirrored), shown.masks, shown.boxes, shown.centres)


def _manifest(sam: Sam, size: int) -> dict[str, Any]:
    """All that an embedding depends on besides the image."""
    config = sam.config.to_dict()
    return {
        "model": sam.config.name,
        "encoder": weights_hash(sam.image_encoder),
        "size": size,
        **{name: list(np.ravel(config[name]).tolist()) for name in ("pixel_mean", "pixel_std")},
        "pad_black": sam.config.pad_black,
    }


@torch.no_grad()
def _embed(sam: Sam, image: NDArray[np.uint8], size: int) -> ImageEmbedding:
    """The embedding of one H×W×3 image."""
    frame = ImageFrame(image.shape[0], image.shape[1], size)
    pixels = frame.resize_image(np.ascontiguousarray(image))
    return sam.encode(preprocessed(sam, [torch.from_numpy(pixels).permute(2, 0, 1).to(sam.device)], size))


def _check_room(folder: Path, embedding: ImageEmbedding, count: int) -> None:
    """Raise OutputError where so many embeddings more find no room."""
    needed = count * sum(2 * level.numel() for level in (embedding.features, *embedding.fine))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{folder}: {count} more embeddings take {needed / 2**30:.1f} GiB, {free / 2**30:.1f} are free; free some, "
            "name another folder with -o, or train on fewer images"
        )


def _write(path: Path, embedding: ImageEmbedding) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    levels = {"features": embedding.features, **{f"fine{i}": level for i, level in enumerate(embedding.fine)}}
    with replacing(path) as temporary:
        try:
            save_file({name: level.half().cpu().contiguous() for name, level in levels.items()}, temporary)
        except SafetensorError as error:  # what a full disk is told as
            raise OSError(str(error)) from error


def _missing(folder: Path, sample: Sample, mirrored: bool) -> list[Path]:
    """Where embeddings of an image should lie and do not."""
    return [path for path in _paths(folder, sample)[: 1 + mirrored] if not path.exists()]


def _paths(folder: Path, sample: Sample) -> tuple[Path, Path]:
    """Where the embedding of an image lies, and that of its mirror image."""
    try:
        content = sample.read_bytes() if sample.read_bytes else sample.image_path.read_bytes()
    except OSError as error:
        raise ImageError(f"{sample.image_path}: cannot be read ({error.strerror}); check the path") from None
    digest = hashlib.sha256(content).hexdigest()[:24]
    return folder / f"{digest}.safetensors", folder / f"{digest}{MIRRORED}.safetensors"
