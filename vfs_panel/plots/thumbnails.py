"""Thumbnails: pictures as data URLs that a browser shows."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def data_url(rgb: NDArray[np.uint8], *, max_side_px: int = 224, quality: int = 85) -> str:
    """Encode a picture as a JPEG data URL, scaled down so that its longer side is at most `max_side_px`.

    Parameters
    ----------
    rgb : uint8 array, shape (y, x, 3) or (y, x).
    max_side_px : of the encoded picture; twice a tile's CSS pixels is sharp on any screen.
    quality : of the JPEG, 1 to 95.
    """
    image = Image.fromarray(rgb)
    image.thumbnail((max_side_px, max_side_px), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture in pale grey, so that colours laid over it can be read (CSS: contrast 0.85, brightness 1.1)."""
    luma = rgb[..., :3].astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    pale = ((luma / 255 - 0.5) * 0.85 + 0.5) * 1.1
    return np.asarray(np.clip(np.round(pale * 255), 0, 255), np.uint8)
