"""How long a text takes, on photos whose categories are named: the look at an image, and each text after it.

python benchmarks/text.py DATA/coco_mval_val --images 60 --threads 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch

from anymask import SamPredictor, load_model
from anymask.dataset.formats import open_data

LOADING = 3
"""texts and looks at the beginning that are left out, while which libraries load"""


def main() -> None:
    """Print times in milliseconds, as JSON: the look's median, and of texts median, ninth decile, and median of those
    that give one mask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    predictor = SamPredictor(load_model("nano"))
    looks: list[float] = []
    texts: list[tuple[float, int]] = []
    for sample in open_data(given.data)[: given.images]:
        predictor.set_image(sample.image())
        began = time.perf_counter()
        looked = predictor.finder.has_seen
        looks.append(time.perf_counter() - began)
        assert looked
        for category in sorted({annotation["category"] for annotation in sample.annotations}):
            began = time.perf_counter()
            found = predictor.predict_text(category)
            texts.append((time.perf_counter() - began, len(found.masks)))
    times = [seconds for seconds, _ in texts[LOADING:]]
    figures = {
        "look": statistics.median(looks[LOADING:]),
        "text": statistics.median(times),
        "text, ninth decile": statistics.quantiles(times, n=10)[-1],
        "text, one mask": statistics.median(seconds for seconds, count in texts[LOADING:] if count == 1),
    }
    print(json.dumps({name: round(seconds * 1000) for name, seconds in figures.items()}))


if __name__ == "__main__":
    main()
