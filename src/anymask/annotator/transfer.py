"""Masks out of a project into a zip of any format, and out of a zip or a file of labels into a project."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from sqlalchemy import select

from ..data_engine.store.changes import apply_changes
from ..data_engine.store.labels import labels_by_name
from ..data_engine.store.records import Change, Mask
from ..data_engine.store.samples import project_samples
from ..data_engine.store.tables import ImageRow, ObjectRow
from ..dataset.card import Source
from ..dataset.convert import Origin, Target, convert
from ..dataset.export.writer import category
from ..dataset.formats import FORMATS, open_data, recognise
from ..dataset.problems import Problems
from ..dataset.sample import Sample
from ..dataset.sources.records import is_image
from ..errors import DataError, LockedError
from ..files import make_folder, replacing
from ..task import rle
from .jobs import Progress
from .schemas import ExportIn
from .services import Services

UNPACKED = 20
"""times its size, at most, that a zip may unpack to"""
ZIP = re.compile(r"[\w\-+.]+\.zip")


def export_project(work: Services, given: ExportIn, progress: Progress) -> dict[str, Any]:
    """Write the masks of a project as a zip; where it can be fetched, and what is in it. Raises DataError for none."""
    samples = project_samples(work.store, work.folder.folder, given.only)
    if not samples:
        raise DataError("there is nothing to export: no photo has masks" if given.only == "all" else "no photo is done")
    target = Target(given.format, images="link" if given.images else "none")
    project = re.sub(r"[^\w\-+.]", "_", work.folder.folder.name) or "project"
    name = f"{project}-{given.format}-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}.zip"
    folder = make_folder(work.kept / "exports")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        out = Path(temporary) / project
        origin = Origin((Source(project),), "anymask annotate")
        result = convert(samples, out, target, origin=origin, progress=progress)
        with replacing(folder / name) as whole, zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(out.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(out.parent))
    return {
        "url": f"/api/exports/{name}",
        "images": result.images,
        "masks": result.masks,
        "losses": dict(result.losses),
    }


def exported(work: Services, name: str) -> Path | None:
    """Where an exported zip lies; None where there is none of this name."""
    path = work.kept / "exports" / name
    return path if ZIP.fullmatch(name) and path.is_file() else None


def import_labels(
    work: Services, person: str, name: str, content: bytes, format: str, progress: Progress
) -> dict[str, Any]:
    """Take over masks for photos of the same names; how many, and what could not be taken.

    What was taken over before is not taken twice. Raises DataError for labels that cannot be read.
    """
    problems = Problems(keep_going=True)
    with tempfile.TemporaryDirectory(dir=make_folder(work.kept)) as temporary:
        samples = _opened(work, Path(temporary) / "labels", name, content, format, problems)
        images = _by_name(work)
        done = {"images": 0, "masks": 0, "known": 0, "unmatched": 0}
        left: list[str] = []
        for number, sample in enumerate(samples, 1):
            image_id = _match(sample, images)
            if image_id is None:
                done["unmatched"] += 1
            else:
                try:
                    with problems.noted():
                        new, known = _take_over(work, person, image_id, sample)
                        done["images"] += 1
                        done["masks"] += new
                        done["known"] += known
                except LockedError as error:
                    left.append(f"{sample.name}: {error}")
            sample.forget()
            progress(number, len(samples))
    return {**done, "problems": [*problems.found, *left][:100]}


def _opened(
    work: Services, folder: Path, name: str, content: bytes, format: str, problems: Problems
) -> Sequence[Sample]:
    """The samples of what was uploaded. Raises DataError where it cannot be read."""
    folder.mkdir()
    path = _unpacked(folder, name, content)
    found = None
    for place in _places(path):
        try:
            found = (place, recognise(place) if format == "auto" else format)
            break
        except DataError:
            continue
    if found is None:
        raise DataError(f"{name}: its format cannot be told; choose it, or upload one of {', '.join(FORMATS)}")
    place, kind = found
    own = FORMATS.get(kind)
    if own is None or "images" not in own.options:
        return open_data(place, kind, None, problems)
    came_along = {each.parent for each in path.rglob("*") if is_image(each)}
    images = Path(os.path.commonpath(came_along)) if came_along else _linked(path.with_name("links"), work)
    return open_data(place, kind, images, problems)


def _linked(folder: Path, work: Services) -> Path:
    """A folder of links to the project's photos, by bare names and by the names that exports give them."""
    folder.mkdir()
    for name in sorted(work.folder.names()):
        for link in (folder / name.replace("/", "__"), folder / Path(name).name):
            with suppress(FileExistsError):
                link.symlink_to(work.folder.folder / name)
    return folder


def _unpacked(folder: Path, name: str, content: bytes) -> Path:
    """A zip's content as a folder, or one file in a folder."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        target = folder / (re.sub(r"[^\w\-+.]", "_", Path(name).name) or "labels")
        target.write_bytes(content)
        return folder
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(each.file_size for each in archive.infolist())
        if size > max(UNPACKED * len(content), 1 << 20) or size > shutil.disk_usage(folder).free:
            raise DataError(f"{name}: unpacks to {size >> 20} MB, which is too much; upload the labels without photos")
        try:
            archive.extractall(folder)  # which keeps all names inside the folder
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:
            raise DataError(f"{name}: cannot be unpacked ({error}); pack it again") from None
    return folder


def _places(folder: Path) -> Iterator[Path]:
    """Where in a folder labels may lie: the folder, folders that are alone in it, and files."""
    while True:
        yield folder
        inner = [each for each in folder.iterdir() if not each.name.startswith((".", "__"))]
        if len(inner) != 1 or not inner[0].is_dir():
            break
        folder = inner[0]
    for pattern in ("*.json", "*.yaml", "*.xml", "*/*.json", "*"):
        yield from sorted(folder.glob(pattern))


def _by_name(work: Services) -> dict[str, int | None]:
    """Images by their paths, with and without ending, and by bare names that only one has; None for several."""
    with work.store.reading() as session:
        rows = session.execute(select(ImageRow.id, ImageRow.name).where(ImageRow.missing.is_(False))).all()
    found: dict[str, int | None] = {}
    for image_id, name in rows:
        path = Path(name)
        for key in {path.as_posix(), path.with_suffix("").as_posix(), path.name, path.stem}:
            found[key] = None if key in found and found[key] != image_id else image_id
    return found | {name: image_id for image_id, name in rows}


def _match(sample: Sample, images: dict[str, int | None]) -> int | None:
    """The photo that a sample is of, by its name."""
    keys = [sample.name, sample.image_path.name, Path(sample.name).name, sample.name.replace("__", "/")]
    return next((found for key in keys if (found := images.get(key)) is not None), None)


def _take_over(work: Services, person: str, image_id: int, sample: Sample) -> tuple[int, int]:
    """Put a sample's masks onto a photo; how many were new, and how many were there."""
    image = work.find(image_id)
    if sample.size != [image.height, image.width]:
        raise DataError(
            f"{sample.name}: is {sample.size[1]}×{sample.size[0]} pixels, the project's is {image.width}×{image.height}"
        )
    sample.check_masks()
    with work.store.writing() as session:
        ids = labels_by_name(session, [category(each) for each in sample.annotations if each.get("category")])
        session.flush()
        there = set(session.scalars(select(ObjectRow.id).where(ObjectRow.image_id == image_id)))
        changes, known = [], 0
        for order, annotation in enumerate(sample.annotations, len(there)):
            mask = _compressed(annotation["segmentation"])
            if not rle.area(mask):
                continue
            label = ids[category(annotation)] if annotation.get("category") else None
            own = str(uuid5(NAMESPACE_URL, f"{image.name} {label} {mask['counts']}"))
            if own in there:
                known += 1
                continue
            put = Mask(own, mask, label, annotation.get("predicted_iou"), "import", order)
            changes.append(Change(str(uuid4()), "put", put))
        apply_changes(session, image_id, person, _version(session, image_id), changes)
    return len(changes), known


def _version(session: Any, image_id: int) -> int:
    return int(session.scalar(select(ImageRow.version).where(ImageRow.id == image_id)))


def _compressed(mask: rle.RLE) -> rle.RLE:
    """In COCO's compressed form, as the store keeps it."""
    return mask if isinstance(mask.get("counts"), str) else rle.encode(rle.decode(mask))
