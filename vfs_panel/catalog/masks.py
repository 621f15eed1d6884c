"""A mask of a suggested query -> strokes, as if somebody had painted it: filled outlines, and erased holes."""

from pathlib import Path

import numpy as np

from vfs_panel.catalog.schema import QueryStroke
from vfs_panel.errors import ImageError

_SHOWN = 128  # of 255: from here on a pixel of the mask is painted
_TOLERANCE_PX = 0.7  # how far a corner may be from the outline


def strokes_of_mask(file: Path) -> list[QueryStroke]:
    """Return strokes that paint what is white in a mask.

    Parameters
    ----------
    file : a PNG as large as the picture.

    Returns
    -------
    list of QueryStroke, of shape "fill": outlines of what is painted and of its holes, the largest first.

    Raises
    ------
    ImageError
        If the file cannot be read, or nothing in it is white.
    """
    from skimage.measure import approximate_polygon, find_contours

    from vfs_panel.images.reading import read_rgb

    painted = read_rgb(file).max(axis=2) >= _SHOWN
    if not painted.any():
        raise ImageError(f"Mask {file} paints nothing: no pixel of it is white.")
    # A rim of nothing closes outlines at the border; a pixel's middle lies half a pixel from its corner.
    outlines = [
        approximate_polygon(line, _TOLERANCE_PX) - 0.5
        for line in find_contours(np.pad(painted, 1).astype(np.float32), 0.5, positive_orientation="high")
    ]
    outlines = [line for line in outlines if len(line) > 3]
    # Outlines run one way around what is white, and the other way around its holes; an island in a hole comes later.
    outlines.sort(key=lambda line: -abs(_area(line)))
    return [_stroke(line, "include" if _area(line) * _area(outlines[0]) > 0 else "erase") for line in outlines]


def _area(line: np.ndarray) -> float:
    y, x = line[:, 0], line[:, 1]
    return float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def _stroke(line: np.ndarray, mode: str) -> QueryStroke:
    points = [(round(float(x), 1), round(float(y), 1)) for y, x in line]
    return QueryStroke.model_validate({"points": points, "radius_px": 0, "mode": mode, "shape": "fill"})
