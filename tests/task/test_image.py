"""Images of every kind come in as H×W×3 uint8 RGB, upright; what is no image is refused by name."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from anymask.errors import AnymaskError, ImageError
from anymask.task.image import image_size, read_image


def draw(height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    """A smooth colour image without any symmetry, so that JPEG keeps it nearly as it is."""
    y, x = np.mgrid[:height, :width]
    channels = [255 * x / width, 255 * y / height, 127 + 100 * np.sin(x / 9 + y / 5)]
    return np.stack(channels, axis=-1).astype(np.uint8)


RGB = draw()


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def assert_image(image: NDArray[np.uint8], expected: NDArray[Any], tolerance: int = 0) -> None:
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - expected.astype(int)).max() <= tolerance


# files


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.webp", "a.jpg"])
def test_files(name: str, tmp_path: Path) -> None:
    options = {"a.webp": {"lossless": True}, "a.jpg": {"quality": 98, "subsampling": 0}}.get(name, {})
    path = save(tmp_path / name, Image.fromarray(RGB), **options)
    with Image.open(path) as image:
        for source in (path, str(path), path.read_bytes(), image):
            assert_image(read_image(source), RGB, 6 if name == "a.jpg" else 0)


def test_16_bit_png(tmp_path: Path) -> None:
    deep = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27
    cv2.imwrite(str(tmp_path / "grey.png"), deep)
    assert_image(read_image(tmp_path / "grey.png"), np.rint(deep / 257)[..., None].repeat(3, 2))
    colour = np.stack([deep, deep[::-1], deep // 2], axis=-1)
    cv2.imwrite(str(tmp_path / "colour.png"), colour[..., ::-1])
    assert_image(read_image(tmp_path / "colour.png"), np.rint(colour / 257), 1)  # Pillow cuts the low byte off


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_tiff(order: str, tmp_path: Path) -> None:
    """Of either byte order, as microscopes write them."""
    deep = (np.arange(40 * 60).reshape(40, 60) * 27).astype(order)
    mode = "I;16" if order == "<u2" else "I;16B"
    path = save(tmp_path / "grey.tif", Image.frombytes(mode, (60, 40), deep.tobytes()))
    assert_image(read_image(path), np.rint(deep / 257)[..., None].repeat(3, 2))


def test_float_tiff(tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 2400, dtype=np.float32).reshape(40, 60)
    path = save(tmp_path / "grey.tif", Image.fromarray(grey))
    assert_image(read_image(path), np.rint(grey * 255)[..., None].repeat(3, 2))


def test_whole_numbers_of_32_bits() -> None:
    deep = np.arange(2400, dtype=np.int32).reshape(40, 60) * 27
    assert_image(read_image(Image.fromarray(deep)), np.rint(deep / 257)[..., None].repeat(3, 2))
    for value in (-5, 70000):
        with pytest.raises(ImageError):
            read_image(Image.fromarray(np.full((40, 60), value, np.int32)))


def test_grey_and_cmyk_jpeg(tmp_path: Path) -> None:
    grey = Image.fromarray(RGB).convert("L")
    path = save(tmp_path / "grey.jpg", grey, quality=98)
    assert_image(read_image(path), np.asarray(grey)[..., None].repeat(3, 2), 4)
    cmyk = Image.fromarray(RGB).convert("CMYK")
    path = save(tmp_path / "cmyk.jpg", cmyk, quality=98)
    with Image.open(path) as image:
        assert image.mode == "CMYK"
    assert_image(read_image(path), RGB, 12)


def test_one_bit_png(tmp_path: Path) -> None:
    bits = RGB[..., 0] > 100
    path = save(tmp_path / "bits.png", Image.fromarray(bits))
    assert_image(read_image(path), bits[..., None].repeat(3, 2) * 255)


def test_palette_png_with_and_without_a_clear_colour(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    colours = np.asarray(palette.convert("RGB"))
    assert_image(read_image(save(tmp_path / "plain.png", palette)), colours)
    indices = np.asarray(palette)
    path = save(tmp_path / "clear.png", palette, transparency=int(indices[0, 0]))
    assert_image(read_image(path), np.where((indices == indices[0, 0])[..., None], 0, colours))


def test_what_is_clear_is_black(tmp_path: Path) -> None:
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, 20:40], alpha[:, 40:] = 128, 255
    expected = RGB * (alpha / 255.0)[..., None]
    rgba = np.dstack([RGB, alpha])
    assert_image(read_image(save(tmp_path / "rgba.png", Image.fromarray(rgba))), expected, 1)
    assert_image(read_image(rgba), expected, 1)
    assert_image(read_image(rgba[..., [2, 1, 0, 3]], channels="BGR"), expected, 1)
    grey = RGB[..., 0]
    la = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    expected = (grey * (alpha / 255.0))[..., None].repeat(3, 2)
    assert_image(read_image(save(tmp_path / "la.png", la)), expected, 1)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    """The stored image is `RGB` turned so that the tag's own instruction brings it back."""
    undone = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, 1),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RGB, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 98, "subsampling": 0} if suffix == "jpg" else {}
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(np.ascontiguousarray(undone)), exif=exif, **options)
    assert_image(read_image(path), RGB, 6 if suffix == "jpg" else 0)
    assert image_size(path) == image_size(str(path)) == image_size(path.read_bytes()) == RGB.shape[:2]


def test_a_photo_with_a_preview_behind_it(tmp_path: Path) -> None:
    """Phones write JPEG files with a second picture, a preview or a map of depth; the first is the photo."""
    photo, preview = Image.fromarray(RGB), Image.new("RGB", (60, 40))
    path = save(tmp_path / "phone.jpg", photo, format="MPO", save_all=True, append_images=[preview], quality=98)
    with Image.open(path) as image:
        assert image.n_frames == 2
    assert_image(read_image(path), RGB, 12)


# arrays


def test_arrays_of_every_depth() -> None:
    assert_image(read_image(RGB), RGB)
    assert_image(read_image(RGB.tolist()), RGB)
    for kind in (np.int64, np.int16, np.uint32, np.float64, np.float32):
        assert_image(read_image(RGB.astype(kind)), RGB)
    for kind in (np.float64, np.float32):
        assert_image(read_image((RGB / 255).astype(kind)), RGB)
    assert_image(read_image((RGB / 255).astype(np.float16)), RGB, 1)
    for order in ("<u2", ">u2"):
        assert_image(read_image((RGB * np.uint16(257)).astype(order)), RGB)
    assert_image(read_image(RGB > 100), (RGB > 100) * 255)
    assert_image(read_image(torch.tensor(RGB)), RGB)


def test_floats_beyond_the_range_are_cut() -> None:
    image = np.zeros((10, 10, 3))
    image[0, 0] = [-0.5, 0.5, 1.0]
    assert read_image(image)[0, 0].tolist() == [0, 128, 255]
    image[0, 0] = [-3.0, 99.6, 300.0]
    assert read_image(image)[0, 0].tolist() == [0, 100, 255]


def test_arrays_of_every_shape() -> None:
    grey = RGB[..., 0]
    for source in (grey, grey[..., None]):
        assert_image(read_image(source), grey[..., None].repeat(3, 2))
    assert_image(read_image(RGB[::-1, ::2]), RGB[::-1, ::2])
    assert_image(read_image(RGB[..., ::-1], channels="BGR"), RGB)
    assert_image(read_image(grey, channels="BGR"), grey[..., None].repeat(3, 2))


def test_the_source_is_left_alone() -> None:
    source = RGB.copy()
    read_image(source)
    read_image(source, channels="BGR")
    assert np.array_equal(source, RGB)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((10, 10, 3), np.nan), "NaN or infinity"),
        (np.full((10, 10, 3), np.inf, np.float32), "NaN or infinity"),
        (np.full((10, 10), 300), "int64 values beyond 0 to 255"),
        (np.full((10, 10), -1, np.int8), "int8 values beyond 0 to 255"),
        (np.zeros((10, 10, 2)), r"got shape \(10, 10, 2\)"),
        (np.zeros((3, 10, 10)), r"got shape \(3, 10, 10\)"),
        (np.zeros((1, 10, 10, 3)), "got shape"),
        (np.zeros(10), "got shape"),
        (np.zeros((10, 10, 3), complex), "expected numbers, got complex128"),
        (np.full((10, 10), "a"), "expected numbers"),
        (None, "got shape"),
        (np.zeros((0, 10, 3)), "expected sides of at least 4 pixels"),
    ],
)
def test_what_is_no_image_is_refused(array: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(array)


def test_an_unknown_order_of_channels_is_refused() -> None:
    with pytest.raises(ImageError, match="channels: expected 'RGB' or 'BGR', got 'GBR'"):
        read_image(RGB, channels="GBR")


# sizes


@pytest.mark.parametrize("size", [(1, 1), (3, 100), (100, 3), (30000, 20), (20, 30000)])
def test_a_sliver_is_refused(size: tuple[int, int], tmp_path: Path) -> None:
    image = Image.new("RGB", size)
    for source in (save(tmp_path / "a.png", image), image, np.asarray(image)):
        with pytest.raises(ImageError, match=f"{size[0]}×{size[1]} pixels; expected sides of at least 4"):
            read_image(source)


def test_the_smallest_and_the_longest_images_are_taken() -> None:
    assert read_image(np.zeros((4, 4, 3), np.uint8)).shape == (4, 4, 3)
    assert read_image(np.zeros((4, 400, 3), np.uint8)).shape == (4, 400, 3)


def test_an_image_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (40, 40)))
    for limit in (1000, 100):  # Pillow warns first, and raises at twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ImageError, match=f"a.png: over {limit:,} pixels; see `anymask everything --tile`"):
            read_image(path)


def test_the_size_of_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the header tells, it is refused for the same reasons; the pixels may be missing."""
    photo = save(tmp_path / "a.jpg", Image.fromarray(RGB).resize((400, 300)))
    photo.write_bytes(photo.read_bytes()[:900])
    assert image_size(photo) == (300, 400)
    with pytest.raises(ImageError):
        read_image(photo)
    (tmp_path / "text.jpg").write_text("This is no image.")
    sliver = save(tmp_path / "sliver.png", Image.new("RGB", (3, 100)))
    for path in (tmp_path / "text.jpg", sliver, tmp_path / "none.jpg", tmp_path):
        with pytest.raises(ImageError) as read:
            read_image(path)
        with pytest.raises(ImageError) as measured:
            image_size(path)
        assert str(measured.value) == str(read.value)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match="over 1,000 pixels"):
        image_size(photo)


# files that are no image


def test_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("P", (20, 20), i) for i in range(3)]
    path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:], optimize=False)
    with Image.open(path) as image:
        count = image.n_frames
    with pytest.raises(ImageError, match=rf"a\.gif: holds {count} frames"):
        read_image(path)
    assert read_image(save(tmp_path / "still.gif", frames[0])).shape == (20, 20, 3)


def test_files_that_hold_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("This is no image.")
    (tmp_path / "folder").mkdir()
    cases = {
        "empty.png": "the file is empty",
        "text.jpg": "not an image that Pillow can read",
        "folder": "is a folder",
        "missing.png": r"cannot be read \(No such file or directory\)",
        "text.jpg/a.png": "cannot be read",
        "n" * 5000: "cannot be read",
        "a\0b": "cannot be read",
    }
    for name, message in cases.items():
        with pytest.raises(ImageError, match=message) as caught:
            read_image(str(tmp_path / name))
        assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("read", [read_image, image_size])
def test_an_error_calls_bytes_by_their_name(read: Any) -> None:
    for content, message in ((b"", "is empty"), (b"This is no image.", "not an image that Pillow can read")):
        with pytest.raises(ImageError, match=rf"^a\.tar/b\.jpg: {message}"):
            read(content, name="a.tar/b.jpg")
        with pytest.raises(ImageError, match=f"^image: {message}"):
            read(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_a_file_that_was_cut_is_refused(kind: str, tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(RGB).save(whole, kind)
    data, path = whole.getvalue(), tmp_path / "cut.img"
    for share in np.linspace(0.02, 0.95, 25):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(ImageError, match=r"cut\.img: "):
            read_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"])
def test_damage_gives_an_image_or_our_error(kind: str, tmp_path: Path) -> None:
    whole, rng = io.BytesIO(), np.random.default_rng(0)
    Image.fromarray(RGB).save(whole, kind)
    path = tmp_path / "damaged.img"
    for _ in range(60):
        data = bytearray(whole.getvalue())
        for place in rng.integers(0, min(len(data), 200), 3):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            image = read_image(path)
        except AnymaskError as error:
            assert str(path) in str(error)
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 3
