"""Images that look alike, and masks that cover the same pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..task.duplicates import distinct
from .problems import Problems, Progress
from .sample import Record, Sample

SIDE, BITS = 32, 64
"""of the small image whose lowest frequencies are looked at, and their number"""


def perceptual_hash(image: NDArray[np.uint8]) -> int:
    """64 bits of an H×W×3 image, few of which change where it is resized, compressed or a little brighter.

    Each says whether one of the 8×8 lowest frequencies of its cosine transform is over their median.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    return int.from_bytes(np.packbits(low > np.median(low[1:])).tobytes(), "big")


def near_pairs(hashes: Sequence[int], bits: int) -> Iterator[tuple[int, int]]:
    """Places of all pairs of hashes that differ in at most `bits` bits, the earlier place first.

    Of `bits` + 1 stretches of bits one is then the same in both, so that only those that share one are compared.
    Raises ConfigError for `bits` that are not 0 to 20.
    """
    if not 0 <= bits <= 20:
        raise ConfigError(f"bits {bits}: expected 0 to 20 of the {BITS} bits of a hash")
    edges = np.linspace(0, BITS, bits + 2).astype(int).tolist()
    seen: set[tuple[int, int]] = set()
    for low, high in pairwise(edges):
        alike: dict[int, list[int]] = defaultdict(list)
        for place, number in enumerate(hashes):
            stretch = number >> low & (1 << high - low) - 1
            for earlier in alike[stretch]:
                if (number ^ hashes[earlier]).bit_count() <= bits and (earlier, place) not in seen:
                    seen.add((earlier, place))
                    yield earlier, place
            alike[stretch].append(place)


def first_of_alike(hashes: Sequence[int], bits: int) -> dict[int, int]:
    """For each image that looks like an earlier one that stays, the place of that."""
    first: dict[int, int] = {}  # place of the first image of each hash
    for place, number in enumerate(hashes):
        first.setdefault(number, place)
    places = list(first.values())
    copies: dict[int, int] = {}
    for earlier, place in sorted(near_pairs(list(first), bits), key=lambda pair: pair[::-1]):
        if places[earlier] not in copies:
            copies.setdefault(places[place], places[earlier])
    for place, number in enumerate(hashes):
        if place != first[number]:
            copies[place] = copies.get(first[number], first[number])
    return copies


def without_copies(sample: Sample, threshold: float) -> Sample:
    """A sample without masks whose IoU with another of the same category is `threshold` or more.

    Of such the one with the best predicted IoU stays, then the first.
    """
    annotations = sample.record["annotations"]
    copies = set(copies_among(annotations, threshold))
    return sample.with_annotations([each for place, each in enumerate(annotations) if place not in copies])


def copies_among(annotations: Sequence[Record], threshold: float) -> list[int]:
    """Places of the masks that cover what a better one of the same category covers, at an IoU of `threshold`."""
    masks = [annotation["segmentation"] for annotation in annotations]
    kinds = [(annotation.get("category"), bool(annotation.get("iscrowd"))) for annotation in annotations]
    stay = distinct(masks, [_score(annotation) for annotation in annotations], threshold, kinds)
    return sorted(set(range(len(masks))) - set(stay))


def _score(annotation: Record) -> float:
    score = annotation.get("predicted_iou")
    return float(score) if isinstance(score, (int, float)) else 0.0


class Unique:
    """Gives samples without masks that repeat others, or None for an image that looks like an earlier one.

    Args:
        samples: of any source; their images are read now, unless `image_bits` is None.
        mask_iou: from which on two masks of one category are the same; None to keep all.
        image_bits: up to so many bits of their hashes may two images that look alike differ.
        problems: takes what is wrong with images.
        progress: called after each image.

    Attributes:
        copies: names of images, each with that of the earlier one that it looks like.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        mask_iou: float | None,
        image_bits: int | None,
        problems: Problems,
        progress: Progress | None = None,
    ) -> None:
        self._mask_iou = mask_iou
        self.copies: dict[str, str] = {}
        self._unreadable: set[str] = set()
        names: list[str] = []
        hashes: list[int] = []
        for done, sample in enumerate(samples if image_bits is not None else (), 1):
            self._unreadable.add(sample.name)
            with problems.noted():
                hashes.append(perceptual_hash(sample.image()))
                names.append(sample.name)
                self._unreadable.remove(sample.name)
            sample.forget()
            if progress:
                progress(done, len(samples))
        if image_bits is not None:
            found = first_of_alike(hashes, image_bits)
            self.copies = {names[copy]: names[first] for copy, first in found.items()}

    def __call__(self, sample: Sample) -> Sample | None:
        """The sample without masks that repeat others, or None where it looks like an earlier one."""
        if sample.name in self.copies or sample.name in self._unreadable:
            return None
        sample.check_masks()
        return sample if self._mask_iou is None else without_copies(sample, self._mask_iou)
