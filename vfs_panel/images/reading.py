"""Any picture file or bytes -> uint8 RGB. Nothing else in the project opens a picture."""

import io
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vfs_panel.errors import ImageError
from vfs_panel.images import dicom
from vfs_panel.images.pixels import rgb_from, to_8_bit
from vfs_panel.images.quiet import quiet

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"}) | (
    dicom.SUFFIXES
)
# Pillow refuses 179 million pixels by itself, and a decompression bomb stops here, before it takes the memory.
MAX_PIXELS = 178_000_000
# Formats whose signature no other file has by chance, the likeliest first; not EPS and WMF, which other programs would
# have to draw. HEIF and JXL only where a plugin for them was registered.
_FORMATS = (
    "JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF", "PSD", "QOI", "FITS", "HEIF", "JXL",
)  # fmt: skip
_PLUGINS = ("Avif", "Bmp", "Fits", "Gif", "Jpeg", "Jpeg2K", "Mpo", "Png", "Ppm", "Psd", "Qoi", "Tiff", "WebP")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_PLAIN = (0, 1, 2)  # photometric: white is zero, black is zero, RGB
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Return which of the formats Pillow can open here."""
    for plugin in _PLUGINS:  # Image.init() would load three times as many
        with suppress(ImportError):
            import_module(f"PIL.{plugin}ImagePlugin")
    return tuple(kind for kind in _FORMATS if kind in Image.OPEN)


def is_picture(path: Path | str) -> str | None:
    """Return None if the file's header is that of a picture, else why not, in a few words."""
    try:
        with quiet():
            return _why_none(path)
    except Image.DecompressionBombError:
        return f"more than {MAX_PIXELS // 1_000_000} million pixels"
    except ImageError:
        return "not a picture"
    except Exception as error:  # rotten headers make decoders raise anything
        return _reason(error)


def _named_dicom(source: Path | str | bytes) -> bool:
    return not isinstance(source, bytes) and str(source).lower().endswith(tuple(dicom.SUFFIXES))


def _why_none(path: Path | str) -> str | None:
    if not _named_dicom(path):
        try:
            with Image.open(path, formats=_formats()):
                return None
        except UnidentifiedImageError:
            pass
    why: str | None = "not a picture"
    with open(path, "rb") as file:
        head = file.read(dicom.HEAD_BYTES)
        if not head:
            why = "an empty file"
        elif dicom.is_dicom(head):
            why = dicom.why_unreadable(head)
        elif head.startswith(_TIFF):
            file.seek(0)
            why = None if _tiff_page(file) is not None else why
        elif _named_dicom(path):
            read_rgb(path)  # an old DICOM file has no preamble: only reading it tells
            why = None
    return why


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    if isinstance(error, MemoryError):
        return "not enough memory"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Turn an open picture of any mode into uint8 RGB, shape (y, x, 3): EXIF turned, alpha over white.

    Of an animation or a file with several pages this is the first. Grey of more than 8 bits, and floating point, are
    brought to 0..255 as `pixels.to_8_bit` says; of a PNG with 16 bits per channel of colour the upper 8 bits are
    taken, as Pillow reads no more of them.
    """
    image.load()
    turn = _TURNS.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I") or image.mode == "F":
        return rgb_from(to_8_bit(np.asarray(image)))  # Pillow would clip these at 255
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        if image.mode == "La":
            image = image.convert("LA")
        return rgb_from(np.asarray(image.convert("RGBA")))
    return np.array(image.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # EXIF that makes no sense turns nothing
        return 1
    return value if isinstance(value, int) else 1


def read_rgb(
    source: Path | str | bytes, *, name: str | None = None, max_side_px: int | None = None
) -> NDArray[np.uint8]:
    """Read a picture as uint8 RGB, shape (y, x, 3).

    Read are JPEG, PNG, WebP, TIFF, GIF, BMP and whatever else Pillow reads, floating-point and 64-bit TIFF through
    tifffile, and DICOM (see `dicom.read_dicom`). `to_rgb` says how each becomes RGB.

    Parameters
    ----------
    source : a path, or a file's bytes.
    name : what to call it in an error; the path by default.
    max_side_px : scale down to at most this many pixels a side.

    Raises
    ------
    ImageError
        If it cannot be opened or decoded, or has more than 178 million pixels.
    """
    label = name or ("The picture" if isinstance(source, bytes) else str(source))
    try:
        with quiet():
            rgb = _decoded(source, label, max_side_px)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{label} is no picture that can be read. Use JPEG, PNG, WebP or TIFF.") from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{label} has more than {MAX_PIXELS // 1_000_000} million pixels, which are not read. Scale it down."
        ) from None
    except Exception as error:  # broken files make decoders raise anything
        raise ImageError(f"{label} cannot be read: {_reason(error)}.") from None
    if max_side_px is not None and max(rgb.shape[:2]) > max_side_px:
        small = Image.fromarray(rgb)
        small.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
        rgb = np.asarray(small)
    return rgb


def read_mask(data: bytes, *, name: str, max_side_px: int = 1024) -> NDArray[np.uint8]:
    """Read a mask picture: its opacity where it has some that varies, else its brightness; uint8, shape (y, x).

    Parameters
    ----------
    data : a file's bytes.
    name : what to call it in an error.
    max_side_px : scale down to at most this many pixels a side.

    Raises
    ------
    ImageError
        If it is no picture that can be read, or has more than 178 million pixels.
    """
    try:
        with quiet(), Image.open(io.BytesIO(data), formats=_formats()) as image:
            _check_size(name, image.width, image.height)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                opacity = image.convert("RGBA").getchannel("A")
                if opacity.histogram()[255] < opacity.width * opacity.height:
                    opacity.thumbnail((max_side_px, max_side_px), Image.Resampling.BOX)
                    return np.asarray(opacity)
    except ImageError:
        raise
    except Exception as error:  # broken files make decoders raise anything
        raise ImageError(f"{name} is no mask that can be read: {_reason(error)}. Use a PNG, white on black.") from None
    return np.asarray(Image.fromarray(read_rgb(data, name=name, max_side_px=max_side_px)).convert("L"))


def _decoded(source: Path | str | bytes, label: str, max_side_px: int | None) -> NDArray[np.uint8]:
    named_dicom = _named_dicom(source)
    if not named_dicom:
        try:
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats()) as image:
                _check_size(label, image.width, image.height)
                deep = _deep_tiff_rgb(source, label) if _is_deep_tiff(image) else None
                if deep is not None:
                    return deep
                if max_side_px is not None:
                    image.draft("RGB", (max_side_px, max_side_px))
                return to_rgb(image)
        except UnidentifiedImageError:
            pass
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        head = file.read(dicom.HEAD_BYTES)
        file.seek(0)
        if not head:
            raise ImageError(f"{label} is an empty file. Get the picture again.")
        if head.startswith(_TIFF) and not dicom.is_dicom(head):
            return _tiff_rgb(file, label)
    if dicom.is_dicom(head) or named_dicom:
        return dicom.read_dicom(source if isinstance(source, bytes) else Path(source), label, MAX_PIXELS)
    raise UnidentifiedImageError


def _check_size(label: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{label} has {width}×{height} pixels; at most {MAX_PIXELS // 1_000_000} million are read. Scale it down."
        )


def _is_deep_tiff(image: Image.Image) -> bool:
    """Whether this is a TIFF of grey and alpha or of RGB, with more than 8 bits in each channel."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(258, (8,))
    plain = image.format == "TIFF" and tags.get(262) in _TIFF_PLAIN
    return plain and isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8


def _deep_tiff_rgb(source: Path | str | bytes, label: str) -> NDArray[np.uint8] | None:
    """Read by tifffile, as Pillow keeps 8 bits and garbles separate planes; None where it lacks the decoder."""
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        try:
            return _tiff_rgb(file, label)
        except ValueError:  # such as LZW, for which tifffile asks for imagecodecs
            return None


def _tiff_page(file: Any) -> Any:
    """Open the first page of a TIFF that Pillow does not know, such as floating-point RGB or float64."""
    import tifffile  # comes with scikit-image

    return tifffile.TiffFile(file).pages[0]


def _tiff_rgb(file: Any, label: str) -> NDArray[np.uint8]:
    page = _tiff_page(file)
    _check_size(label, page.imagewidth, page.imagelength)
    values = np.asarray(page.asarray())
    if values.ndim == 3 and page.planarconfig == 2:  # one plane after another
        values = np.moveaxis(values, 0, -1)
    if page.photometric not in _TIFF_PLAIN:
        raise ImageError(f"{label} has colours of kind {page.photometric.name}, which are not read. Save it as RGB.")
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] > 4):
        raise ImageError(f"{label} has values of shape {values.shape}; expected grey or colour, (y, x) or (y, x, 3).")
    shown = to_8_bit(values)
    rgb = rgb_from(255 - shown if page.photometric == 0 else shown)
    orientation = page.tags.get(274)
    turn = _TURNS.get(orientation.value) if orientation is not None else None
    return rgb if turn is None else np.array(Image.fromarray(rgb).transpose(turn))
