"""The data card: what a set of labelled images holds, where it is from and how it was made, for people and machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import DataError
from ..files import replacing, write_json
from .sa1b import SOURCE
from .sample import Record

CARD = "DATA_CARD.md"
UNKNOWN = "not stated"
COUNTED = ("masks", "categories", "models")
SHOWN = 50
"""categories that the card lists"""


@dataclass(frozen=True)
class Source:
    """Data that other data is made of.

    Attributes:
        name: what it is called.
        licence: on what terms it may be used.
        origin: who made it, where it is from.
        made: how.
    """

    name: str
    licence: str = UNKNOWN
    origin: str = UNKNOWN
    made: str = UNKNOWN


def find_sources(path: Path) -> list[Source]:
    """What data at `path` is made of, as its source.json says; what is not said there is not known.

    Raises DataError where that file is there and holds something else.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / SOURCE
    if not file.is_file():
        return [Source(path.resolve().stem)]
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told.get("sources"):
            return [_source(each, folder.resolve().name) for each in told["sources"]]
        return [_source(told, folder.resolve().name)]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); expected a JSON that tells of the data") from None


def _source(told: Mapping[str, Any], name: str) -> Source:
    told = {**told, "made": told.get("made") or told.get("kind")}
    return Source(*(str(told.get(key) or other) for key, other in asdict(Source(name)).items()))


class Card:
    """What the card tells, gathered record by record.

    Args:
        sources: what the data is made of.
        made: the command that made it.
    """

    def __init__(self, sources: Sequence[Source] = (), made: str = "") -> None:
        self.sources = list(dict.fromkeys(sources))
        self.made = made
        self.images = 0
        self.masks: Counter[str] = Counter()  # by kind
        self.categories: Counter[str] = Counter()
        self.models: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Count an image and its masks, and what a model says of how it made them."""
        self.images += 1
        for annotation in record["annotations"]:
            self.masks["crowd regions" if annotation.get("iscrowd") else "objects"] += 1
            self.categories[str(annotation.get("category") or "")] += 1
        if isinstance(settings := record.get("anymask"), dict):
            self.models[json.dumps({key: settings[key] for key in sorted(settings) if key != "image"})] += 1

    def counts(self) -> dict[str, Any]:
        """What was counted, JSON-ready."""
        return {kind: dict(getattr(self, kind)) for kind in COUNTED} | {"images": self.images}

    def add_counts(self, counts: Mapping[str, Any]) -> None:
        """Add what another card counted."""
        self.images += counts["images"]
        for kind in COUNTED:
            getattr(self, kind).update(counts[kind])

    def write(self, folder: Path, losses: Mapping[str, int] | None = None, faults: int = 0) -> None:
        """Write DATA_CARD.md and source.json into a folder."""
        facts = self._facts(dict(losses or {}), faults)
        write_json(folder / SOURCE, facts, indent=1)
        with replacing(folder / CARD) as temporary:
            temporary.write_text("\n".join(self._lines(facts)) + "\n", encoding="utf-8")

    def _facts(self, losses: dict[str, int], faults: int) -> dict[str, Any]:
        unnamed = self.categories[""]
        return {
            "sources": [asdict(source) for source in self.sources],
            "licence": "; ".join(dict.fromkeys(source.licence for source in self.sources)) or UNKNOWN,
            "made": self.made or UNKNOWN,
            "by": f"anymask {__version__}",
            "date": date.today().isoformat(),
            "images": self.images,
            "masks": dict(self.masks),
            "without_category": unnamed,
            "categories": {name: times for name, times in self.categories.most_common() if name},
            "models": [{**json.loads(settings), "images": times} for settings, times in self.models.most_common()],
            "lost": losses,
            "left_out_as_faulty": faults,
        }

    def _lines(self, facts: Mapping[str, Any]) -> list[str]:
        lines = ["# Data card", "", f"Made by {facts['by']} on {facts['date']}.", ""]
        if self.made:
            lines += ["## How it was made", "", f"    {self.made}", ""]
        for model in facts["models"]:
            settings = "; ".join(f"{key} {_told(model[key])}" for key in model if key != "images")
            lines += [f"Masks of {model['images']} images are a model's: {settings}.", ""]
        lines += ["## What it holds", "", "| what | how many |", "| --- | ---: |", f"| images | {self.images} |"]
        lines += [f"| {kind} | {times} |" for kind, times in facts["masks"].items()]
        lines += [f"| masks without a category | {facts['without_category']} |", ""]
        if facts["categories"]:
            lines += ["| category | masks |", "| --- | ---: |"]
            lines += [f"| {_cell(name)} | {times} |" for name, times in list(facts["categories"].items())[:SHOWN]]
            more = len(facts["categories"]) - SHOWN
            lines += [f"| and {more} more, in {SOURCE} | |"] * (more > 0) + [""]
        for loss, times in facts["lost"].items():
            lines += [f"Lost, for the format cannot hold it: {loss}, {times}.", ""]
        if facts["left_out_as_faulty"]:
            lines += [f"Faults in the source, whose images or masks are left out: {facts['left_out_as_faulty']}.", ""]
        lines += ["## Where it is from", "", "| source | licence | origin | how made |", "| --- | --- | --- | --- |"]
        for source in self.sources:
            lines.append("| " + " | ".join(_cell(value) for value in asdict(source).values()) + " |")
        return lines


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(each)}" for key, each in value.items())
    return _cell(str(value))


def _cell(text: str) -> str:
    """Text as it stands in a table."""
    return " ".join(text.split()).replace("|", "\\|")
