"""A set in parts, such as for training and for validation, that share no image."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from ..errors import ConfigError
from ..task.groups import Groups
from .export.writer import category
from .problems import Problems, Progress
from .sample import Sample
from .similar import near_pairs, perceptual_hash


def split(
    samples: Sequence[Sample],
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    group: str = "",
    near: int | None = None,
    problems: Problems | None = None,
    progress: Progress | None = None,
) -> dict[str, list[Sample]]:
    """The samples of each part, in their order.

    Images of the same bytes come into one part, whatever they are called. The same seed and images give the same parts.

    Args:
        samples: of any source.
        shares: of the images, by the parts' names; they sum to 1.
        seed: for another choice.
        group: a regular expression; images whose names it finds the same text in (its first group's, if it has one)
            come into one part, such as the frames of a video.
        near: images whose perceptual hashes differ in so many bits or fewer come into one part, too.
        problems: takes what is wrong with images, which are then in no part.
        progress: called after each image.

    Raises ConfigError for shares that do not sum to 1 or an expression that is none, and DataError or ImageError for
    an image that cannot be read.
    """
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise ConfigError(f"shares {dict(shares)}: expected parts over 0 that sum to 1, such as train=.8,val=.2")
    readable, groups = _groups(samples, _expression(group), near, problems or Problems(), progress)
    order = sorted(groups, key=lambda members: _rank(seed, readable[min(members)].name))
    chosen: dict[str, list[int]] = {part: [] for part in shares}
    for members in order:
        lacking = {part: share * len(readable) - len(chosen[part]) for part, share in shares.items()}
        chosen[max(lacking, key=lambda part: lacking[part])] += members
    return {part: [readable[place] for place in sorted(places)] for part, places in chosen.items()}


def categories_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The categories of all samples whose records can be read, in the order in which they come."""
    names: dict[str, None] = {}
    for sample in samples:
        with Problems(keep_going=True).noted():
            names.update(dict.fromkeys(category(annotation) for annotation in sample.record["annotations"]))
        sample.forget()
    return tuple(names)


def _groups(
    samples: Sequence[Sample],
    expression: re.Pattern[str] | None,
    near: int | None,
    problems: Problems,
    progress: Progress | None,
) -> tuple[list[Sample], Groups[int]]:
    """The samples whose images can be read, and which of them belong together."""
    readable: list[Sample] = []
    keys: list[list[str]] = []
    hashes: list[int] = []
    for done, sample in enumerate(samples, 1):
        with problems.noted():
            mine = [hashlib.sha256(sample.image_bytes()).hexdigest()]
            if expression and (match := expression.search(sample.name)):
                mine.append("name " + (match[1 if expression.groups else 0] or ""))
            if near is not None:
                hashes.append(perceptual_hash(sample.image()))
            keys.append(mine)
            readable.append(sample)
        sample.forget()
        if progress:
            progress(done, len(samples))
    groups: Groups[int] = Groups()
    groups.add(range(len(readable)))
    if near is not None:
        keys = [[*mine, f"hash {number}"] for mine, number in zip(keys, hashes, strict=True)]
    first: dict[str, int] = {}
    for place, mine in enumerate(keys):
        for key in mine:
            groups.join(place, first.setdefault(key, place))
    distinct = list(dict.fromkeys(hashes))
    for a, b in near_pairs(distinct, near) if near is not None else ():
        groups.join(first[f"hash {distinct[a]}"], first[f"hash {distinct[b]}"])
    return readable, groups


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogateescape")).hexdigest()


def _expression(group: str) -> re.Pattern[str] | None:
    try:
        return re.compile(group) if group else None
    except re.error as error:
        raise ConfigError(f"group {group!r}: is no regular expression ({error})") from None
