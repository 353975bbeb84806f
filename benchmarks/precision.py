"""How far a precision takes masks from the exact ones: IoU of the masks of one click and of a box, on labelled photos.

    python benchmarks/precision.py DATA --images 100 --precision fast --runtime openvino

Every labelled object gets a click in its middle and its box, once exactly in torch and once as told. Prints the mean
IoU of the best-scored masks of both, the share over .98, and the mean IoU of each with the labels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from measured import spread

from anymask import Prompt, SamPredictor, load_model
from anymask.dataset.formats import open_data
from anymask.task.boxes import mask_boxes
from anymask.task.clicks import centre_click
from anymask.task.metrics import iou


def main() -> None:
    """Ask both on the images and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of labelled images")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--precision", default="fast")
    parser.add_argument("--runtime", default="auto")
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    exact, other = SamPredictor(model, "torch"), SamPredictor(model, arguments.runtime, arguments.precision)
    samples = open_data(arguments.data)
    figures = []
    for sample in spread(samples, arguments.images):
        pixels = sample.image()
        exact.set_image(pixels)
        other.set_image(pixels)
        for each in sample.objects(skip_empty=True):
            for prompt in (Prompt([centre_click(each.mask)]), Prompt(box=mask_boxes(each.mask[None])[0])):
                found = [predictor.predict_many([prompt])[0] for predictor in (exact, other)]
                best = [answer.masks[answer.scores.argmax()] for answer in found]
                figures.append([iou(*best), *(iou(mask, each.mask) for mask in best)])
    between, *labels = np.array(figures).T
    print(f"{len(between)} prompts: IoU with exact {between.mean():.4f}, over .98 for {(between > 0.98).mean():.1%}")
    print(f"mean IoU with the labels: exact {labels[0].mean():.4f}, {arguments.precision} {labels[1].mean():.4f}")


if __name__ == "__main__":
    main()
