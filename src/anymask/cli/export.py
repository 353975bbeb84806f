"""`anymask export`: a model as ONNX or OpenVINO files, for other programs to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from ..errors import ConfigError
from .models import load

if TYPE_CHECKING:
    from ..export.verify import Difference

EXAMPLES = Path(__file__).parents[3] / "examples" / "photos"
"""photos of a checkout"""
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def export(
    model: Annotated[str, typer.Argument(help="A model's name (anymask models list) or a weights file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, which must not be there yet.")],
    form: Annotated[
        Literal["onnx", "openvino"], typer.Option("--format", help="ONNX, or OpenVINO's .xml with .bin.")
    ] = "onnx",
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="Of the decoder's weights: float16 are half the bytes, int8 a quarter, and less exact."),
    ] = "float32",
    parts: Annotated[bool, typer.Option("--parts", help="Also the decoder in parts, as a browser runs it.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with PyTorch on photos; exit 1 where it is too far off.")
    ] = False,
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photos for --verify, or one photo. [default: a checkout's examples]")
    ] = None,
) -> None:
    """Write a model's encoder and decoder as files that other programs run.

    The folder holds encoder, decoder, enlarge (low-resolution masks to the photo's size) and manifest.json;
    docs/export.md says what goes in and comes out.
    """
    from ..export.write import check_libraries, export_model

    chosen = _photos(photos) if verify or photos else []  # which tells before the work if there are none
    check_libraries(form)
    sam = load(model, "cpu")
    console = Console(highlight=False, markup=False)
    with Console(stderr=True).status(f"exporting {sam.config.name}"):
        manifest = export_model(sam, out, form, precision, parts, _licence(model, sam.config.name))
    for name, record in manifest["files"].items():
        size = decimal(sum(file["bytes"] for file in record["files"]))
        console.print(f"  {name:<8} {out / record['files'][0]['file']} ({size})", soft_wrap=True)
    if chosen:
        from ..export.verify import check
        from ..export.verify import verify as compare

        differences = compare(sam, out, chosen)
        console.print(_table(differences, len(chosen)))
        check(out, precision, differences)


def _photos(given: Path | None) -> list[Path]:
    """The photos to verify with. Raises ConfigError where there are none."""
    folder = given or EXAMPLES
    if folder.is_file():
        return [folder]
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in PHOTOS)
    if not found:
        raise ConfigError(f"--photos {folder}: no photos there; name a folder with some, or one photo")
    return found


def _licence(model: str, name: str) -> str:
    """The licence of a model's weights: what the file's card says, or the registry; empty where nothing says."""
    from ..model.checkpoint import read_card
    from ..model.registry import MODELS
    from ..model.weights import find_weights

    file = find_weights(model) if model in MODELS else Path(model)
    card = read_card(file) if file and file.suffix == ".safetensors" else {}
    known = MODELS[name].licence if model in MODELS else ""
    return str(card.get("licence") or known)


def _table(differences: list[Difference], photos: int) -> Table:
    table = Table(title=f"differences from PyTorch on {photos} photos", title_justify="left", box=None, pad_edge=False)
    table.add_column("what", no_wrap=True)
    for title in ("largest", "mean", "of the spread", "predicted IoU", "IoU of masks"):
        table.add_column(title, justify="right", no_wrap=True)
    for found in differences:
        cells = [found.what, f"{found.largest:.1e}", f"{found.mean:.1e}"]
        if found.what != "embedding":
            cells += [f"{found.share:.1e}", f"{found.iou:.1e}", f"{found.masks:.5f}"]
        table.add_row(*cells)
    return table
