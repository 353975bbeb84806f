"""The page on which a person decides what is blurred: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import replacing
from ..task.image import fit_within
from .contact_sheet import in_script, jpeg
from .detectors import Region
from .problems import Problems
from .sample import Sample

SIDE = 1000
"""longest side of an image on the page, in pixels"""


def write_review(
    path: Path,
    samples: Sequence[Sample],
    found: Mapping[str, Sequence[Region]],
    *,
    everything: bool = False,
    problems: Problems | None = None,
) -> int:
    """Write a page that shows images with what was found in them; how many it shows.

    There a click on a box decides whether it is blurred, a drag adds one that was missed, and what was decided is saved
    as a file for `read_decisions`.

    Args:
        path: the page.
        samples: the images.
        found: what was found, by name.
        everything: also show images in which nothing was found.
        problems: takes images that cannot be read.

    Raises DataError where there is nothing to show.
    """
    problems = problems or Problems()
    template = (resources.files(__package__) / "privacy_page.html").read_text(encoding="utf-8")
    head, tail = template.split("__IMAGES__")
    shown = 0
    with replacing(path) as temporary:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(f"{head}[")
            for sample in samples:
                regions = found.get(sample.name, ())
                if regions or everything:
                    with problems.noted():
                        item = in_script(_item(sample, regions))
                        file.write(",\n" * (shown > 0) + item)
                        shown += 1
                sample.forget()
            file.write(f"]{tail}")
        if not shown:
            raise DataError(f"{path}: would show nothing, for nothing was found; --all shows all images")
    return shown


def _item(sample: Sample, regions: Sequence[Region]) -> dict[str, Any]:
    image = sample.image()
    height, width = image.shape[:2]
    return {
        "name": sample.name,
        "width": width,
        "height": height,
        "image": jpeg(fit_within(image, SIDE)[0]),
        "regions": [{**asdict(region), "blur": True} for region in regions],
    }
