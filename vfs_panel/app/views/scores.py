"""The scores tab: histograms on one axis, and the patches whose score is in the range dragged over them."""

from typing import Any

import holoviews as hv
import numpy as np
import panel as pn
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.analysis.explaining import explain
from vfs_panel.analysis.grouping import regrouped
from vfs_panel.app import shared
from vfs_panel.app.component import Part, script, web_text
from vfs_panel.app.panes import figure_pane, theme_of
from vfs_panel.app.session import Session
from vfs_panel.app.turns import Aside
from vfs_panel.app.views.said import Words
from vfs_panel.app.views.tab import TabView
from vfs_panel.errors import VFSError
from vfs_panel.features.layout import FINDINGS
from vfs_panel.plots.distribution import SHAPES, distribution, distribution_data
from vfs_panel.plots.live import Live
from vfs_panel.plots.matches import MatchGrid, matches
from vfs_panel.plots.ranges import RangeRows, in_range, ranges, ranges_data
from vfs_panel.plots.scores import ScoreRows, scores, scores_data
from vfs_panel.plots.text import count_text, plain, score_text
from vfs_panel.plots.theme import Theme
from vfs_panel.search import RegionQuery, RegionSearch

ALL_SCORES, MOST_GROUPS = (-2.0, 2.0), 6
SHOW_ALL = 60  # patches of one row that "show all" shows at most


class ScoreTools(Part):
    """Grouping and range of the score histograms."""

    _esm = script("scoretools")


class ScoresView(TabView):
    """Histograms, and the patches of a range."""

    name = "scores"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._tools = ScoreTools(on_do=self._do, margin=0)
        self._bars_pane, self._range_pane = figure_pane(), figure_pane()
        self._rows: ScoreRows | None = None
        self._range_rows: RangeRows | None = None
        self._live: Live | None = None
        self._range_live: Live | None = None
        self._drawn_as: tuple[Any, ...] = ()
        self._range_as: tuple[Any, ...] = ()
        self._held: tuple[float, float] | None = None
        self._all_of = ""
        self._shape = "rows"
        self._aside, self._own = Aside(session, shared.LOOKS), ""
        self._own_of: tuple[Any, ...] = ()
        self._words = Words(margin=0)
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
        self.part[:] = [self._tools, self._plots, self._words]
        self.state.param.watch(self._changed, ["score_range", "grouping"])

    @property
    def _by(self) -> Any:
        """What a plot groups by: another column than the label stands in the domain's place."""
        grouping = self.state.grouping
        return None if grouping == "all" else "label" if grouping == "label" else "domain"

    def _grouped(self, result: xr.Dataset) -> xr.Dataset:
        if self.state.grouping in ("domain", "label", "all"):
            return result
        return regrouped(result, self.session.store.pictures_index.text(self.state.grouping), most=MOST_GROUPS)

    def _changed(self, *events: Any) -> None:
        if any(event.name == "grouping" for event in events):
            self._all_of = ""
        if self.state.score_range is None:
            self._all_of = ""
        self.update()

    def draw(self) -> None:
        """Bring the figures up to date."""
        result, theme = self.state.result, theme_of(self.state)
        assert result is not None
        result = self._grouped(result)
        self._draw_bars(result, theme)
        self._draw_range(result, theme)
        self._show_tools(result)
        chance = self.state.chance
        if not self.state.drawing:
            self._words.show(before=chance.found_words(result["image_score"].values) if chance is not None else "")
        self._say_own()

    def _draw_bars(self, result: xr.Dataset, theme: Theme) -> None:
        state = self.state
        stacked = self.state.work_px < 900
        width = self.state.work_px if stacked else int(self.state.work_px * 0.4)
        rows = ScoreRows.of(
            result,
            by=self._by,
            width_px=width,
            held=self._held,
            row_px=self._row_px(),
            names=stacked,
        )
        if not state.drawing:
            self._held = rows.axis
        self._rows = rows
        self._plots.styles = {"flex-direction": "column" if stacked else "row"}
        options: dict[str, Any] = {"theme": theme, "chosen": state.score_range, "chance": state.chance_level}
        shaped = self._shape != "rows"
        if shaped:
            grouped = (
                regrouped(result, result["image_label"].values, most=MOST_GROUPS) if self._by == "label" else result
            )
            options |= {"shape": self._shape, "grouped": self._by is not None}
        if (rows, theme.name, shaped) != self._drawn_as or self._live is None:
            self._drawn_as = (rows, theme.name, shaped)
            if shaped:
                drawn = distribution(distribution_data(grouped, rows, **options), rows, theme=theme)
            else:
                drawn = scores(result, rows, **options)
            self._live = Live(drawn, hold=pn.io.hold)
            figure = self._live.figure
            bounds = hv.streams.BoundsX(source=list(figure)[-1], boundsx=None, transient=True)
            bounds.add_subscriber(self._dragged)
            self._bars_pane.object = figure
        elif shaped:
            self._live.send(distribution_data(grouped, rows, **options))
        else:
            self._live.send(scores_data(result, rows, **options))

    def _row_px(self) -> int:
        return 240 if self._by is None else 117 if self._by == "domain" else 92

    def _dragged(self, boundsx: tuple[float, float] | None = None) -> None:
        if self._rows is not None and boundsx is not None:
            self.state.score_range = self._rows.to_range(boundsx)

    def _draw_range(self, result: xr.Dataset, theme: Theme) -> None:
        state, chosen = self.state, self.state.score_range or ALL_SCORES
        self._range_box.visible = True
        if self._rows is None:
            return
        stacked = self.state.work_px < 900
        width = self.state.work_px if stacked else self.state.work_px - self._rows.width_px - 24
        groups = in_range(result, *chosen, by=self._by)
        thumbnails = shared.thumbnails_of(self.session.source, state.network)
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
        result, chosen = self.state.result, self.state.score_range or ALL_SCORES
        hit = self._range_rows.row_at(x, y) if self._range_rows is not None else None
        if hit is None or result is None:
            return
        result = self._grouped(result)
        groups = in_range(result, *chosen, by=self._by)
        if hit[1] is None and hit[0] < len(groups):
            self._all_of = groups[hit[0]].name
            self.update()

    def _show_tools(self, result: xr.Dataset) -> None:
        state, chosen = self.state, self.state.score_range
        n = int(result.attrs["n_searched"])
        try:
            found = [c.name for c in shared.columns_of(self.session.source, state.network) if c.name != FINDINGS]
        except VFSError:
            found = []
        view: dict[str, Any] = {
            "by": state.grouping, "range": list(chosen) if chosen else None, "shape": self._shape,
            "columns": [*([name, plain(name)] for name in found), ["all", "all together"]],
            "shapes": [[name, words] for name, words in SHAPES.items()],
        }  # fmt: skip
        within = in_range(result, *(chosen or ALL_SCORES), by=self._by)
        if self._all_of:
            n_found = next((len(group.pictures) for group in within if group.name == self._all_of), 0)
            kept = f", the {SHOW_ALL} highest" if n_found > SHOW_ALL else ""
            view |= {
                "count": f"{n_found:,}",
                "note": f"of {plain(self._all_of)}{' in the range' * bool(chosen)}{kept}.",
            }
        elif chosen is None:
            view |= {"count": "", "note": "Drag over the bars, or type."}
        else:
            n_found = sum(len(group.pictures) for group in within)
            view |= {"count": f"{n_found:,}", "note": f"of {count_text(n, 'picture')}. Drag over the bars, or type."}
        self._tools.show(**view, all=bool(self._all_of))

    def _is_grouping(self, value: Any) -> bool:
        columns = shared.columns_of(self.session.source, self.state.network)
        return value == "all" or any(column.name == value != FINDINGS for column in columns)

    def _say_own(self) -> None:
        """Say the query's own rank, worked out aside once for each result."""
        state, outcome = self.state, self.session.outcome
        if (
            state.drawing
            or outcome is None
            or outcome.engine is None
            or self.session.query is None
            or state.result is None
        ):
            return
        engine, query = outcome.engine, self.session.query
        scores = state.result["image_score"].values.astype(np.float64)
        if self._own_of != (id(state.result),):
            self._own_of = (id(state.result),)
            self._aside.start(lambda: _own_rank(engine, query, scores), lambda said: self._words.show(text=said))

    def _do(self, msg: dict[str, Any]) -> None:
        state = self.state
        match msg["do"]:
            case "grouping" if self._is_grouping(msg.get("value")):
                state.grouping = str(msg["value"])
            case "shape" if msg.get("value") in SHAPES:
                self._shape = str(msg["value"])
                self.update()
            case "range":
                low, high = msg.get("low"), msg.get("high")
                if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low != high:
                    state.score_range = (float(min(low, high)), float(max(low, high)))
                else:
                    state.score_range = None
            case "rows":
                self._all_of = ""
                self.update()


def _own_rank(engine: RegionSearch, query: RegionQuery, scores: NDArray[np.float64]) -> str:
    """Say how the painted picture itself would rank, by its best place off the painted one."""
    if query.image_id is None or query.also or query.without:
        return ""
    try:
        found = explain(engine, query, query.image_id, query.box[0], query.box[1])
    except VFSError:
        return ""
    said = f"The painted picture itself is left out: it scores {score_text(found.score)} where it is painted"
    if found.elsewhere is None:
        return said + "."
    score = found.elsewhere[0]
    rank = 1 + int((scores[np.isfinite(scores)] > score).sum())
    return f"{said}; its best other place scores {score_text(score)}, which would be rank {rank:,}."


def _as_result(result: xr.Dataset, pictures: Any) -> xr.Dataset:
    """Return a result whose matches are the best windows of the given pictures."""
    at = np.asarray(pictures, int)
    columns = {"score": "image_score", "y": "image_y", "x": "image_x", "label": "image_label", "domain": "image_domain"}
    ranked = {name: ("rank", result[column].values[at]) for name, column in columns.items()}
    ranked["image_id"] = ("rank", result["image"].values[at])
    kept = result.drop_dims("rank")
    return kept.assign(ranked).assign_coords(rank=np.arange(1, len(at) + 1))
