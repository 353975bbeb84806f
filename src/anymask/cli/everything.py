"""`anymask everything`: all masks of a photo, or of a folder of photos."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import AnymaskError, ImageError, OutputError
from ..runtime.names import Precision, RuntimeName
from .models import load

if TYPE_CHECKING:
    from ..predict.automask.generator import SamAutomaticMaskGenerator

SOME_FAILED = 3
"""exit code where some files of a folder failed"""


def everything(
    source: Annotated[Path, typer.Argument(metavar="IMAGE|DIR", help="A photo, or a folder of photos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("masks"),
    preset: Annotated[
        Literal["objects", "parts", "dense"],
        typer.Option(help="objects: 16×16 points; parts: 32×32; dense: 32×32 and four zoomed-in crops."),
    ] = "objects",
    model: Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")] = "nano",
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the model; auto takes the fastest.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="fast computes in bfloat16, where the chip does.")] = "exact",
    cutouts: Annotated[bool, typer.Option(help="Also a cut-out with alpha of each mask, in NAME_cutouts.")] = False,
    again: Annotated[bool, typer.Option(help="Do photos anew that were done with the same settings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON, a line an image.")] = False,
) -> None:
    """Find all masks of a photo, or of every photo of a folder.

    Writes NAME_overlay.jpg, NAME_labels.png and NAME.json (SA-1B) for each. A run over a folder goes on where it
    stopped; a file that fails is reported at the end, and the exit code is then 3.
    """
    photos = _photos(source)
    if source.is_dir() and out.resolve() == source.resolve():
        raise typer.BadParameter(f"-o {out}: results would lie among the photos; name another folder")
    from ..files import make_folder
    from ..predict.automask.presets import preset_generator

    sam = load(model, device)
    generator = preset_generator(sam, preset, output_mode="coco_rle", runtime=runtime, precision=precision)
    settings = {"model": sam.config.name, "weights": sam.weights_hash, "preset": preset, "cutouts": cutouts}
    settings["precision"] = precision
    settings["options"] = generator.options
    folder = make_folder(out)
    failed: list[str] = []
    console = Console(stderr=True, highlight=False, markup=False)
    with _progress(console) as progress:
        files = progress.add_task("photos", total=len(photos), visible=len(photos) > 1)
        points = progress.add_task("points", total=None)
        for photo, stem in photos.items():
            try:
                summary = _one(photo, stem, generator, settings, folder, _update(progress, points), again)
            except (AnymaskError, MemoryError) as error:
                if source.is_file() or isinstance(error, OutputError):
                    raise
                failed.append(str(error) or f"{photo}: not enough memory")
            else:
                _report(summary, as_json)
            progress.advance(files)
    for line in failed:
        console.print(f"failed: {line}", soft_wrap=True)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _photos(source: Path) -> dict[Path, str]:
    """The photos to do, each with the stem of its results; the whole name where two photos share a stem."""
    from ..dataset.sa1b import IMAGE_SUFFIXES

    if not source.exists():
        raise ImageError(f"{source}: no such file or folder; check the path")
    if not source.is_dir():
        return {source: source.stem}
    try:
        photos = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    except OSError as error:
        raise ImageError(f"{source}: cannot be read ({error.strerror}); check its permissions") from None
    if not photos:
        raise ImageError(f"{source}: holds no photos; expected files such as {', '.join(IMAGE_SUFFIXES)}")
    stems = [photo.stem for photo in photos]
    return {photo: photo.name if stems.count(photo.stem) > 1 else photo.stem for photo in photos}


def _done(record: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The record of an earlier run that finished this photo with these settings; it is written last."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return found if found["anymask"] == settings else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _one(
    photo: Path,
    stem: str,
    generator: SamAutomaticMaskGenerator,
    settings: dict[str, Any],
    folder: Path,
    update: Callable[[int, int], None],
    again: bool,
) -> dict[str, Any]:
    """Do one photo and write its results, unless that was done before; return what `--json` prints."""
    from ..files import remove
    from ..predict.render import cutout
    from ..task import rle
    from ..task.image import read_image
    from .results import common_files, keep_foreign, sa1b_record, write_common, write_image

    pixels = read_image(photo)
    settings = {**settings, "image": hashlib.sha256(pixels.tobytes()).hexdigest()[:16]}
    files = common_files(folder, stem)
    earlier = None if again else _done(Path(files["record"]), settings)
    if earlier and all(Path(file).exists() for file in files.values()):
        return {"image": str(photo), "masks": len(earlier["annotations"]), "done_before": True, "files": files}
    keep_foreign(Path(files["record"]))
    records = generator.generate(pixels, update)
    masks = rle.Decoded([record["segmentation"] for record in records])
    cutouts = folder / f"{stem}_cutouts"
    for stale in cutouts.glob("[0-9][0-9][0-9].png"):
        remove(stale)
    if settings["cutouts"]:
        for i, mask in enumerate(masks):
            write_image(cutouts / f"{i + 1:03}.png", cutout(pixels, mask))
    write_common(folder, stem, pixels, masks, sa1b_record(photo, pixels, records, settings))
    return {"image": str(photo), "masks": len(records), "done_before": False, "files": files}


def _report(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        json.dump(summary, sys.stdout)
        print(flush=True)
    else:
        note = " (done before; --again does it anew)" if summary["done_before"] else ""
        count = f"{summary['masks']} mask{'' if summary['masks'] == 1 else 's'}"
        Console(highlight=False, markup=False).print(
            f"{summary['image']}: {count}, {summary['files']['overlay']}{note}", soft_wrap=True
        )


def _update(progress: Progress, task: Any) -> Callable[[int, int], None]:
    def update(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    return update


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
