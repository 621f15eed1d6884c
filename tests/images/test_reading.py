"""Any picture becomes RGB; anything else is named."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.images import reading


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_modes_become_rgb() -> None:
    colour = Image.new("RGB", (8, 6), (200, 30, 90))
    for data in (
        encoded(colour, "PNG"),
        encoded(colour.quantize(8), "PNG"),
        encoded(colour.convert("CMYK"), "TIFF"),
        encoded(colour.convert("RGBA"), "PNG"),
    ):
        rgb = reading.read_rgb(data)
        assert (rgb.shape, rgb.dtype) == ((6, 8, 3), np.uint8)
        np.testing.assert_allclose(rgb[0, 0], (200, 30, 90), atol=3)


def test_transparency_is_laid_on_white() -> None:
    assert reading.read_rgb(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "PNG")).min() == 255


def test_sixteen_bits_keep_their_middle() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    rgb = reading.read_rgb(encoded(Image.fromarray(ramp), "PNG"))
    np.testing.assert_allclose(rgb[..., 0].ravel(), np.arange(256), atol=1)


def test_exif_turns_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    assert reading.read_rgb(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif)).shape == (20, 10, 3)


def test_large_pictures_are_scaled_on_request() -> None:
    assert reading.read_rgb(encoded(Image.new("RGB", (900, 300)), "JPEG"), max_side_px=300).shape == (100, 300, 3)


@pytest.mark.parametrize("data", [b"", b"hello", encoded(Image.new("RGB", (64, 64)), "PNG")[:60]])
def test_what_is_no_picture_is_named(data: bytes) -> None:
    with pytest.raises(ImageError, match="whiteboard"):
        reading.read_rgb(data, name="whiteboard.heic")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        reading.read_rgb(tmp_path / "gone.png")


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PIXELS", 10_000)
    with pytest.raises(ImageError, match="Scale it down"):
        reading.read_rgb(encoded(Image.new("1", (400, 400)), "PNG"))
