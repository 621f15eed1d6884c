"""Queries with known answers: random painted discs on demo pictures, and which matches of them are right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vfs_panel.images.demo.picture import SIZE_PX, Floats
from vfs_panel.images.demo.places import Flags, Places

Part = Literal["anywhere", "subject", "background"]
PARTS: tuple[Part, ...] = ("anywhere", "subject", "background")
RADIUS_PX = (14.0, 34.0)
EDGE_PX = 8.0  # an answer nearer to the picture's edge is not counted as one that exists


@dataclass(frozen=True, slots=True)
class Disc:
    """A painted disc: the row of its picture, its middle x, y and its radius in picture pixels."""

    row: int
    centre: tuple[float, float]
    radius_px: float


def random_discs(
    places: Places, rows: Sequence[int], boxes: Floats | None, *, count: int, part: Part, seed: int
) -> list[Disc]:
    """Draw discs on pictures; the same arguments draw the same discs.

    Parameters
    ----------
    places : Places
    rows : sequence of int
        The pictures to draw on.
    boxes : array, shape (row, 4), optional
        Rectangles x0, y0, x1, y1 of the subjects, NaN without one; not needed for discs anywhere.
    count : int
    part : {"anywhere", "subject", "background"}
        On the subject means the middle lies on its cut-out, and the disc is no larger than a third of it;
        background keeps 12 px away from the subject's box.
    seed : int
    """
    rng = np.random.default_rng((seed, PARTS.index(part)))
    discs: list[Disc] = []
    while len(discs) < count:
        row, radius = int(rng.choice(rows)), float(rng.uniform(*RADIUS_PX))
        centre = rng.uniform(radius, SIZE_PX - radius, 2)
        box = None if boxes is None or np.isnan(boxes[row, 0]) else boxes[row]
        if part == "subject":
            if box is None:
                continue
            radius = min(radius, 0.3 * float(min(box[2:] - box[:2])) + 4)
            centre = rng.uniform(box[:2], box[2:])
            inside = 0 < centre.min() <= centre.max() < SIZE_PX
            if not inside or places.at(row, centre[None])[0][0] != places.place[row, 0]:
                continue
        if part == "background" and box is not None:
            nearest = np.clip(centre, box[:2], box[2:])
            if np.hypot(*(nearest - centre)) < radius + 12:
                continue
        discs.append(Disc(row, (float(centre[0]), float(centre[1])), radius))
    return discs


def right_matches(
    places: Places, disc: Disc, *, corner: tuple[int, int], windows: NDArray[np.intp], stride_px: float
) -> tuple[Flags, Flags]:
    """Tell for every picture whether its best window lies on the query's own spot.

    It does if what lies in the window where the disc's middle lay in the query's window is the same place, nearer to
    the disc's middle than its radius and half a cell (in the coarser of the two pictures).

    Parameters
    ----------
    places : Places
    disc : Disc
        The query.
    corner : tuple of int
        Column and row of the query window's first cell.
    windows : array of int, shape (row, 2)
        Column and row of every picture's best window.
    stride_px : float
        Picture pixels per cell.

    Returns
    -------
    right : array of bool, shape (row,)
    possible : array of bool, shape (row,)
        Whether the picture shows the spot at all. Both are False for the query's own picture.
    """
    rows, centre = np.arange(len(places.ids)), np.array(disc.centre)
    (place,), (where,) = places.at(disc.row, centre[None])
    _, possible = places.find(int(place), where, margin_px=EDGE_PX)
    offset = centre - np.array(corner) * stride_px
    found, spots = places.at(rows, np.clip(windows * stride_px + offset, 0, SIZE_PX - 1))
    scale = places.pixels_per_pixel(int(place))
    reach = (disc.radius_px + stride_px / 2) * np.fmax(scale, scale[disc.row])
    right = (found == place) & (np.hypot(*(spots - where).T) <= reach)
    own = rows == disc.row
    return right & ~own, possible & ~own
