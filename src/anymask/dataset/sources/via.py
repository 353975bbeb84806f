"""VGG Image Annotator's JSON: regions of any shape on the images of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...task import rle
from ..sample import Record, Sample
from . import shapes
from .records import check_image, inside, read_json, reading, sample_names, upright_size

EXPECTED = "a VIA JSON: images with filename and regions, those with shape_attributes and region_attributes"


def open_via(path: str | Path, images: str | Path | None = None, *, category: str | None = None) -> list[Sample]:
    """The samples of a VIA JSON, exported or a whole project, in its order.

    A polyline is taken as closed; a point has no mask and is left out. The region's attributes are kept.

    Args:
        path: the JSON.
        images: the folder of the images; that of the JSON where it is None.
        category: which attribute of a region is its category; its only text where it is None.

    Raises DataError where it is none, or an image is listed twice; one that is not on disk raises it when read.
    """
    path = Path(path)
    content = read_json(path, EXPECTED)
    with reading(str(path), EXPECTED):
        content = content.get("_via_img_metadata", content)
        entries = [(entry["filename"], _regions(entry["regions"])) for entry in content.values()]
    folder = Path(images or path.parent)
    places = [inside(folder, name, f"{path}: image {index}") for index, (name, _) in enumerate(entries)]
    names = sample_names([place.relative_to(folder) for place in places], path)
    return [
        Sample(path, name, partial(_read, path, place, name, regions, category), place)
        for place, name, (_, regions) in zip(places, names, entries, strict=True)
    ]


def _regions(regions: Any) -> list[Any]:
    """VIA 1 numbers the regions, VIA 2 lists them."""
    return list(regions.values()) if isinstance(regions, Mapping) else list(regions)


def _read(where: Path, path: Path, name: str, regions: list[Any], category: str | None) -> Record:
    check_image(f"{where}: image {name}", path)
    height, width = upright_size(path)
    annotations: list[Record] = []
    for index, region in enumerate(regions):
        with reading(f"{where}: image {name}, region {index}", EXPECTED):
            mask = _mask(region["shape_attributes"], height, width)
            attributes = region.get("region_attributes", {})
            if mask is not None:
                record = {"id": index + 1, "segmentation": mask, "attributes": attributes}
                text = _category(attributes, category)
                annotations.append(record | ({"category": text} if text else {}))
    image = {"image_id": name, "file_name": path.name, "width": width, "height": height}
    return {"image": image, "annotations": annotations}


def _mask(shape: Mapping[str, Any], height: int, width: int) -> rle.RLE | None:
    kind = shape["name"]
    if kind in ("polygon", "polyline"):
        corners = list(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
        return shapes.polygons([corners], height, width)
    if kind == "rect":
        return shapes.rectangle(shape["x"], shape["y"], shape["width"], shape["height"], height, width)
    if kind == "circle":
        return shapes.ellipse((shape["cx"], shape["cy"]), (shape["r"], shape["r"]), height, width)
    if kind == "ellipse":
        centre, radii = (shape["cx"], shape["cy"]), (shape["rx"], shape["ry"])
        return shapes.ellipse(centre, radii, height, width, shape.get("theta", 0.0))
    if kind == "point":
        return None
    raise DataError(f"has the shape {kind!r}; expected polygon, polyline, rect, circle, ellipse or point")


def _category(attributes: Mapping[str, Any], key: str | None) -> str | None:
    if key is not None:
        text = attributes.get(key)
        return text if isinstance(text, str) else None
    texts = [text for text in attributes.values() if isinstance(text, str) and text]
    return texts[0] if len(texts) == 1 else None
