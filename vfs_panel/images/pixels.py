"""Pixel values of any type and number of channels -> uint8 RGB. Pure arrays: opens no file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
_TOPS = (255, 4095, 65535)  # the greatest values of 8, 12 and 16 bits


def to_8_bit(values: Pixels) -> NDArray[np.uint8]:
    """Bring the values of one picture to 0..255, shape kept.

    A file seldom says how many of its bits are used, so the range is taken from the values:

    - bool: 0 and 255; uint8: as they are;
    - whole numbers from 0: the least of 8, 12 and 16 bits that holds the picture's greatest value becomes 0..255.
      A 12-bit X-ray in a 16-bit file is thus shown in full, and pictures of one camera keep their brightness
      relative to each other, unless one is so dark that it fits into fewer bits;
    - floating point within 0..1: times 255; else within 0..255: as they are;
    - anything else (negative values, more than 16 bits, larger floats): the picture's least value becomes 0 and its
      greatest 255. What is not finite counts as the least value.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not values.size:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        low, high = (float(values.min(where=finite, initial=np.inf)), float(values.max(where=finite, initial=-np.inf)))
        values = np.where(finite, values, low if finite.any() else 0)
        top = next((t for t in (1, 255) if high <= t), None)
    else:
        low, high = float(values.min()), float(values.max())
        top = next((t for t in _TOPS if high <= t), None)
    if low >= 0 and top is not None:
        return _scaled(values, 0.0, float(top))
    return _scaled(values, low, high)


def stretch(values: Pixels, low: float, high: float) -> NDArray[np.uint8]:
    """Bring low..high to 0..255 and cut off what lies outside, shape kept."""
    return _scaled(values, low, high)


def _scaled(values: Pixels, low: float, high: float) -> NDArray[np.uint8]:
    # float32 holds every 16-bit number exactly, in half the memory.
    small = values.dtype.itemsize <= 2 or values.dtype == np.float32
    scaled: NDArray[Any] = values.astype(np.float32 if small else np.float64)
    np.subtract(scaled, low, out=scaled)
    np.multiply(scaled, 255 / (high - low) if high > low else 0, out=scaled)
    whole: NDArray[np.uint8] = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    return whole


def rgb_from(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn grey, grey and alpha, RGB or RGBA into RGB, with alpha laid over white.

    Parameters
    ----------
    values : uint8 array, shape (y, x) or (y, x, 1 | 2 | 3 | 4).

    Returns
    -------
    uint8 array, shape (y, x, 3), a copy.
    """
    if values.ndim == 2:
        values = values[..., None]
    channels = values.shape[2]
    colour = values[..., :3] if channels >= 3 else np.repeat(values[..., :1], 3, axis=2)
    if channels in (2, 4):
        alpha = values[..., -1:].astype(np.uint16)
        colour = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.array(colour, np.uint8, order="C")
