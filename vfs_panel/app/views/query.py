"""The query column: gallery, upload, tools, canvas, and what the layer sees of the drawing."""

import base64
import binascii
import random
from typing import Any

import numpy as np
import pandas as pd
import param

from vfs_panel.app import shared
from vfs_panel.app.canvas import Canvas, cell_columns, no_ink, picture_columns
from vfs_panel.app.component import Part, script
from vfs_panel.app.ink import NO_INK, Fit
from vfs_panel.app.panes import box, figure_pane, theme_of
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.state import TOOLS
from vfs_panel.app.thumbnails import MATCH_PX
from vfs_panel.app.views.cells import CellsView
from vfs_panel.app.views.keys import CanvasOver
from vfs_panel.errors import ImageError, QueryError, VFSError
from vfs_panel.plots.text import count_text, plain
from vfs_panel.search import Stroke
from vfs_panel.settings import settings

GALLERY = 6


class QueryTop(Part):
    """Heading, upload, filters, gallery and tools of the query column."""

    pictures: list[dict[str, str]] = param.List(
        default=[], doc="Id and data URL of each in the gallery: apart from `view`, which changes with every stroke."
    )
    _esm = script("inline", "query")


class CanvasUnder(Part):
    """The grid's switch and the box by numbers."""

    _esm = script("under")


class QueryView:
    """All parts of the query column, in order, as `parts`.

    Parameters
    ----------
    session : what it works on.
    over : the part that lies over the canvas.
    """

    def __init__(self, session: Session, over: CanvasOver) -> None:
        self._session = session
        self._seed = 0
        self._pick = {"label": "", "domain": "", "text": ""}
        self._canvas = Canvas(self._draw, self._commit)
        self._canvas.on_figure = lambda name: over.show(figure=name)
        self._canvas_pane = figure_pane()
        self._shown_figure: tuple[Any, ...] = ()
        self._top = QueryTop(on_do=self._do, margin=0)
        self._under = CanvasUnder(on_do=self._do, margin=0)
        self.parts = (
            self._top,
            box(self._canvas_pane, over, classes=("vfs-canvas",)),
            self._under,
            CellsView(session).part,
        )
        state = session.state
        state.param.watch(self._show_gallery, ["dataset", "network", "picture", "upload"])
        state.param.watch(self._show_tools, ["tool", "polarity", "brush_px", "drawn", "upload_error", "picture"])
        state.param.watch(
            self._show_picture, ["dataset", "network", "layer", "picture", "upload", "cells_shown", "theme"]
        )
        session.on_publish.append(self._publish)
        session.on_resize.append(self._show_picture)
        self._show_gallery()
        self._show_tools()
        self._show_picture()

    # --- gallery ------------------------------------------------------------------------------------------------

    def _index(self) -> pd.DataFrame:
        index = self._session.store.index
        return index[~index["broken"].to_numpy(bool)]

    def _show_gallery(self, *events: Any) -> None:
        session, state = self._session, self._session.state
        if any(event.name == "dataset" and event.new != event.old for event in events):
            self._seed, self._pick = 0, {"label": "", "domain": "", "text": ""}
        try:
            index = self._index()
        except VFSError:
            self._top.show(nothing=not state.picture)
            return
        labels, domains = (pd.unique(index[name]).tolist() for name in ("label", "domain"))
        keep = np.ones(len(index), bool)
        for name in ("label", "domain"):
            if self._pick[name]:
                keep &= index[name].to_numpy(object) == self._pick[name]
        if self._pick["text"]:
            keep &= index.index.str.contains(self._pick["text"], case=False, regex=False).astype(bool)
        ids = [str(i) for i in index.index[keep]]
        shown = _six(ids, state.picture if state.upload is None else "", self._seed)
        thumbnails = shared.thumbnails_of(session.source, state.network)
        pictures = [{"id": i, "url": thumbnails.url(i, MATCH_PX)} for i in shown]
        if pictures != self._top.pictures:
            self._top.pictures = pictures
        self._top.show(
            nothing=False,
            words=" / ".join(state.picture.split("/")),
            picture=state.picture if state.upload is None else "",
            labels=[["", f"all {len(labels)}"], *([v, plain(v)] for v in sorted(labels))] if len(labels) > 1 else [],
            domains=[["", f"all {len(domains)}"], *([v, plain(v)] for v in domains)] if len(domains) > 1 else [],
            label=self._pick["label"],
            domain=self._pick["domain"],
            gallery=f"Pictures: {len(shown)} of {count_text(len(ids), 'picture')} shown",
            max_bytes=int(settings().max_upload_mb * 1e6),
            max_mb=f"{settings().max_upload_mb:g}",
        )
        self._under.show(max_bytes=int(settings().max_upload_mb * 1e6))

    def _show_tools(self, *_: Any) -> None:
        state = self._session.state
        low, high = self._session.brush_limits
        history = state.history
        self._top.show(
            tool=state.tool, size=round(state.brush_px), size_min=low, size_max=high, can_undo=history.can_undo,
            can_redo=history.can_redo, can_clear=bool(history.strokes), error=state.upload_error,
            reason=state.upload_reason,
        )  # fmt: skip
        self._under.show(polarity=state.polarity, erasing=state.tool == "eraser")
        self._style_stroke()

    def _style_stroke(self) -> None:
        session = self._session
        scale = session.canvas_px / max(session.picture_px)
        self._canvas.set_stroke(session.state.brush_px * scale, session.state.mode_of_stroke)

    def _do(self, msg: dict[str, Any]) -> None:
        session, state = self._session, self._session.state
        match msg["do"]:
            case "pick":
                self._pick |= {name: str(msg[name])[:80] for name in ("label", "domain", "text") if name in msg}
                self._seed = 0
                self._show_gallery()
            case "shuffle":
                self._seed = random.randrange(1, 1 << 30)
                self._show_gallery()
            case "picture" if str(msg.get("id")) in session.store.index.index:
                session.open_picture(str(msg["id"]))
            case "piece":
                self._piece(msg)
            case "refuse":
                session.uploads.refuse(str(msg.get("name", "The picture"))[:120])
            case "forgive":
                state.upload_error = ""
            case "tool" if msg.get("value") in TOOLS:
                state.tool = msg["value"]
            case "polarity" if msg.get("value") in ("include", "exclude"):
                state.polarity = msg["value"]
            case "size" if isinstance(msg.get("value"), (int, float)):
                session.set_brush(msg["value"])
            case "undo" | "redo" | "clear":
                getattr(session, msg["do"])()
            case "cells":
                state.cells_shown = not state.cells_shown
            case "box":
                self._box(msg.get("box"))

    def _piece(self, msg: dict[str, Any]) -> None:
        try:
            data = base64.b64decode(str(msg["data"]), validate=True)
            number, total = int(msg["number"]), int(msg["total"])
        except (KeyError, ValueError, TypeError, binascii.Error):
            return
        name = str(msg.get("name", "The picture"))[:120]
        self._session.uploads.receive(str(msg.get("key")), number, total, data, name, mask=msg.get("mask") is True)

    def _box(self, numbers: Any) -> None:
        try:
            x0, y0, x1, y1 = (float(v) for v in numbers)
            self._session.add(Stroke.box(x0, y0, x1, y1, mode=self._session.state.polarity))  # type: ignore[arg-type]
        except (QueryError, TypeError, ValueError):
            return  # the form does not send such a box

    # --- canvas -------------------------------------------------------------------------------------------------

    def _draw(self, points: list[tuple[float, float]]) -> None:
        self._session.draw(self._to_picture(points))

    def _commit(self, points: list[tuple[float, float]]) -> None:
        self._session.commit(self._to_picture(points))

    def _to_picture(self, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        fit = Fit(self._session.picture_px, self._session.canvas_px)
        return [fit.to_picture(x, y) for x, y in points]

    def _show_picture(self, *events: Any) -> None:
        """Show another picture, layer or size: in the same figure where that is possible."""
        session, state = self._session, self._session.state
        try:
            rgb, geometry, grid = session.picture_rgb(), session.geometry(), session.grid()
        except (VFSError, ImageError):
            return
        if not session.canvas_known:
            return  # drawn once, in the right size, as soon as the browser tells it
        size, theme = session.canvas_px, theme_of(state)
        columns = {
            **picture_columns(rgb, size, background=theme.inset),
            **cell_columns(geometry, grid, size, shown=state.cells_shown),
        }
        if self._shown_figure != (size,):
            self._shown_figure = (size,)
            self._style_stroke()
            self._canvas_pane.object = self._canvas.figure(size, {**columns, **no_ink()})
        else:
            self._canvas.send(columns)
            if any(event.name in ("dataset", "picture", "upload") for event in events):
                self._canvas.ink(NO_INK)
        self._under.show(cells=state.cells_shown, picture_px=list(session.picture_px))

    def _publish(self, outcome: Outcome) -> None:
        strokes = outcome.job.strokes
        self._canvas.answer(len(strokes[-1].points) if strokes else 0)
        if outcome.mask is None:
            return
        if outcome.ink:
            self._canvas.ink(outcome.ink)


def _six(ids: list[str], current: str, seed: int) -> list[str]:
    """Choose the pictures of the gallery: spread over the list, or by chance; the one in use stays among them."""
    if len(ids) <= GALLERY:
        return ids
    if seed:
        return random.Random(seed).sample(ids, GALLERY)
    step = len(ids) / GALLERY
    chosen = [ids[int(i * step)] for i in range(GALLERY)]
    if current in ids and current not in chosen:
        chosen[ids.index(current) * GALLERY // len(ids)] = current
    return chosen
