"""The words for things: names and other names of what is labelled, in plurals and sentences, drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

SENTENCES = (
    "{a} {noun}",
    "the {noun}",
    "{adjective} {noun}",
    "{a} {adjective} {noun}",
    "the {adjective} {noun}",
    "all {plural}",
    "every {noun}",
    "{plural}",
    "a photo of {a} {noun}",
    "a picture of the {noun}",
    "find the {noun}",
    "{a} {noun} {where} the {other}",
    "the {noun} {where} the {other}",
    "{a} {adjective} {noun} {where} {b} {other}",
    "{a} {noun} {doing} the {other}",
    "the {noun} {doing} {b} {other}",
    "{noun} and {b} {other}",
    "the {noun} with the {other}",
    "one of the {plural}",
)
ADJECTIVES = [
    "red",
    "blue",
    "green",
    "yellow",
    "white",
    "black",
    "brown",
    "grey",
    "pink",
    "purple",
    "small",
    "big",
    "large",
    "little",
    "tiny",
    "huge",
    "old",
    "new",
    "young",
    "wooden",
    "metal",
    "plastic",
    "shiny",
    "dirty",
    "clean",
    "beautiful",
    "bright",
    "dark",
    "round",
    "long",
    "short",
    "tall",
    "open",
    "empty",
    "full",
    "broken",
    "colourful",
]
WHERE = ("on", "in", "under", "behind", "next to", "near", "in front of", "beside", "above", "at")
DOING = ("lying on", "standing on", "sitting on", "standing next to", "leaning against", "seen through", "placed on")
OTHERS = [
    "grass",
    "table",
    "street",
    "wall",
    "floor",
    "beach",
    "water",
    "field",
    "room",
    "kitchen",
    "window",
    "ground",
    "snow",
    "house",
    "tree",
    "road",
    "garden",
    "shelf",
    "corner",
    "counter",
    "river",
    "sofa",
    "park",
    "door",
    "man",
    "woman",
    "car",
    "dog",
    "chair",
]


def imagenet_names() -> list[list[str]]:
    """All names of each of ImageNet's 1000 classes, in their order: the words of their WordNet synsets."""
    lines = Path(__file__).with_name("imagenet_names.txt").read_text(encoding="utf-8").splitlines()
    return [line.split(", ") for line in lines if not line.startswith("#")]


def plural(noun: str) -> str:
    """A noun in its plural, by the rules alone."""
    if noun.endswith("s"):
        return noun
    if noun.endswith(("ch", "sh", "x")):
        return noun + "es"
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"


def phrase(names: Sequence[str], rng: np.random.Generator, plain: float = 0.5) -> str:
    """One of a thing's names, as it is with the probability `plain`, otherwise in a sentence that means it."""
    noun = names[int(rng.integers(len(names)))]
    if rng.random() < plain:
        return noun
    return str(rng.choice(SENTENCES)).format(
        a=_article(noun),
        noun=noun,
        plural=plural(noun),
        adjective=rng.choice(ADJECTIVES),
        where=rng.choice(WHERE),
        doing=rng.choice(DOING),
        b="a",
        other=rng.choice(OTHERS),
    )


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
