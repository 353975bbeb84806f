"""`anymask segment`: one object by clicks, a box or an earlier mask, or all that a text names."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

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
    text: Annotated[
        str, typer.Option(metavar="WORDS", help='What to find, in English, such as "dog"; clicks say which of several.')
    ] = "",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Least score of what --text finds: how likely it is such a thing.")
    ] = 0.5,
    model: Annotated[str, typer.Option(help="A model's name (anymask models list) or a weights file.")] = "nano",
    text_model: Annotated[str, typer.Option(help="A text detector's name or its weights file.")] = "nano_text",
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
    """Cut one object out of a photo, or all that a text names.

    Coordinates are pixels from the top left corner. Writes NAME_cutout.png (with alpha), NAME_overlay.jpg,
    NAME_labels.png, NAME_logits.npy (to go on from with --mask) and NAME.json (SA-1B).
    """
    clicks = [numbers("--point", text, 2) for text in point] + [numbers("--neg", text, 2) for text in neg]
    corners = numbers("--box", box, 4) if box else None
    if not (point or corners or mask or text):
        raise typer.BadParameter("nothing to segment: give --text WORDS, --point X,Y, --box X0,Y0,X1,Y1 or --mask FILE")
    if text and mask:
        raise typer.BadParameter(
            "--mask goes on from clicks and boxes; --text finds masks of its own: give one of both"
        )
    if text and (all_masks or keep_parts or pick != "best"):
        raise typer.BadParameter(
            "--all, --pick and --keep-parts are of clicks; --text gives a clean mask for each thing"
        )

    from ..files import make_folder
    from ..model.text.words import check_text
    from ..predict.embedding_cache import EmbeddingCache
    from ..predict.predictor import Prediction, SamPredictor
    from ..task.image import read_image
    from ..task.prompts import Prompt

    pixels = read_image(image)
    if out.exists():
        make_folder(out)  # which tells before the work if it cannot be written to
    kept = EmbeddingCache() if cache else None
    predictor = SamPredictor(load(model, device), runtime, precision, kept, refine, second_look, text_model)
    frame = predictor.model.frame(*pixels.shape[:2])
    earlier = None if mask is None else _read_mask(mask, predictor, pixels)
    labels = [1] * len(point) + [0] * len(neg)
    given = bool(clicks) or corners is not None or earlier is not None
    prompt = Prompt(clicks or None, labels or None, corners, earlier) if given else None
    if prompt:
        prompt.check_inside(frame)
    if text:
        check_text(text)  # before the work
    predictor.set_image(pixels)
    if text:
        found = predictor.predict_text(text, clicks or None, labels or None, corners, threshold)
        if not len(found.masks):
            raise PromptError(_nothing(image, text, predictor))
        prediction, named = Prediction(found.masks, found.ious, found.logits), [text, *found.scores.tolist()]
    else:
        prediction, named = _by_clicks(predictor, cast("Prompt", prompt), pick, all_masks), []
    summary = _write(image, pixels, prompt, prediction, named, predictor, out, keep_parts or bool(text))
    if as_json:
        json.dump(summary, sys.stdout, indent=2)
        print()
    else:
        _print(summary)


def _by_clicks(
    predictor: SamPredictor, prompt: Prompt, pick: Literal["best", "largest", "smallest"], all_masks: bool
) -> Prediction:
    """The mask that is picked, and behind it the others where all are asked for, best first."""
    import numpy as np

    from ..predict.predictor import Prediction
    from ..task.ambiguity import choose

    found = predictor.predict_many([prompt])[0]
    best = choose(found.scores, found.masks.sum(axis=(1, 2)), pick)
    order = [best, *(int(i) for i in np.argsort(-found.scores) if i != best and all_masks)]
    return Prediction(found.masks[order], found.scores[order], found.logits[order])


def numbers(flag: str, text: str, count: int) -> list[float]:
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


def _nothing(image: Path, text: str, predictor: SamPredictor) -> str:
    """What to say where a text names nothing in the photo."""
    surest = predictor.finder.find(text, 0, 1).scores
    score = f"the likeliest place has a score of {surest[0]:.2f}" if len(surest) else "no place is like it"
    return f"{image}: nothing found that {text!r} names ({score}); lower --threshold, or point at it with --point X,Y"


def _write(
    source: Path,
    pixels: NDArray[np.uint8],
    prompt: Prompt | None,
    prediction: Prediction,
    named: Sequence[Any],
    predictor: SamPredictor,
    out: Path,
    keep_parts: bool,
) -> dict[str, Any]:
    """Clean and write the masks, the main one first; return what was written and the figures of each mask.

    `named` is the text that the masks are of, and the score of each; empty where there was none.
    """
    import numpy as np

    from ..files import make_folder, remove, replacing
    from ..predict.render import cutout
    from ..task import rle
    from ..task.boxes import mask_boxes, xyxy_to_xywh
    from ..task.regions import clean
    from .results import keep_foreign, sa1b_record, write_common, write_image

    masks = [mask if keep_parts else clean(mask) for mask in prediction.masks]
    if not masks[0].any():
        raise PromptError("the mask is empty, so nothing was written: add --point X,Y on the object, or a --box")
    annotations = [
        {
            "segmentation": rle.encode(mask),
            "bbox": xyxy_to_xywh(mask_boxes(mask[None])[0]).tolist(),
            "area": int(mask.sum()),
            "predicted_iou": round(float(prediction.scores[i]), 4),
            "point_coords": [] if prompt is None else prompt.points.tolist(),
            **({"category": named[0], "score": round(named[1 + i], 4)} if named else {}),
        }
        for i, mask in enumerate(masks)
    ]
    folder, stem = make_folder(out), source.stem
    settings = {"model": predictor.model.config.name, "weights": predictor.model.weights_hash}
    files: dict[str, str] = {}
    keep_foreign(folder / f"{stem}.json")
    for stale in folder.glob(f"{glob.escape(stem)}_cutout_*.png"):
        if stale.stem.rpartition("_")[2].isdigit():
            remove(stale)
    for rank, mask in enumerate(masks):
        name = f"{stem}_cutout.png" if rank == 0 else f"{stem}_cutout_{rank + 1}.png"
        files["cutout" if rank == 0 else f"cutout_{rank + 1}"] = str(write_image(folder / name, cutout(pixels, mask)))
    with replacing(folder / f"{stem}_logits.npy") as temporary:
        np.save(temporary, prediction.logits[0])
    files["logits"] = str(folder / f"{stem}_logits.npy")
    record = sa1b_record(source, (pixels.shape[0], pixels.shape[1]), annotations, settings)
    files |= write_common(folder, stem, pixels, masks, record, prompt)
    shown = [key for key in ("category", "score", "predicted_iou", "area", "bbox") if key in annotations[0]]
    figures = [{key: a[key] for key in shown} for a in annotations]
    return {"image": str(source), "model": settings["model"], "masks": figures, "files": files}


def _print(summary: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    for i, mask in enumerate(summary["masks"]):
        x, y, w, h = mask["bbox"]  # from the first pixel to the last
        size = f"{w + 1}×{h + 1}"
        score = mask.get("score", mask["predicted_iou"])
        console.print(f"mask {i + 1}: score {score:.2f}, {mask['area']:,} px, at {x},{y} of {size}")
    for kind, path in summary["files"].items():
        console.print(f"  {kind:<8} {path}", soft_wrap=True)
