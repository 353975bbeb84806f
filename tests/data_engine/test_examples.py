"""The pages of examples: they stand alone, show what was asked and answered, and link each other."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from anymask.data_engine.examples import PINK, Answer, Example, Gallery, page_name, picture
from anymask.dataset.sample import Object
from anymask.predict.render import GREEN
from anymask.task.prompts import Prompt

NAMES = ("1 click", "3 clicks", "box")


@pytest.fixture()
def example():
    """Makes an example: an object in the left half of a grey image, and the same answer to every prompt."""

    def make(iou=0.5, name="photo", answer=np.s_[20:80, 60:90], prompt=None):
        truth, mask = (np.zeros((100, 140), bool) for _ in range(2))
        truth[20:80, 10:70] = True
        mask[answer] = True
        pixels = np.full((100, 140, 3), 90, np.uint8)
        asked = prompt or Prompt([[40, 50]], [1])
        return Example(
            name, pixels, Object(7, truth, "cup & saucer"), {each: Answer(asked, mask, iou) for each in NAMES}
        )

    return make


def write(folder, step, iou, *examples):
    gallery = Gallery(step)
    for each in examples:
        gallery.add(each)
    gallery.write(folder, {**dict.fromkeys(NAMES, iou), "objects": 9})
    return (folder / page_name(step)).read_text()


def decoded(url):
    content = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(Image.open(io.BytesIO(content))).astype(int)


def test_a_picture_shows_mask_object_and_prompt(example):
    made = example()
    pixels = decoded(picture(made, made.answers["1 click"]))
    assert max(pixels.shape) == 288
    scale = pixels.shape[1] / 132  # 2.2 times the object's 60 pixels, moved into the image's left edge

    def near(x, y, colour):
        return np.abs(pixels[int(y * scale), int(x * scale)] - colour).max() < 40

    assert near(40, 50, GREEN)
    assert near(80, 50, 0.72 * np.array([90, 90, 90]) + 0.28 * np.array(PINK))
    assert near(60.4, 50, PINK), "the outline of the answer"
    assert near(10.4, 50, [255, 255, 255]), "the outline of the object"
    assert near(110, 50, [90, 90, 90])


def test_a_picture_shows_the_box(example):
    made = example(prompt=Prompt(box=[10, 5, 70, 95]))
    pixels = decoded(picture(made, made.answers["box"]))
    without = decoded(picture(made, example().answers["box"]))
    amber = (pixels - without)[..., 0] - (pixels - without)[..., 2]
    assert (amber[int(95 * 288 / 132)] > 20).mean() > 0.3


@pytest.mark.parametrize("window", [np.s_[0:1, 0:1], np.s_[99:100, 139:140], np.s_[:, :]])
def test_objects_of_any_size_and_place_have_a_picture(example, window):
    made = example()
    mask = np.zeros_like(made.target.mask)
    mask[window] = True
    extreme = Example("photo", made.pixels, Object(1, mask), made.answers)
    assert max(decoded(picture(extreme, made.answers["box"])).shape) == 288


def test_a_page_stands_alone_and_says_what_changed(example, tmp_path):
    first = write(tmp_path, 0, 0.5, example(0.5, "a <b>"), example(0.9, "b"))
    page = write(tmp_path, 1500, 0.6, example(0.7, "a <b>"), example(0.8, "b"))
    assert not re.findall(r'(?:src|href)="(?!data:|step_|index)', page)
    assert page.count("<img") == 6
    assert "a &lt;b&gt;, object 7" in page and "cup &amp; saucer" in page and "Step 1,500" in page
    assert 'href="step_000000.html"' in page and 'href="index.html"' in page
    assert page.count('<span class="up">was .50 at step 0') == page.count('<span class="down">was .90 at step 0') == 3
    assert "was" not in re.sub(r"<style>.*</style>", "", first, flags=re.DOTALL)


def test_the_index_links_all_steps_and_draws_the_figures(example, tmp_path):
    write(tmp_path, 0, 0.31, example())
    assert "<svg" not in (tmp_path / "index.html").read_text()
    for step, iou in ((100, 0.42), (200, 0.37)):
        write(tmp_path, step, iou, example())
    index = (tmp_path / "index.html").read_text()
    assert re.findall(r'href="(step_\d+\.html)"', index) == [page_name(step) for step in (0, 100, 200)]
    assert index.count("<polyline") == 3 and index.count("<circle") == 9
    assert index.count("<strong>0.420</strong>") == 3 and "<strong>9" not in index
    heights = [float(y) for y in re.findall(r'<text class="name"[^>]* y="([\d.]+)"', index)]
    assert min(np.diff(sorted(heights))) >= 16, "names of lines that end alike do not overlap"
