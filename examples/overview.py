"""Make the picture of the README: a click, a box, and everything. Usage: overview.py [OUT.jpg]"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from anymask import Prompt, SamPredictor, load_model, read_image
from anymask.predict.automask.presets import preset_generator
from anymask.predict.render import overlay
from anymask.task.regions import clean

PHOTOS = Path(__file__).parent / "photos"
HEIGHT = 300


def one_object(model, name, prompt):
    """The overlay of an object that was pointed at."""
    image = read_image(PHOTOS / name)
    predictor = SamPredictor(model)
    predictor.set_image(image)
    result = predictor.predict_many([prompt])[0]
    return overlay(image, [clean(result.masks[result.scores.argmax()])], prompt)


def everything(model, name):
    """The overlay of all masks of a photo."""
    image = read_image(PHOTOS / name)
    return overlay(image, [record["segmentation"] for record in preset_generator(model).generate(image)])


def beside(*pictures):
    """Pictures of one height in a row, on white."""
    row = []
    for picture in pictures:
        scaled = Image.fromarray(picture)
        scaled = scaled.resize((round(scaled.width * HEIGHT / scaled.height), HEIGHT), Image.Resampling.LANCZOS)
        row += [np.array(scaled), np.full((HEIGHT, 8, 3), 255, np.uint8)]
    return np.hstack(row[:-1])


if __name__ == "__main__":
    nano = load_model("nano")
    picture = beside(
        one_object(nano, "astronaut.jpg", Prompt([(220, 300)])),
        one_object(nano, "chelsea.jpg", Prompt(box=(20, 5, 430, 298))),
        everything(nano, "coffee.jpg"),
    )
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "overview.jpg")
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(out, quality=90)
    print(out)
