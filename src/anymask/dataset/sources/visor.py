"""EPIC-KITCHENS VISOR: a folder of JSONs, one a video, with polygons of the objects in some of its frames."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...errors import DataError
from ..sa1b import json_files
from ..sample import Record, Sample
from . import shapes
from .records import check_image, find_by_name, read_json, reading, sample_names, upright_size

EXPECTED = "a VISOR JSON with video_annotations, whose images have a name and whose annotations have segments"


def open_visor(path: str | Path, images: str | Path | None = None) -> list[Sample]:
    """A sample for each annotated frame, in the order of videos and frames.

    `images` is the folder of the frames, in any subfolders; `path` where it is None. An object that is out of sight
    in a frame has no mask there. Raises DataError where there are no such JSONs; a frame that is not on disk raises it
    when read.
    """
    path = Path(path)
    files = json_files(path) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: holds no .json; expected VISOR's, one a video")
    frames: list[tuple[Path, str, list[Record]]] = []
    for file in files:
        content = read_json(file, EXPECTED)
        with reading(str(file), EXPECTED):
            frames += [(file, frame["image"]["name"], frame["annotations"]) for frame in content["video_annotations"]]
    folder = Path(images or (path if path.is_dir() else path.parent))
    places = find_by_name(folder, [name for _, name, _ in frames])
    names = sample_names([Path(name) for _, name, _ in frames], path)
    return [
        Sample(file, name, partial(_read, file, places[frame], name, annotations), places[frame])
        for name, (file, frame, annotations) in zip(names, frames, strict=True)
    ]


def _read(file: Path, path: Path, name: str, annotations: list[Record]) -> Record:
    check_image(f"{file}: frame {name}", path)
    height, width = upright_size(path)
    masks: list[Record] = []
    for index, annotation in enumerate(annotations):
        with reading(f"{file}: frame {name}, annotation {index}", EXPECTED):
            kept = {key: value for key, value in annotation.items() if key not in ("id", "segments")}
            kept |= {"id": index + 1, "source_id": annotation.get("id"), "category": annotation["name"]}
            segments = annotation["segments"]
            if segments:
                masks.append(kept | {"segmentation": shapes.polygons(segments, height, width, holes=True)})
    image = {"image_id": name, "file_name": path.name, "width": width, "height": height}
    return {"image": image, "annotations": masks}
