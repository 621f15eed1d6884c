"""Examples and tour of the first visit: suggested queries of the catalog as pictures with their paint."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vfs_panel.app import shared
from vfs_panel.app.ink import ink_url
from vfs_panel.app.session import Session
from vfs_panel.app.thumbnails import MATCH_PX, data_url, shrink
from vfs_panel.catalog import SuggestedQuery
from vfs_panel.errors import VFSError
from vfs_panel.search import Stroke
from vfs_panel.search.mask import paint

SHOWN = 4


@dataclass(frozen=True, slots=True)
class Example:
    """A suggested query: the picture, its strokes, and what its card shows."""

    image: str
    strokes: tuple[Stroke, ...]
    view: dict[str, str]


def strokes_of(query: SuggestedQuery) -> tuple[Stroke, ...]:
    """Return what a suggested query paints."""
    if query.box is not None:
        return (Stroke.box(*query.box),)
    return tuple(
        Stroke(tuple((float(x), float(y)) for x, y in stroke.points), stroke.radius_px, stroke.mode, stroke.shape)
        for stroke in query.strokes or ()
    )


def examples_of(session: Session) -> list[Example]:
    """Return the examples of the open source; those whose picture is not in the store are left out."""
    index = session.store.index
    found: list[Example] = []
    for query in session.source.queries:
        if query.image not in index.index or len(found) == SHOWN:
            continue
        try:
            strokes = strokes_of(query)
            picture, ink = card(session, query.image, strokes)
        except VFSError:
            continue
        view = {"title": query.title, "note": query.note, "url": picture, "ink": ink}
        found.append(Example(query.image, strokes, view))
    return found


def card(session: Session, image_id: str, strokes: tuple[Stroke, ...]) -> tuple[str, str]:
    """Return data URLs of a picture, in a square, and of the paint over it."""
    rgb = shared.images_of(session.source).rgb(image_id)
    small = shrink(rgb, MATCH_PX)
    side = max(small.shape[:2])
    square = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    geometry = session.store.preprocessing.geometry(*rgb.shape[:2])
    return data_url(square, quality=86), ink_url(paint(strokes, geometry), geometry, side) if strokes else ""


def tour_of(session: Session) -> list[Any]:
    """Return (picture, paint over it) of the three steps, from the first example or the open picture."""
    examples = [query for query in session.source.queries if query.image in session.store.index.index]
    if examples:
        strokes = strokes_of(examples[0])
        picture, ink = card(session, examples[0].image, strokes)
    else:
        image = str(session.store.index.index[0])
        height, width = shared.images_of(session.source).rgb(image).shape[:2]
        middle = Stroke(((width * 0.42, height * 0.45), (width * 0.58, height * 0.45)), min(height, width) * 0.14)
        picture, ink = card(session, image, (middle,))
    return [[picture, ""], [picture, ink], [_like(session), ""]]


def _like(session: Session) -> str:
    """Return a picture of the last domain, as a stand-in for a match."""
    index = session.store.index
    return shared.thumbnails_of(session.source, session.state.network).url(str(index.index[len(index) // 2]))
