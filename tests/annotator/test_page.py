"""The page in a browser: from opening a photo to the exported masks, which are those of the predictor."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotating import CHROMIUM, PAGE, running
from numpy.typing import NDArray

from anymask import Prompt, SamPredictor
from anymask.data_engine.store.changes import changes_of
from anymask.data_engine.store.images import find_image, list_images, masks_of
from anymask.data_engine.store.store import Store
from anymask.dataset.formats import open_data
from anymask.model.sam import Sam
from anymask.task import rle

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.slow,  # the decoder has to be made
    pytest.mark.skipif(not CHROMIUM, reason="no chromium; apt-get install chromium"),
    pytest.mark.skipif(not PAGE.is_file(), reason="the page is not built; make web"),
]
PATIENCE = 180_000
"""milliseconds for the decoder to be made, once"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("astronaut.jpg", "chelsea.jpg"):
        shutil.copy(photos / name, tmp_path / "photos")
    return tmp_path / "photos"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with running(str(folder)) as (_, found):
        yield found


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, opened on the first photo, with its decoder."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.set_default_timeout(PATIENCE)
    opened.goto(address)
    opened.get_by_text("nano on WebAssembly").wait_for()
    yield opened
    opened.close()
    assert faults == []


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """A place of the stage on the screen, both from 0 to 1."""
    box = page.locator("canvas").last.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def click(page: Any, x: float, y: float, button: str = "left") -> None:
    """Click on the stage, and wait for the mask."""
    page.mouse.click(*at(page, x, y), button=button)
    page.get_by_role("group", name="Object in the making").wait_for()
    page.get_by_label("Waiting for the mask").wait_for(state="detached")


def saved(page: Any, objects: int) -> None:
    """Wait until the page has so many objects, and has saved them."""
    listed = page.get_by_role("region", name="Objects").locator("[aria-label^='Label of object']")
    sync_api.expect(listed).to_have_count(objects, timeout=PATIENCE)
    page.get_by_text("Saved", exact=True).wait_for()


def the_store(folder: Path) -> Store:
    return Store(f"sqlite:///{folder / '.anymask' / 'project.sqlite'}")


def stored(folder: Path, name: str) -> tuple[list[Any], list[Any]]:
    """The masks of a photo, and the changes to it."""
    store = the_store(folder)
    with store.reading() as session:
        image = next(image for image in list_images(session)[1] if image.name == name)
        masks, changes = masks_of(session, find_image(session, image.id)), list(changes_of(session, image.id))
        session.expunge_all()
    store.close()
    return masks, changes


def answer(predictor: SamPredictor, prompts: list[dict[str, Any]]) -> NDArray[np.bool_]:
    """What the predictor says to prompts that came one after another, each seeing the mask before."""
    points: list[list[float]] = []
    labels: list[int] = []
    box = logits = mask = None
    for prompt in prompts:
        if prompt["kind"] == "box":
            box = prompt["box"]
        else:
            points.append([prompt["x"], prompt["y"]])
            labels.append(prompt["label"])
        found = predictor.predict_many([Prompt(points or None, labels or None, box, logits)])[0]
        best = int(found.scores.argmax())
        mask, logits = found.masks[best], found.logits[best]
    assert mask is not None
    return mask


def test_from_a_click_to_an_exported_mask(page: Any, folder: Path, nano: Sam, tmp_path: Path) -> None:
    page.keyboard.press("l")
    page.keyboard.type("astronaut")
    page.keyboard.press("Enter")
    page.locator("canvas").last.focus()

    click(page, 0.45, 0.4)  # one object by a click and a correction,
    click(page, 0.75, 0.4, "right")
    page.keyboard.press("Enter")
    saved(page, 1)
    page.mouse.move(*at(page, 0.62, 0.05))  # one by a box, which is undone and done again,
    page.mouse.down()
    page.mouse.move(*at(page, 0.8, 0.3), steps=3)
    page.mouse.move(*at(page, 0.9, 0.55), steps=3)
    page.mouse.up()
    page.get_by_label("Waiting for the mask").wait_for(state="detached")
    page.get_by_role("button", name="Finish").click()
    saved(page, 2)
    page.keyboard.press("Control+z")
    saved(page, 1)
    assert len(stored(folder, "astronaut.jpg")[0]) == 1
    page.reload()
    page.get_by_text("nano on WebAssembly").wait_for()
    page.get_by_role("button", name="Redo").click()  # after a reload.
    saved(page, 2)

    masks, changes = stored(folder, "astronaut.jpg")
    assert [change.kind for change in changes] == ["put", "put", "undo", "redo"]
    assert all(change.duration_ms > 0 for change in changes[:2])
    predictor = SamPredictor(nano)
    predictor.set_image(folder / "astronaut.jpg")
    for change in changes[:2]:
        kept = next(mask for mask in masks if mask.id == change.object_id)
        expected = rle.encode(answer(predictor, change.prompts))
        assert rle.iou([kept.segmentation], [expected])[0, 0] > 0.99

    page.get_by_role("button", name="Export").click()
    page.get_by_role("dialog").get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    content = Path(download.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path / "export")
        labels = next(name for name in archive.namelist() if name.endswith(".json") and "annotations" in name)
    pictures = next((tmp_path / "export").rglob("astronaut.jpg")).parent
    [sample] = open_data(tmp_path / "export" / labels, "coco", images=pictures)
    exported = [annotation["segmentation"] for annotation in sample.annotations]
    assert rle.iou(exported, [mask.segmentation for mask in masks]).max(axis=1).tolist() == [1, 1]
    assert {annotation["category"] for annotation in sample.annotations} >= {"astronaut"}


def test_what_could_not_be_sent_is_kept_and_sent_later(page: Any, folder: Path) -> None:
    """The connection goes while somebody works, and the page is closed and opened again before it is back."""
    context = page.context
    click(page, 0.45, 0.4)
    context.route("**/api/images/*/changes", lambda route: route.abort())
    page.keyboard.press("Enter")
    page.get_by_text("unsaved").first.wait_for()
    assert stored(folder, "astronaut.jpg")[0] == []
    context.unroute("**/api/images/*/changes")
    page.reload()
    saved(page, 1)
    assert len(stored(folder, "astronaut.jpg")[0]) == 1


def test_two_people_see_each_other(browser: Any, address: str, folder: Path) -> None:
    """Who opens a photo has it; the other one may look."""
    pages = []
    for name in ("Ann", "Bob"):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE)
        opened.request.post(f"{address}api/login", data={"name": name}, headers={"X-Anymask": "1"})
        opened.goto(address)
        pages.append(opened)
        opened.get_by_text("astronaut.jpg").first.wait_for()
        opened.get_by_text("nano on WebAssembly").wait_for()
    pages[1].get_by_text("Ann").first.wait_for()
    click(pages[0], 0.45, 0.4)
    pages[0].keyboard.press("Enter")
    saved(pages[0], 1)
    assert len(stored(folder, "astronaut.jpg")[0]) == 1
    for opened in pages:
        opened.context.close()
