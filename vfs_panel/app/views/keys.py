"""The keys of the whole page, and what lies over the canvas."""

from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn

from vfs_panel.app.component import Part, script
from vfs_panel.app.ink import Fit
from vfs_panel.app.panes import theme_of
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.state import TABS, TOOLS, SearchState
from vfs_panel.app.views.header import HeaderView
from vfs_panel.app.wire import without_delay
from vfs_panel.errors import QueryError, VFSError
from vfs_panel.search.stroke import MOST_POINTS, Shape


class CanvasOver(Part):
    """What lies over the canvas: the brush's ring and a hint; and the keys of the whole page."""

    _esm = script("over")


class KeyView:
    """The keys of the whole page, and what lies over the canvas."""

    def __init__(self, session: Session, *, page: bool) -> None:
        self._session = session
        self.header: HeaderView | None = None
        self.over = CanvasOver(
            on_do=self._do, margin=0, styles={"position": "absolute", "inset": "0", "height": "100%"}
        )
        self._page = page
        self._inked = 0
        self._keys: dict[str, Callable[[], None]] = {
            "polarity": self._polarity,
            "smaller": partial(self._brush, 1 / 1.2),
            "larger": partial(self._brush, 1.2),
            "cells": self._cells,
            "undo": session.undo,
            "redo": session.redo,
            "clear": session.clear,
            "next": partial(session.step, 1),
            "previous": partial(session.step, -1),
            "from_match": self._search_from,
            "open": self._open,
            "escape": self._escape,
            "theme": session.toggle_theme,
            "help": self._help,
        }
        session.state.param.watch(
            self._show, ["drawn", "drawing", "brush_px", "tool", "polarity", "theme", "picture", "layer", "dataset"]
        )
        session.on_publish.append(self._ink_came)
        self._show()

    def _show(self, *_: Any) -> None:
        session, state = self._session, self._session.state
        outside = ""
        try:
            x0, y0, x1, y1 = session.geometry().frame
            height, width = session.picture_px
            if (x0, y0, x1, y1) != (0, 0, width, height):
                outside = "outside the frame: not seen by the network"
        except VFSError:
            pass
        self.over.show(
            page=self._page,
            theme=state.theme,
            background=theme_of(state).bg,
            hint=_hint(state),
            outside=outside,
            tool=state.tool,
            polarity=state.polarity,
            picture=f"{state.dataset} {state.picture}",
            ring_px=round(state.brush_px * session.canvas_px / max(session.picture_px), 1),
        )

    def _ink_came(self, outcome: Outcome) -> None:
        """Let the finished stroke go once its ink is there."""
        if outcome.ink:
            self._inked += 1
            self.over.show(inked=self._inked)

    def _stroke(self, msg: dict[str, Any]) -> None:
        """Take a stroke of the brush component: points in canvas pixels."""
        fit = Fit(self._session.picture_px, self._session.canvas_px)
        try:
            points = [fit.to_picture(float(x), float(y)) for x, y in msg["points"][:MOST_POINTS]]
            pressures = [min(max(float(pressure), 0.0), 1.0) for pressure in msg.get("pressures") or ()]
        except (KeyError, TypeError, ValueError):
            return
        shape: Shape = "fill" if msg.get("shape") == "fill" else "line"
        if len(pressures) != len(points):
            pressures = []
        try:
            act = self._session.commit if msg.get("done") else self._session.draw
            act(points, shape=shape, pressures=pressures)
        except QueryError:  # a point that is no number: no hand draws it
            self._session.commit([])

    def _do(self, msg: dict[str, Any]) -> None:
        session, state = self._session, self._session.state
        name = msg["do"]
        if name == "canvas_width" and isinstance(msg.get("value"), int):
            without_delay(pn.state.curdoc)  # said as soon as the page is there
            session.set_canvas(msg["value"])
        elif name == "stroke":
            self._stroke(msg)
        elif name in TOOLS:
            state.tool = name
        elif name.startswith("tab") and name[3:].isdigit() and 1 <= int(name[3:]) <= len(TABS):
            session.open_tab(list(TABS)[int(name[3:]) - 1])
        elif name in self._keys:
            self._keys[name]()

    def _polarity(self) -> None:
        state = self._session.state
        state.polarity = "exclude" if state.polarity == "include" else "include"

    def _brush(self, by: float) -> None:
        self._session.set_brush(self._session.state.brush_px * by)

    def _cells(self) -> None:
        self._session.state.cells_shown = not self._session.state.cells_shown

    def _open(self) -> None:
        if self._session.state.selected:
            self._session.open_match(self._session.state.selected)

    def _escape(self) -> None:
        session = self._session
        if session.state.offer is not None:
            session.offers.withdraw()
        elif session.state.opened:
            session.open_match(0)
        else:
            session.select(0)

    def _search_from(self) -> None:
        if self._session.state.selected:
            self._session.search_from_match(self._session.state.selected)

    def _help(self) -> None:
        if self.header is not None:
            self.header.help()


def _hint(state: SearchState) -> str:
    if not state.picture:
        return "No picture yet: build a data set first."
    return "" if state.strokes else "Paint the part you want to find."
