"""One rendered demo picture, and the affine maps that say where its pixels come from. NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SIZE_PX = 224
"""Height and width of every demo picture."""

SEED = 20231
"""Seed of everything random in the demo pictures and in the training of the demo networks."""

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of a picture that shows a named place: a source photograph or a fixed scene.

    Parameters
    ----------
    place : str
        Name of the photograph or scene.
    matrix : array, shape (2, 3)
        Maps picture pixels (x, y, 1) to place pixels (x, y); x right, y down, pixel edges at whole numbers.
    cut_out : str, optional
        Name of the cut-out whose mask bounds the layer; without one the layer covers the whole picture.
    """

    place: str
    matrix: Floats
    cut_out: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered demo picture with everything that is known about it.

    Parameters
    ----------
    image_id : str
        "domain/label/number", for example "night/cat/07".
    pixels : array, shape (SIZE_PX, SIZE_PX, 3)
        RGB.
    label, domain, split : str
        Subject; style or location; "train", "val", or "ood" for a domain left out of training.
    layers : tuple of Layer
        Topmost first.
    box : tuple of int, optional
        The pasted subject's rectangle x0, y0, x1, y1 in picture pixels.
    night : bool
        Whether the camera used its infrared flash.
    facts : mapping of str to str
        Further columns of the index.
    """

    image_id: str
    pixels: Rgb
    label: str
    domain: str
    split: str
    layers: tuple[Layer, ...]
    box: tuple[int, int, int, int] | None = None
    night: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)


def image_id(domain: str, label: str, number: int) -> str:
    """Return the id of a picture: lower case, no spaces, and sorted as it reads."""
    return f"{domain}/{label}/{number:02d}".replace(" ", "-")


def split_of(number: int, *, seen: bool) -> str:
    """Return "ood" for a domain left out of training, else "val" for every fourth picture and "train" for the rest."""
    if not seen:
        return "ood"
    return "train" if number % 4 else "val"


def transform(matrix: Floats, xy: Floats) -> Floats:
    """Map points (..., 2) by affine matrices (..., 2, 3)."""
    return (matrix[..., :2] @ xy[..., None])[..., 0] + matrix[..., 2]


def invert(matrix: Floats) -> Floats:
    """Return the inverse of affine matrices (..., 2, 3)."""
    linear = np.linalg.inv(matrix[..., :2])
    return np.concatenate([linear, -linear @ matrix[..., 2:]], axis=-1)


def to_uint8(x: Floats) -> Rgb:
    """Round values in 0..1 to 0..255."""
    return np.asarray(np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def luma(x: Floats) -> Floats:
    """Return the brightness (y, x) of RGB (y, x, 3), by the weights of ITU-R BT.601."""
    return np.asarray(x @ np.array([0.299, 0.587, 0.114]))


def vignette(strength: float) -> Floats:
    """Return a factor (y, x, 1) that falls from 1 in the middle by `strength` in the corners."""
    y, x = np.mgrid[-1 : 1 : SIZE_PX * 1j, -1 : 1 : SIZE_PX * 1j]
    return np.asarray((1 - strength * (x * x + y * y) / 2)[..., None])
