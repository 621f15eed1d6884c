"""Canvas: the picture to paint on as a HoloViews figure whose freehand-draw stream tells Python during the stroke."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

import holoviews as hv
import numpy as np
import panel as pn
from bokeh.io import curdoc
from bokeh.models import ColumnDataSource, CustomJS
from holoviews import streams
from numpy.typing import NDArray

from vfs_panel.app.ink import INK_ALPHA, NO_INK, Fit
from vfs_panel.app.thumbnails import data_url, shrink
from vfs_panel.images.preprocessing import Geometry
from vfs_panel.plots.live import Live
from vfs_panel.plots.marks import Columns, Mark, overlay
from vfs_panel.plots.query import cell_lines, outside_frame
from vfs_panel.plots.theme import bare_figure

Point = tuple[float, float]
LIVE_MS, LONGEST_MS = 30, 400
"""Least time between two messages of a stroke under the pen, and most time that one waits for the last one's answer."""

_REMEMBERED = 8  # finished strokes of which HoloViews may still tell
_INK = "#E8590C"
_ERASER = "#FFFFFF"
_EXCLUDED = "#101317"

# Bokeh's tool tells Python only at the end of a stroke. This sends the same data during it, at most two messages ahead
# of the results, so that a busy server gets as many as it can follow. What was held back goes when its time has come.
_ON_PAN = """
cds._vfs_ahead ??= []
cds._vfs_wait = () => {
  const least = cds._vfs_ahead.length < 2 ? every_ms : longest_ms
  return (cds._vfs_at ?? -Infinity) + least - performance.now()
}
cds._vfs_send = () => {
  clearTimeout(cds._vfs_timer)
  cds._vfs_timer = 0
  cds._vfs_at = performance.now()
  cds._vfs_ahead.push(cds.data.xs[0]?.length ?? 0)
  cds.setv({data: cds.data}, {check_eq: false})
}
const wait = cds._vfs_wait()
if (wait <= 0) cds._vfs_send()
else if (!cds._vfs_timer) cds._vfs_timer = setTimeout(cds._vfs_send, wait)
"""
_ON_ANSWER = """
cds._vfs_ahead = (cds._vfs_ahead ?? []).filter(points => points > answers.data.points[0])
if (cds._vfs_timer) {
  clearTimeout(cds._vfs_timer)
  cds._vfs_timer = setTimeout(cds._vfs_send, cds._vfs_wait())
}
"""
# The finished stroke goes with the word that it is over, in one message: whatever comes late or in another order, it is
# whole. This runs as soon as the event is done with, before another can begin a stroke in its place.
_ON_PAN_END = """
clearTimeout(cds._vfs_timer)
cds._vfs_timer = 0
cds._vfs_ahead = []
const [xs, ys] = [cds.data.xs, cds.data.ys].map(lines => Array.from(lines[lines.length - 1] ?? []))
const path = cb_obj.origin?._vfs_path ?? []
if (xs.length) {
  cds._vfs_done = [xs[0], ys[0]].join()
  const whole = path.length > 1 ? [path.map(at => at.x), path.map(at => at.y)] : [xs, ys]
  const heard = [xs.length, ...xs.slice(0, 2).flatMap((x, i) => [x, ys[i]])]
  pen.data = {ended: [(pen.data.ended[0] ?? 0) + 1], xs: [whole[0]], ys: [whole[1]], heard: [heard]}
}
"""
# Two quick taps are one "doubletap" to Bokeh, wherever they are; in one place they are one dot.
_ON_TAP = """
const {x, y, event_name} = cb_obj, {ended, xs, ys} = pen.data
if (event_name === "doubletap" && Math.hypot(x - xs[0][0], y - ys[0][0]) < 5) return
pen.data = {ended: [(ended[0] ?? 0) + 1], xs: [[x]], ys: [[y]], heard: [[]]}
"""
# The stroke is shown until its ink is there. Bokeh runs these scripts a little later and in any order, so the finished
# stroke is known by its first point: one begun meanwhile is not touched.
_ON_INKED = """
setTimeout(() => {
  const {xs, ys} = cds.data
  if (xs.length && [xs[0][0], ys[0][0]].join() === cds._vfs_done) cds.data = {...cds.data, xs: [], ys: []}
}, 60)
"""


class Canvas:
    """A square figure in CSS pixels, y down, with the picture, the ink of all strokes, and the stroke being drawn.

    Parameters
    ----------
    on_draw : gets the points of the stroke under the pen, in canvas pixels, as often as they are answered.
    on_commit : gets the points of a finished stroke; one point for a tap.

    Attributes
    ----------
    on_figure : told the id of Bokeh's figure, once it is drawn, by which the browser finds it.
    """

    def __init__(self, on_draw: Callable[[list[Point]], None], on_commit: Callable[[list[Point]], None]) -> None:
        self._on_draw, self._on_commit = on_draw, on_commit
        self.on_figure: Callable[[str], None] = lambda _: None
        self._ended: deque[tuple[int, list[Point]]] = deque(maxlen=_REMEMBERED)
        self._live: Live | None = None
        self._handles: list[tuple[Any, Any]] = []
        self._answers: list[Any] = []
        self._heard: list[Point] = []
        self._stroke = (16.0, "include")
        self._stream: streams.FreehandDraw | None = None

    def figure(self, size_px: int, columns: dict[str, Columns]) -> hv.Overlay:
        """Make the figure anew, for another size; `columns` are those of `canvas_columns`."""
        self._handles, self._answers = [], []
        live = Live(overlay(_marks(size_px), columns, width_px=size_px, height_px=size_px), hold=pn.io.hold)
        path = hv.Path([], ["canvas_x", "canvas_y"]).opts(
            color=_INK,
            alpha=INK_ALPHA,
            line_width=32,
            apply_ranges=False,
            hooks=[partial(_wire, ref(self))],
            default_tools=[],
        )
        self._stream = streams.FreehandDraw(source=path, num_objects=1)
        self._stream.add_subscriber(self._drawn)
        self._live = live
        figure: hv.Overlay = (live.figure * path).opts(
            **{**bare_figure(size_px, size_px), "active_tools": ["freehand_draw"]}
        )
        return figure

    def send(self, columns: dict[str, Columns]) -> None:
        """Show other columns."""
        if self._live is not None:
            self._live.send(columns)

    def set_stroke(self, width_px: float, mode: str) -> None:
        """Set the width, in canvas pixels, and the kind of the next stroke."""
        self._stroke = (width_px, mode)
        with pn.io.hold():
            for glyph, _inked in self._handles:
                self._style(glyph)

    def answer(self, points: int) -> None:
        """Tell the browser that its stroke was followed up to so many points, so that it sends more."""
        for answers in self._answers:
            answers.data = {"n": [answers.data["n"][0] + 1], "points": [points]}

    def ink(self, url: str) -> None:
        """Show the ink of all strokes, and take the finished stroke away."""
        # Nothing is no picture at all: an earlier ink that the browser decodes late would come back over an empty one.
        columns: Columns = {"col": [0], "row": [0], "url": [url]}
        self.send({"ink": columns if url != NO_INK else {"col": [], "row": [], "url": []}})
        with pn.io.hold():  # by Panel's way to the browser: by Bokeh's own it could overtake the figure
            for _glyph, inked in self._handles:
                inked.data = {"n": [inked.data["n"][0] + 1]}

    def _style(self, glyph: Any) -> None:
        width, mode = self._stroke
        glyph.update(
            line_width=width,
            line_color={"include": _INK, "exclude": _EXCLUDED}.get(mode, _ERASER),
            line_alpha=INK_ALPHA if mode != "erase" else 0.35,
        )

    def wire(self, plot: Any) -> None:
        """Wire a drawn figure, once: wiring twice would tell twice."""
        glyph = plot.handles["glyph"]
        if getattr(plot, "_vfs_wired", False):
            return
        plot._vfs_wired = True
        figure, cds = plot.state, plot.handles["cds"]
        pen = ColumnDataSource(data={"ended": [0], "xs": [[]], "ys": [[]], "heard": [[]]}, name="pen")
        glyph.update(line_cap="round", line_join="round")
        self._style(glyph)
        args = {"cds": cds, "every_ms": LIVE_MS, "longest_ms": LONGEST_MS}
        figure.js_on_event("pan", CustomJS(args=args, code=_ON_PAN))
        figure.js_on_event("panend", CustomJS(args={"cds": cds, "pen": pen}, code=_ON_PAN_END))
        for event in ("tap", "doubletap"):
            figure.js_on_event(event, CustomJS(args={"pen": pen}, code=_ON_TAP))
        pen.on_change("data", self._pen_up)
        # Heard at once. The stream hears of the same 10 ms later, as HoloViews first lets changes gather.
        cds.on_change("data", partial(_moved, ref(self)))
        inked = ColumnDataSource(data={"n": [0]})
        inked.js_on_change("data", CustomJS(args={"cds": cds}, code=_ON_INKED))
        answers = ColumnDataSource(data={"n": [0], "points": [0]})
        answers.js_on_change("data", CustomJS(args={**args, "answers": answers}, code=_ON_ANSWER))
        figure.tags = [inked, answers]  # keeps them in the document
        self._answers.append(answers)
        self._handles.append((glyph, inked))
        self.on_figure(figure.id)

    def moved(self, data: Any) -> None:
        """Hear of the stroke under the pen from Bokeh's source, as soon as its message is there."""
        points = self._news(data)
        if points:
            self._heard = points
            _after_message(partial(self._on_draw, points))

    def _drawn(self, data: dict[str, Any] | None = None, **_: Any) -> None:
        points = self._news(data)
        if points and points != self._heard:
            self._on_draw(points)

    def _news(self, data: Any) -> list[Point]:
        """Return the points of the stroke under the pen; none of a finished one, of which HoloViews still tells."""
        points = _points(data)
        over = any(points[: len(first)] == first[: len(points)] and len(points) <= n for n, first in self._ended)
        return [] if over else points

    def _pen_up(self, _name: str, _old: Any, new: Any) -> None:
        points = _points(new)
        if points:
            heard = new["heard"][0]
            if heard:  # as the freehand-draw stream knows it: how many points, and the first two
                n, *first = heard
                self._ended.append((int(n), list(zip(first[::2], first[1::2], strict=True))))
            _after_message(partial(self._on_commit, points))


def _wire(owner: "ref[Canvas]", plot: Any, _element: Any) -> None:
    """Wire a figure whenever HoloViews draws it.

    HoloViews keeps options, and so hooks, as long as their elements live: a hook that held the canvas, and so its
    elements, would hold the whole session for ever.
    """
    canvas = owner()
    if canvas is not None:
        canvas.wire(plot)


def _moved(owner: "ref[Canvas]", _name: str, _old: Any, new: Any) -> None:
    """Tell a canvas, if it is still there, of the data of its stroke."""
    canvas = owner()
    if canvas is not None:
        canvas.moved(new)


def _after_message(act: Callable[[], None]) -> None:
    """Act once the message that is handled now is done with, in a notebook; at once on a server.

    What changes while Bokeh handles a notebook's message is not sent to the page.
    """
    document = curdoc()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        act()
        return
    if document is not None and document.session_context is not None:
        act()
    else:
        loop.call_soon(act)


def _points(data: dict[str, Any] | None) -> list[Point]:
    """Read the last stroke of a source with columns of lines, `xs` and `ys`."""
    if not data or not len(data.get("xs", ())):
        return []
    xs, ys = data["xs"][-1], data["ys"][-1]
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=False) if np.isfinite(x) and np.isfinite(y)]


def _marks(size_px: int) -> dict[str, Mark]:
    white = {"line_color": "#FFFFFF"}
    return {
        "picture": Mark("patches", {"w": size_px, "h": size_px}),
        "ink": Mark("patches", {"w": size_px, "h": size_px}),
        "outside": Mark("rectangles", {"fill_color": "#000000", "fill_alpha": 0.5, "line_alpha": 0}),
        "cells": Mark("segments", {**white, "line_alpha": 0.2, "line_width": 1}),
        "frame": Mark("paths", {"color": "#FFFFFF", "alpha": 0.8, "line_width": 1.2}),
    }


def picture_columns(rgb: NDArray[np.uint8], size_px: int, *, background: str) -> dict[str, Columns]:
    """Return the column of the picture, letterboxed; at most twice the canvas's pixels travel to the browser."""
    small = shrink(rgb, 2 * size_px)
    height, width = small.shape[:2]
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = [int(background[i : i + 2], 16) for i in (1, 3, 5)]
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = small
    return {"picture": {"col": [0], "row": [0], "url": [data_url(square, quality=92)]}}


def cell_columns(geometry: Geometry, grid: tuple[int, int], size_px: int, *, shown: bool) -> dict[str, Columns]:
    """Return the columns of what lies over the picture: cells, frame, and what the network does not see."""
    fit = Fit(geometry.picture_px, size_px)
    lines = [fit.to_canvas((a[0], a[1], b[0], b[1])) for a, b in cell_lines(geometry, grid)] if shown else []
    dark = np.array([fit.to_canvas(box) for box in outside_frame(geometry)], float).reshape(-1, 4)
    segments = np.array(lines, float).reshape(-1, 4)
    x0, y0, x1, y1 = fit.to_canvas(geometry.frame)
    ring = {"xs": [np.array([x0, x1, x1, x0, x0])], "ys": [np.array([y0, y0, y1, y1, y0])]}
    sides = ("left", "top", "right", "bottom")
    return {
        "outside": dict(zip(sides, dark.T.copy(), strict=True)),
        "cells": dict(zip(sides, segments.T.copy(), strict=True)),
        "frame": ring if len(dark) else {"xs": [], "ys": []},
    }


def no_ink() -> dict[str, Columns]:
    """Return the column of an empty drawing."""
    return {"ink": {"col": [0], "row": [0], "url": [NO_INK]}}
