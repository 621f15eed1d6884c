"""Examples and tour of the first visit: suggested queries of the catalog as pictures with their paint."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from vfs_panel.app import shared
from vfs_panel.app.ink import ink_url
from vfs_panel.app.session import Session
from vfs_panel.app.sources import Source
from vfs_panel.app.thumbnails import MATCH_PX, data_url, shrink
from vfs_panel.catalog import SuggestedQuery
from vfs_panel.errors import VFSError
from vfs_panel.features import FeatureStore
from vfs_panel.plots.outline import lit_cells, outline
from vfs_panel.plots.theme import LIGHT
from vfs_panel.search import RegionQuery, RegionSearch, Stroke
from vfs_panel.search.mask import paint, to_grid

SHOWN = 4
_TRIED, _LEGIBLE = 6, 70.0


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
    key = (session.source.key, session.state.network, image_id, strokes)
    return shared.card_of(key, lambda: _draw_card(session, image_id, strokes))


def _draw_card(session: Session, image_id: str, strokes: tuple[Stroke, ...]) -> tuple[str, str]:
    rgb = shared.images_of(session.source).rgb(image_id)
    small = shrink(rgb, MATCH_PX)
    side = max(small.shape[:2])
    square = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    geometry = session.store.preprocessing.geometry(*rgb.shape[:2])
    return data_url(square, quality=86), ink_url(paint(strokes, geometry), geometry, side) if strokes else ""


def steps_of(session: Session) -> list[list[str]]:
    """Return (picture, paint over it) of the three steps, from the first example or the first picture."""
    image, strokes = _first_query(session.source, session.store)
    picture, ink = card(session, image, strokes)
    return [[picture, ""], [picture, ink], [picture, ""]]


def first_match(source: Source, network: str, engine: RegionSearch) -> str:
    """Search for what the steps paint, and return the best match with its cells lit; "" if there is none."""
    image, strokes = _first_query(source, engine.store)
    try:
        rgb = shared.images_of(source).rgb(image)
        geometry, (_, rows, columns) = engine.spec.preprocessing.geometry(*rgb.shape[:2]), engine.spec.grid
        mask = to_grid(paint(strokes, geometry), (rows, columns))
        features = shared.picture_features(source, network, engine.layer, image)
        result = engine.search(RegionQuery.from_mask(features, mask, image_id=image), k=_TRIED)
        found = [shared.images_of(source).rgb(str(image_id)) for image_id in result["image_id"].values]
    except VFSError:
        return ""
    frames = [engine.spec.preprocessing.frame(match) for match in found]
    # The best one in which something can be made out at this size.
    rank = next((rank for rank, frame in enumerate(frames) if frame.mean() > _LEGIBLE), 0)
    if not frames:
        return ""
    frame = shrink(frames[rank], 2 * MATCH_PX)
    step = frame.shape[1] / columns, frame.shape[0] / rows
    lit = lit_cells(result["mask"].values)
    weights = np.full((rows, columns), 0.68, np.float32)
    y, x = int(result["y"].values[rank]), int(result["x"].values[rank])
    weights[y : y + lit.shape[0], x : x + lit.shape[1]][lit] = 1
    size = (frame.shape[1], frame.shape[0])
    light = np.asarray(Image.fromarray(weights).resize(size, Image.Resampling.NEAREST))
    shown = Image.fromarray(np.round(frame * light[..., None]).astype(np.uint8))
    draw = ImageDraw.Draw(shown)
    for line in outline(lit):
        corners = [((x + a) * step[0], (y + b) * step[1]) for a, b in line.tolist()]
        for width, colour in ((8, LIGHT.casing), (4, LIGHT.outline)):
            draw.line(corners, fill=colour, width=width, joint="curve")
    return data_url(np.asarray(shown), quality=86)


def _first_query(source: Source, store: FeatureStore) -> tuple[str, tuple[Stroke, ...]]:
    ids = store.pictures_index.ids
    for query in source.queries:
        if query.image in ids:
            return query.image, strokes_of(query)
    image = str(ids[0])
    height, width = shared.images_of(source).rgb(image).shape[:2]
    return image, (Stroke(((width * 0.42, height * 0.45), (width * 0.58, height * 0.45)), min(height, width) * 0.14),)
