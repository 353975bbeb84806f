"""What the catalogue says of a data set: what it shows, where it is from, how it lies on disk, what the paper took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """Labels that are opened in one go."""

    path: str
    """the file or folder of the labels, relative to the folder of the set"""
    images: str | None = None
    """the folder of the images, relative to the folder of the set; None where they lie with the labels"""
    name: str = ""
    """what the names of its samples begin with, where those of two parts are alike"""


@dataclass(frozen=True)
class DataSet:
    """A data set, as in Table 7 of the paper.

    The numbers of images and masks are those that were evaluated, after sampling.
    """

    name: str
    """also that of its folder"""
    title: str
    image_type: str
    content: str
    mask_type: str
    split: str
    images: int
    masks: int
    home: str
    format: str
    """a key of FORMATS"""
    parts: tuple[Part, ...]
    layout: str
    """what to get, and the files that then lie in the folder of the set"""
    options: Mapping[str, Any] = field(default_factory=dict)
    """what the format's loader is told"""
    licence: str | None = None
    """None where it is not known; the home page says"""
    sampled: bool = False
    """whether the paper took a part of the split's images"""
    note: str = ""
    """what is assumed where neither the paper nor the set's own pages say"""
