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


SIZE = (6, 8)
COLOUR = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), np.uint8)
GREY = np.arange(48, dtype=np.uint8).reshape(SIZE) * 5


def tiff(values: np.ndarray, **options: object) -> bytes:
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(out, values, **options)
    return out.getvalue()


def test_grey_one_bit_and_palette() -> None:
    assert (reading.read_rgb(encoded(Image.fromarray(GREY), "PNG")) == GREY[..., None]).all()
    bits = GREY > 120
    assert (reading.read_rgb(encoded(Image.fromarray(bits), "PNG")) == bits[..., None] * 255).all()
    assert (reading.read_rgb(encoded(Image.fromarray(bits), "TIFF", compression="group4"))[..., 1] == bits * 255).all()
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert reading.read_rgb(encoded(palette, "PNG")).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert reading.read_rgb(encoded(palette, "PNG", transparency=1)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_grey_with_alpha_is_laid_on_white() -> None:
    grey_alpha = np.array([[[0, 255], [0, 128], [90, 0]]], np.uint8)
    assert reading.read_rgb(encoded(Image.fromarray(grey_alpha, "LA"), "PNG"))[0, :, 0].tolist() == [0, 127, 255]


def test_cmyk_jpegs_of_both_kinds() -> None:
    flat = Image.new("CMYK", (16, 16), (40, 160, 200, 0))
    data = encoded(flat, "JPEG", quality=100)
    np.testing.assert_allclose(reading.read_rgb(data)[4, 4], (215, 95, 55), atol=2)
    # The same planes, but said to be Y, Cb, Cr and K: what Adobe calls YCCK.
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    ycck = data[:at] + b"\x02" + data[at + 1 :]
    inverted = Image.new("YCbCr", (1, 1), (255 - 40, 255 - 160, 255 - 200)).convert("RGB").getpixel((0, 0))
    np.testing.assert_allclose(reading.read_rgb(ycck)[4, 4], [255 - int(c) for c in inverted], atol=3)


def test_twelve_bits_in_a_sixteen_bit_file_fill_the_range() -> None:
    ramp = np.linspace(0, 4095, 48).astype(np.uint16).reshape(SIZE)
    for data in (encoded(Image.fromarray(ramp), "PNG"), tiff(ramp), tiff(ramp, byteorder=">")):
        np.testing.assert_allclose(reading.read_rgb(data)[..., 0], ramp / 4095 * 255, atol=1)


def test_sixteen_bit_colour() -> None:
    deep = COLOUR.astype(np.uint16) * 257
    planes = np.moveaxis(deep, -1, 0)
    for data in (
        tiff(deep, photometric="rgb"),
        tiff(deep // 16, photometric="rgb"),  # 12 bits
        tiff(deep, photometric="rgb", compression="zlib", byteorder=">"),
        tiff(planes, photometric="rgb", planarconfig="separate"),
    ):
        np.testing.assert_allclose(reading.read_rgb(data), COLOUR, atol=1)
    ink = np.concatenate([65535 - deep, np.zeros_like(deep[..., :1])], -1)
    np.testing.assert_allclose(reading.read_rgb(tiff(ink, photometric="separated")), COLOUR, atol=1)
    clear = np.concatenate([deep, np.zeros_like(deep[..., :1])], -1)
    assert reading.read_rgb(tiff(clear, photometric="rgb", extrasamples=["unassalpha"])).min() == 255
    turned = reading.read_rgb(tiff(deep, photometric="rgb", extratags=[(274, "H", 1, 3, True)]))
    np.testing.assert_allclose(turned, COLOUR[::-1, ::-1], atol=1)
    np.testing.assert_allclose(reading.read_rgb(png16(deep)), COLOUR, atol=1)


def png16(values: np.ndarray) -> bytes:
    """A PNG of 16 bits per channel, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_tiff(kind: type) -> None:
    np.testing.assert_allclose(reading.read_rgb(tiff((GREY / 255).astype(kind)))[..., 0], GREY, atol=1)
    colour = (COLOUR / 255).astype(kind)
    np.testing.assert_allclose(reading.read_rgb(tiff(colour, photometric="rgb")), COLOUR, atol=1)
    planes = tiff(np.moveaxis(colour, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_allclose(reading.read_rgb(planes), COLOUR, atol=1)


def test_signed_tiff_is_stretched() -> None:
    units = np.linspace(-1000, 3000, 48).astype(np.int16).reshape(SIZE)
    np.testing.assert_allclose(reading.read_rgb(tiff(units))[..., 0], (units + 1000) / 4000 * 255, atol=1)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_turn(kind: str, orientation: int) -> None:
    block = np.zeros((16, 32, 3), np.uint8)
    block[:8, :8] = 255  # top left in the file
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    rgb = reading.read_rgb(encoded(Image.fromarray(block), kind, exif=exif, **options))
    height, width = (16, 32) if orientation < 5 else (32, 16)
    assert rgb.shape == (height, width, 3)
    # EXIF 2.3: where row 0 and column 0 of the file are on the picture as seen.
    bottom, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    y, x = (height - 4 if bottom else 4), (width - 4 if right else 4)
    assert rgb[y, x].min() > 200
    assert rgb.mean() < 90


def test_broken_exif_turns_nothing() -> None:
    data = encoded(Image.fromarray(COLOUR), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
    assert (reading.read_rgb(data) == COLOUR).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_several_frames_the_first(kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(reading.read_rgb(data)[10, 10], (200, 0, 0), atol=8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_truncated_picture_is_named(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(ImageError, match=r"^cat 7 (cannot be read: .|is no picture)"):
        reading.read_rgb(data[: len(data) // 2], name="cat 7")


def test_bytes_of_any_kind_give_a_picture_or_an_image_error() -> None:
    rng = np.random.default_rng(5)
    good = [encoded(Image.fromarray(COLOUR), kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM")]
    good.append(tiff((COLOUR / 255).astype(np.float32), photometric="rgb"))
    said = []
    for data in good:
        for _ in range(40):
            bad = bytearray(data)
            for at in rng.integers(0, len(bad), 4):
                bad[at] = int(rng.integers(0, 256))
            try:
                reading.read_rgb(bytes(bad), name="x")
            except ImageError as error:
                said.append(str(error))
    assert len(said) > 20
    assert all(text.startswith("x ") for text in said)


def test_empty_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    assert reading.is_picture(tmp_path / "empty.png") == "an empty file"
    with pytest.raises(ImageError, match=r"empty\.png is an empty file"):
        reading.read_rgb(tmp_path / "empty.png")


def test_pillows_own_limit_is_said_as_ours(tmp_path: Path) -> None:
    file = tmp_path / "huge.png"
    with file.open("wb") as out:
        Image.new("1", (20_000, 20_000)).save(out, "PNG")
    with pytest.raises(ImageError, match=r"huge\.png has more than 178 million pixels"):
        reading.read_rgb(file)
    assert "178 million" in str(reading.is_picture(file))


def test_postscript_is_never_drawn() -> None:
    data = encoded(Image.fromarray(COLOUR), "EPS")
    with pytest.raises(ImageError, match="is no picture"):
        reading.read_rgb(data)


def test_threads_leave_the_warning_filters_as_they_were() -> None:
    import warnings
    from concurrent.futures import ThreadPoolExecutor

    before = list(warnings.filters)
    data = encoded(Image.fromarray(COLOUR), "PNG")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: reading.read_rgb(data), range(200)))
    assert list(warnings.filters) == before
