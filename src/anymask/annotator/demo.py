"""A demonstration of the page as plain files: example photos whose embeddings are made ahead, so no server computes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import ConfigError, ImageError
from ..export.browser import browser_decoder, pack_embedding
from ..files import new_folder, write_json
from ..model.sam import Sam
from ..runtime.choose import open_runtime
from ..task.image import fit_within, read_image
from .pictures import QUALITY, THUMBNAIL
from .routes.site import NOT_BUILT, PAGE

HERE = Path(__file__).resolve()
EXAMPLES = (HERE.parent / "photos", HERE.parents[3] / "examples" / "photos")
"""where the example photos lie: in an installed package, in a checkout"""
LONGEST = 4096
"""side of a photo in the demonstration, at most"""
HEAD = "<head>"
LABELS = [
    {"id": "b1a7c6de-0000-4000-8000-000000000001", "name": "person", "colour": "#e6194b", "key": "1"},
    {"id": "b1a7c6de-0000-4000-8000-000000000002", "name": "animal", "colour": "#3cb44b", "key": "2"},
    {"id": "b1a7c6de-0000-4000-8000-000000000003", "name": "thing", "colour": "#4363d8", "key": "3"},
]


def example_photos() -> list[Path]:
    """The photos that come with anymask."""
    folder = next((folder for folder in EXAMPLES if folder.is_dir()), None)
    return [] if folder is None else sorted(folder.glob("*.jpg"))


def write_demo(photos: Sequence[Path], sam: Sam, out: Path, progress: Callable[[int, int], None]) -> None:
    """Write the demonstration into a new folder, which any web server can serve.

    Args:
        photos: what is shown.
        sam: the model.
        out: the folder.
        progress: called with the photos that are done, and with how many there are.

    Raises ImageError for a photo that cannot be read, OutputError where the folder holds something or cannot be
    written, and ConfigError where the page is not built.
    """
    if not photos:
        raise ImageError("demonstration: there are no photos; name a folder with some")
    if not (PAGE / "index.html").is_file():
        raise ConfigError(NOT_BUILT.splitlines()[0])
    decoder = browser_decoder(sam)
    runtime = open_runtime(sam)
    with new_folder(out) as folder:
        shutil.copytree(PAGE, folder, dirs_exist_ok=True)
        shutil.copytree(decoder, folder / "decoder")
        (folder / "photos").mkdir()
        images: list[dict[str, Any]] = []
        for number, path in enumerate(photos, 1):
            pixels, _ = fit_within(read_image(path), LONGEST)
            names = {kind: f"photos/{number}-{kind}.jpg" for kind in ("preview", "image")}
            Image.fromarray(pixels).save(folder / names["image"], quality=QUALITY)
            Image.fromarray(fit_within(pixels, THUMBNAIL)[0]).save(folder / names["preview"], quality=QUALITY)
            embedding = f"photos/{number}-embedding.bin"
            (folder / embedding).write_bytes(pack_embedding(runtime.embed(pixels)))
            height, width = pixels.shape[:2]
            record = {"id": number, "name": path.name, "width": width, "height": height}
            images.append({**record, **names, "embedding": embedding})
            progress(number, len(photos))
        about = {"model": sam.config.name, "weights": sam.weights_hash, "decoder": "decoder/"}
        write_json(folder / "demo.json", {**about, "labels": LABELS, "images": images})
        page = (folder / "index.html").read_text(encoding="utf-8")
        meta = f'{HEAD}<meta name="anymask-backend" content="demo.json">'
        (folder / "index.html").write_text(page.replace(HEAD, meta, 1), encoding="utf-8")
