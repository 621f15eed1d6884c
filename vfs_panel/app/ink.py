"""Ink: the painted soft mask as a transparent PNG for the canvas. Numpy and PIL only."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vfs_panel.app.thumbnails import data_url
from vfs_panel.images.preprocessing import Geometry

INK_ALPHA = 0.5
_HATCH_PX, _HATCH_ALPHA = 8, 0.55
INK_RGB = (0xE8, 0x59, 0x0C)
"""Orange that stands out from pictures in both themes, between the two themes' own."""

NO_INK = data_url(np.zeros((1, 1, 4), np.uint8), kind="PNG")


class Fit:
    """Where a picture lies in a square canvas: as large as fits, in the middle.

    Parameters
    ----------
    picture_px : (height, width).
    canvas_px : side of the canvas, CSS pixels.
    """

    def __init__(self, picture_px: tuple[int, int], canvas_px: int) -> None:
        height, width = picture_px
        self.canvas_px = canvas_px
        self.scale = canvas_px / max(height, width)
        self.left = (canvas_px - width * self.scale) / 2
        self.top = (canvas_px - height * self.scale) / 2
        self.width, self.height = width * self.scale, height * self.scale

    def to_canvas(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Map a rectangle (x0, y0, x1, y1) from picture to canvas pixels."""
        x0, y0, x1, y1 = (v * self.scale for v in box)
        return x0 + self.left, y0 + self.top, x1 + self.left, y1 + self.top

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from canvas to picture pixels."""
        return (x - self.left) / self.scale, (y - self.top) / self.scale


def ink_url(
    alpha: NDArray[np.uint8], geometry: Geometry, canvas_px: int, *, excluded: NDArray[np.uint8] | None = None
) -> str:
    """Return the drawing as a PNG of the whole canvas, as strong as painted, with a thin line at its edge.

    What is included is orange; what is excluded is hatched in black and white, so that it needs no colour of its own.

    Parameters
    ----------
    alpha : uint8, shape (input_y, input_x), from `search.mask.paint_both`.
    geometry : of the picture.
    canvas_px : side of the canvas.
    excluded : as `alpha`.
    """
    hatched = excluded is not None and bool(excluded.any())
    if not alpha.any() and not hatched:
        return NO_INK
    picture = np.zeros((canvas_px, canvas_px, 4), np.uint8)
    if alpha.any():
        strength, edge = _on_canvas(alpha, geometry, canvas_px)
        picture[..., :3] = INK_RGB
        picture[..., 3] = np.round(np.where(edge, 0.9, strength * INK_ALPHA) * 255)
    if hatched and excluded is not None:
        strength, edge = _on_canvas(excluded, geometry, canvas_px)
        rows, columns = np.indices(strength.shape)
        light = ((rows + columns) % _HATCH_PX < _HATCH_PX / 2) & ~edge
        own = np.where(edge, 0.95, strength * _HATCH_ALPHA) * 255
        over = own > picture[..., 3]
        picture[over] = np.dstack([*[np.where(light, 255, 20)] * 3, np.round(own)]).astype(np.uint8)[over]
    return data_url(picture, kind="PNG", compress_level=1)


def _on_canvas(
    alpha: NDArray[np.uint8], geometry: Geometry, canvas_px: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Bring a cover of the network's input to the canvas: how far each pixel is covered, and its edge."""
    fit = Fit(geometry.picture_px, canvas_px)
    height, width = geometry.input_px
    corners = geometry.to_picture(np.array([[0.0, 0.0], [width, height]]))
    x0, y0, x1, y1 = fit.to_canvas((corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1]))
    # Inverse affine map, canvas -> input, as PIL wants it; the middle of a pixel is at +0.5 in both.
    sx, sy = width / (x1 - x0), height / (y1 - y0)
    cover = Image.fromarray(alpha).transform(
        (canvas_px, canvas_px),
        Image.Transform.AFFINE,
        (sx, 0, -x0 * sx, 0, sy, -y0 * sy),
        Image.Resampling.BILINEAR,
    )
    strength = np.asarray(cover, np.float32) / np.float32(255)
    inside = strength >= 0.5
    core = inside.copy()
    core[1:] &= inside[:-1]
    core[:-1] &= inside[1:]
    core[:, 1:] &= inside[:, :-1]
    core[:, :-1] &= inside[:, 1:]
    return strength, inside & ~core
