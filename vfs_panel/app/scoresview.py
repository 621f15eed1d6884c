"""The scores tab: histograms on one axis, and the patches whose score is in the range dragged over them."""

from typing import Any

import holoviews as hv
import numpy as np
import panel as pn
import xarray as xr

from vfs_panel.app import shared
from vfs_panel.app.component import ScoreTools, web_text
from vfs_panel.app.queryview import bare_pane
from vfs_panel.app.session import Session
from vfs_panel.app.topview import theme_of
from vfs_panel.plots.live import Live
from vfs_panel.plots.matches import MatchGrid, matches
from vfs_panel.plots.ranges import RangeRows, in_range, ranges, ranges_data
from vfs_panel.plots.scores import ScoreRows, scores, scores_data
from vfs_panel.plots.text import count_text, plain
from vfs_panel.plots.theme import Theme

SHOW_ALL = 60  # patches of one row that "show all" shows at most


class ScoresView:
    """The part below the tabs' names, as `part`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._width_px, self._visible = 0, False
        self._tools = ScoreTools(on_do=self._do, margin=0)
        self._bars_pane, self._range_pane = bare_pane(), bare_pane()
        self._rows: ScoreRows | None = None
        self._range_rows: RangeRows | None = None
        self._live: Live | None = None
        self._range_live: Live | None = None
        self._drawn_as: tuple[Any, ...] = ()
        self._range_as: tuple[Any, ...] = ()
        self._held: tuple[float, float] | None = None
        self._all_of = ""
        sheet = [web_text("tokens.css")]
        # Boxes of their own: Bokeh gives a figure its height as size along a column, and these stand in a row.
        shrunk = {"margin": 0, "stylesheets": [*sheet, ":host { width:auto; }"]}
        self._range_box = pn.Column(self._range_pane, **shrunk)
        self._plots = pn.Column(
            pn.Column(self._bars_pane, **shrunk),
            self._range_box,
            css_classes=["vfs-scores"],
            stylesheets=sheet,
            margin=0,
        )
        self.part = pn.Column(self._tools, self._plots, visible=False, margin=0, stylesheets=sheet)
        session.state.param.watch(self._changed, ["score_range", "grouping"])

    @property
    def _by(self) -> Any:
        grouping = self._session.state.grouping
        return None if grouping == "all" else grouping

    def show(self, *, width_px: int, visible: bool) -> None:
        """Set width and visibility, and draw."""
        self._width_px, self._visible = width_px, visible
        self.part.visible = visible
        self.update()

    def _changed(self, *events: Any) -> None:
        if any(event.name == "grouping" for event in events):
            self._all_of = ""
        if self._session.state.score_range is None:
            self._all_of = ""
        self.update()

    def update(self) -> None:
        """Bring the figures up to date, if they are seen."""
        result = self._session.state.result
        if not self._visible or result is None or not self._width_px:
            return
        theme = theme_of(self._session)
        self._draw_bars(result, theme)
        self._draw_range(result, theme)
        self._show_tools(result)

    def _draw_bars(self, result: xr.Dataset, theme: Theme) -> None:
        state = self._session.state
        stacked = self._width_px < 900
        width = self._width_px if stacked else int(self._width_px * 0.4)
        rows = ScoreRows.of(
            result,
            by=self._by,
            width_px=width,
            held=self._held,
            row_px=self._row_px(),
            names=stacked or not state.score_range,
        )
        if not state.drawing:
            self._held = rows.axis
        self._rows = rows
        self._plots.styles = {"flex-direction": "column" if stacked else "row"}
        options: dict[str, Any] = {"theme": theme, "chosen": state.score_range, "chance": state.chance}
        if (rows, theme.name) != self._drawn_as or self._live is None:
            self._drawn_as = (rows, theme.name)
            self._live = Live(scores(result, rows, **options), hold=pn.io.hold)
            figure = self._live.figure
            bounds = hv.streams.BoundsX(source=list(figure)[-1], boundsx=None, transient=True)
            bounds.add_subscriber(self._dragged)
            self._bars_pane.object = figure
        else:
            self._live.send(scores_data(result, rows, **options))

    def _row_px(self) -> int:
        return 240 if self._by is None else 122 if self._by == "domain" else 92

    def _dragged(self, boundsx: tuple[float, float] | None = None) -> None:
        if self._rows is not None and boundsx is not None:
            self._session.state.score_range = self._rows.to_range(boundsx)

    def _draw_range(self, result: xr.Dataset, theme: Theme) -> None:
        state, chosen = self._session.state, self._session.state.score_range
        self._range_box.visible = chosen is not None
        if chosen is None or self._rows is None:
            return
        stacked = self._width_px < 900
        width = self._width_px if stacked else self._width_px - self._rows.width_px - 24
        groups = in_range(result, *chosen, by=self._by)
        thumbnails = shared.thumbnails_of(self._session.source, state.network)
        if self._all_of:
            pictures = next((g.pictures for g in groups if g.name == self._all_of), np.empty(0, np.intp))[:SHOW_ALL]
            one = _as_result(result, pictures)
            grid = MatchGrid(width_px=width, places=max(1, len(pictures)), columns=max(3, width // 88), caption="score")
            self._range_rows = None
            self._range_as = ()
            self._range_pane.object = matches(one, thumbnails.urls(one["image_id"].values.tolist()), grid, theme=theme)
            return
        rows = RangeRows(width_px=width, rows=self._rows.rows, row_px=self._rows.row_px)
        shown = np.concatenate([group.pictures[: rows.columns] for group in groups]) if groups else np.empty(0, int)
        urls = thumbnails.urls(result["image"].values[shown].tolist())
        options: dict[str, Any] = {"chosen": chosen, "by": self._by, "theme": theme}
        self._range_rows = rows
        if (rows, theme.name) != self._range_as or self._range_live is None:
            self._range_as = (rows, theme.name)
            self._range_live = Live(ranges(result, urls, rows, **options), hold=pn.io.hold)
            tap = hv.streams.Tap(source=self._range_live.figure, transient=True)
            tap.add_subscriber(self._tapped)
            self._range_pane.object = self._range_live.figure
        else:
            self._range_live.send(ranges_data(result, urls, rows, **options))

    def _tapped(self, x: float | None = None, y: float | None = None) -> None:
        result, chosen = self._session.state.result, self._session.state.score_range
        hit = self._range_rows.row_at(x, y) if self._range_rows is not None else None
        if hit is None or result is None or chosen is None:
            return
        groups = in_range(result, *chosen, by=self._by)
        if hit[1] is None and hit[0] < len(groups):
            self._all_of = groups[hit[0]].name
            self.update()

    def _show_tools(self, result: xr.Dataset) -> None:
        state, chosen = self._session.state, self._session.state.score_range
        n = int(result.attrs["n_searched"])
        view: dict[str, Any] = {"by": state.grouping, "range": list(chosen) if chosen else None}
        if chosen is None:
            view |= {"count": "", "note": "Drag over the bars, or type."}
        elif self._all_of:
            found = next((len(g.pictures) for g in in_range(result, *chosen, by=self._by) if g.name == self._all_of), 0)
            kept = f", the {SHOW_ALL} highest" if found > SHOW_ALL else ""
            view |= {"count": f"{found:,}", "note": f"of {plain(self._all_of)} in the range{kept}."}
        else:
            found = sum(len(g.pictures) for g in in_range(result, *chosen, by=self._by))
            view |= {"count": f"{found:,}", "note": f"of {count_text(n, 'picture')}. Drag over the bars, or type."}
        self._tools.show(**view, all=bool(self._all_of))

    def _do(self, msg: dict[str, Any]) -> None:
        state = self._session.state
        match msg["do"]:
            case "grouping" if msg.get("value") in ("domain", "label", "all"):
                state.grouping = msg["value"]
            case "range":
                low, high = msg.get("low"), msg.get("high")
                if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low != high:
                    state.score_range = (float(min(low, high)), float(max(low, high)))
                else:
                    state.score_range = None
            case "rows":
                self._all_of = ""
                self.update()


def _as_result(result: xr.Dataset, pictures: Any) -> xr.Dataset:
    """Return a result whose matches are the best windows of the given pictures."""
    at = np.asarray(pictures, int)
    columns = {"score": "image_score", "y": "image_y", "x": "image_x", "label": "image_label", "domain": "image_domain"}
    ranked = {name: ("rank", result[column].values[at]) for name, column in columns.items()}
    ranked["image_id"] = ("rank", result["image"].values[at])
    kept = result.drop_dims("rank")
    return kept.assign(ranked).assign_coords(rank=np.arange(1, len(at) + 1))
