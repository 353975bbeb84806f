"""`anymask segment`: one object by clicks, a box or an earlier mask."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from ..errors import PromptError
from ..runtime.names import Precision, Refine, RuntimeName
from .models import load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..predict.predictor import Prediction, SamPredictor
    from ..task.prompts import Prompt


def segment(
    image: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    point: Annotated[list[str], typer.Option(metavar="X,Y", help="A click on the object; may be repeated.")] = [],  # noqa: B006
    neg: Annotated[list[str], typer.Option(metavar="X,Y", help="A click on background; may be repeated.")] = [],  # noqa: B006
    box: Annotated[str, typer.Option(metavar="X0,Y0,X1,Y1", help="A box around the object.")] = "",
    mask: Annotated[
        Path | None, typer.Option(help="An earlier mask to go on from: NAME_logits.npy, or a black and white picture.")
    ] = None,
    model: Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")] = "nano",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("masks"),
    pick: Annotated[
        Literal["best", "largest", "smallest"], typer.Option(help="Which of the three masks a single click means.")
    ] = "best",
    all_masks: Annotated[bool, typer.Option("--all", help="Keep all three masks of a single click.")] = False,
    keep_parts: Annotated[bool, typer.Option(help="Keep stray components and holes.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the model; auto takes the fastest.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="fast computes in bfloat16, where the chip does.")] = "exact",
    refine: Annotated[
        Refine, typer.Option(help="zoom asks again in the crop around the mask, for crisp edges of small objects.")
    ] = "none",
    second_look: Annotated[
        bool,
        typer.Option(
            "--second-look", help="Show the model its best mask: scores then tell more surely how good it is."
        ),
    ] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="Keep the photo's embedding, so that more clicks on it take no encoding.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Cut one object out of a photo.

    Coordinates are pixels from the top left corner. Writes NAME_cutout.png (with alpha), NAME_overlay.jpg,
    NAME_labels.png, NAME_logits.npy (to go on from with --mask) and NAME.json (SA-1B).
    """
    clicks = [_numbers("--point", text, 2) for text in point] + [_numbers("--neg", text, 2) for text in neg]
    corners = _numbers("--box", box, 4) if box else None
    if not point and corners is None and mask is None:
        raise typer.BadParameter("nothing to segment: give --point X,Y, --box X0,Y0,X1,Y1 or --mask FILE")

    from ..files import make_folder
    from ..predict.embedding_cache import EmbeddingCache
    from ..predict.predictor import SamPredictor
    from ..task.image import read_image
    from ..task.prompts import Prompt

    pixels = read_image(image)
    if out.exists():
        make_folder(out)  # which tells before the work if it cannot be written to
    predictor = SamPredictor(
        load(model, device), runtime, precision, EmbeddingCache() if cache else None, refine, second_look
    )
    frame = predictor.model.frame(*pixels.shape[:2])
    earlier = None if mask is None else _read_mask(mask, predictor, pixels)
    labels = [1] * len(point) + [0] * len(neg)
    prompt = Prompt(clicks or None, labels or None, corners, earlier)
    prompt.check_inside(frame)
    predictor.set_image(pixels)
    prediction = predictor.predict_many([prompt])[0]
    summary = _write(image, pixels, prompt, prediction, predictor, out, pick, all_masks, keep_parts)
    if as_json:
        json.dump(summary, sys.stdout, indent=2)
        print()
    else:
        _print(summary)


def _numbers(flag: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        expected = "X,Y" if count == 2 else "X0,Y0,X1,Y1"
        raise typer.BadParameter(f"{flag} {text!r}: expected {expected}, {count} numbers with commas between them")
    return numbers


def _read_mask(path: Path, predictor: SamPredictor, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits of a .npy file as they are; a picture of the photo's size is turned into logits."""
    import numpy as np

    from ..task.image import read_image

    if path.suffix == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise PromptError(f"{path}: cannot be read as a NumPy file ({error})") from None
    picture = read_image(path)
    if picture.shape != pixels.shape:
        raise PromptError(
            f"{path}: a mask of {picture.shape[1]}×{picture.shape[0]} pixels; expected the photo's size, "
            f"{pixels.shape[1]}×{pixels.shape[0]}"
        )
    brightest = int(picture.max())
    if brightest not in (0, 1) and brightest < 128:
        raise PromptError(f"{path}: its brightest pixel is {brightest}; expected a mask, 255 (or 1) on black")
    size = predictor.model.config.mask_size
    return predictor.model.frame(*pixels.shape[:2]).mask_to_logits(picture.max(axis=2) > brightest // 2, size)


def _write(
    source: Path,
    pixels: NDArray[np.uint8],
    prompt: Prompt,
    prediction: Prediction,
    predictor: SamPredictor,
    out: Path,
    pick: Literal["best", "largest", "smallest"],
    all_masks: bool,
    keep_parts: bool,
) -> dict[str, Any]:
    """Choose, clean and write the masks; return what was written and the figures of each mask."""
    import numpy as np

    from ..files import make_folder, remove, replacing
    from ..predict.render import cutout
    from ..task import rle
    from ..task.ambiguity import choose
    from ..task.boxes import mask_boxes, xyxy_to_xywh
    from ..task.regions import clean
    from .results import keep_foreign, sa1b_record, write_common, write_image

    best = choose(prediction.scores, prediction.masks.sum(axis=(1, 2)), pick)
    others = [i for i in np.argsort(-prediction.scores) if i != best] if all_masks else []
    order = [best, *(int(i) for i in others)]
    masks = [prediction.masks[i] if keep_parts else clean(prediction.masks[i]) for i in order]
    if not masks[0].any():
        raise PromptError("the mask is empty, so nothing was written: add --point X,Y on the object, or a --box")
    annotations = [
        {
            "segmentation": rle.encode(mask),
            "bbox": xyxy_to_xywh(mask_boxes(mask[None])[0]).tolist(),
            "area": int(mask.sum()),
            "predicted_iou": round(float(prediction.scores[i]), 4),
            "point_coords": prompt.points.tolist(),
        }
        for i, mask in zip(order, masks, strict=True)
    ]
    folder, stem = make_folder(out), source.stem
    settings = {"model": predictor.model.config.name, "weights": predictor.model.weights_hash}
    files: dict[str, str] = {}
    keep_foreign(folder / f"{stem}.json")
    for stale in (2, 3):
        remove(folder / f"{stem}_cutout_{stale}.png")
    for rank, mask in enumerate(masks):
        name = f"{stem}_cutout.png" if rank == 0 else f"{stem}_cutout_{rank + 1}.png"
        files["cutout" if rank == 0 else f"cutout_{rank + 1}"] = str(write_image(folder / name, cutout(pixels, mask)))
    with replacing(folder / f"{stem}_logits.npy") as temporary:
        np.save(temporary, prediction.logits[best])
    files["logits"] = str(folder / f"{stem}_logits.npy")
    record = sa1b_record(source, (pixels.shape[0], pixels.shape[1]), annotations, settings)
    files |= write_common(folder, stem, pixels, masks, record, prompt)
    figures = [{key: a[key] for key in ("predicted_iou", "area", "bbox")} for a in annotations]
    return {"image": str(source), "model": settings["model"], "masks": figures, "files": files}


def _print(summary: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    for i, mask in enumerate(summary["masks"]):
        x, y, w, h = mask["bbox"]  # from the first pixel to the last
        size = f"{w + 1}×{h + 1}"
        console.print(f"mask {i + 1}: score {mask['predicted_iou']:.2f}, {mask['area']:,} px, at {x},{y} of {size}")
    for kind, path in summary["files"].items():
        console.print(f"  {kind:<8} {path}", soft_wrap=True)
