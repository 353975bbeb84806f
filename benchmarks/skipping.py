"""Counts the masks that "everything" loses where it leaves out points on masks that it has.

    python benchmarks/skipping.py DATA --images 40 --points 16 --times 4

Each image goes through the generator twice, with all points and with `skip_covered`, otherwise the same. Prints the
decodes and the time that it saves, the share of the masks of all points that it finds again (IoU of .8 or more), and of
the labelled objects that either finds (IoU of .5, of .75).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from measured import spread
from numpy.typing import NDArray
from pycocotools import mask as coco

from anymask import load_model
from anymask.dataset.formats import open_data
from anymask.predict.automask.generator import SamAutomaticMaskGenerator


class Counted(SamAutomaticMaskGenerator):
    """A generator that counts its decodes and its time."""

    decodes = 0
    seconds = 0.0

    def _process(self, points: NDArray[np.float64], *rest: Any) -> Any:
        self.decodes += len(points)
        return super()._process(points, *rest)

    def masks(self, image: Any) -> list[Any]:
        """The masks of an image as COCO RLE."""
        start = time.perf_counter()
        found = [candidate.mask for candidate in self.candidates(image)]
        self.seconds += time.perf_counter() - start
        return found


def best(wanted: list[Any], found: list[Any]) -> NDArray[np.float64]:
    """The largest IoU of each wanted mask with those found."""
    if not wanted or not found:
        return np.zeros(len(wanted))
    return np.asarray(coco.iou(wanted, found, [0] * len(found))).max(1)


def main() -> None:
    """Run both on the images and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of labelled images")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--points", type=int, default=16, help="along each side")
    parser.add_argument("--times", type=int, default=4, help="how many masks must cover a point that is left out")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--runtime", default="auto")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    options = {"points_per_side": arguments.points, "runtime": arguments.runtime, "precision": "fast"}
    whole, skipping = (Counted(model, skip_covered=skip, **options) for skip in (0, arguments.times))
    samples = open_data(arguments.data)
    for generator in (whole, skipping):  # so that neither pays for what is made ready at first
        generator.masks(samples[0].image())
        generator.decodes, generator.seconds = 0, 0.0
    kept, labels = [], []
    for sample in spread(samples, arguments.images):
        image = sample.image()
        objects = [each["segmentation"] for each in sample.annotations]
        every, some = whole.masks(image), skipping.masks(image)
        kept.append(best(every, some))
        labels.append([best(objects, every), best(objects, some)])
        print(f"{sample.name}: {len(every)} masks, {len(some)} with points left out", flush=True)
    kept_all, labels_all = np.concatenate(kept), np.concatenate(labels, axis=1)
    print(f"decodes {skipping.decodes} of {whole.decodes}, time {skipping.seconds / whole.seconds:.2f} of that")
    print(f"found again {np.mean(kept_all >= 0.8):.3f} of {len(kept_all)} masks")
    for level in (0.5, 0.75):
        shares = (labels_all >= level).mean(1)
        print(
            f"labelled objects found, IoU {level}: {shares[0]:.3f} of {labels_all.shape[1]}, skipping {shares[1]:.3f}"
        )


if __name__ == "__main__":
    main()
