"""Any picture file or bytes -> uint8 RGB. Nothing else in the project opens a picture."""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vfs_panel.errors import ImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"})
MAX_PIXELS = 200_000_000  # a decompression bomb stops here, before it takes the memory


def is_picture(path: Path) -> str | None:
    """Return None if the file's header is that of a picture, else why not, in a few words."""
    try:
        with Image.open(path):
            return None
    except UnidentifiedImageError:
        return "not a picture"
    except (OSError, ValueError, SyntaxError) as error:
        return _reason(error)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Turn an open picture of any mode into uint8 RGB, shape (y, x, 3): EXIF turned, alpha over white."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        # Pillow clips these at 255; bring the full range of a 16-bit picture to 8 bits instead.
        values = np.asarray(image, np.float64)
        if values.max(initial=0) > 255:
            values = values / (65535 if values.max() > 1 else 1) * 255
        image = Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        paper.alpha_composite(rgba)
        image = paper
    return np.asarray(image.convert("RGB"))


def read_rgb(
    source: Path | str | bytes, *, name: str | None = None, max_side_px: int | None = None
) -> NDArray[np.uint8]:
    """Read a picture as uint8 RGB, shape (y, x, 3).

    Parameters
    ----------
    source : a path, or a file's bytes.
    name : what to call it in an error; the path by default.
    max_side_px : scale down to at most this many pixels a side.

    Raises
    ------
    ImageError
        If it cannot be opened or decoded, or has more than 200 million pixels.
    """
    label = name or ("The picture" if isinstance(source, bytes) else str(source))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of large pictures; size is checked here
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ImageError(
                        f"{label} has {image.width}×{image.height} pixels; at most {MAX_PIXELS // 1_000_000} million "
                        "are read. Scale it down."
                    )
                if max_side_px is not None:
                    image.draft("RGB", (max_side_px, max_side_px))
                rgb = to_rgb(image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{label} is no picture that can be read. Use JPEG, PNG, WebP or TIFF.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, EOFError) as error:
        raise ImageError(f"{label} cannot be read: {_reason(error)}.") from None
    if max_side_px is not None and max(rgb.shape[:2]) > max_side_px:
        small = Image.fromarray(rgb)
        small.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
        rgb = np.asarray(small)
    return rgb
