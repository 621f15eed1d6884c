"""The work column: first steps, matches, and the tabs that show where their scores stand."""

from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn

from vfs_panel.app import shared
from vfs_panel.app.component import FirstSteps, MatchesHead, SelectedBar, Tabs, web_text
from vfs_panel.app.examples import Example, examples_of, tour_of
from vfs_panel.app.queryview import bare_pane
from vfs_panel.app.scoresview import ScoresView
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.state import K_CHOICES
from vfs_panel.app.topview import theme_of
from vfs_panel.errors import VFSError
from vfs_panel.plots.domains import DomainRows, domains, domains_data
from vfs_panel.plots.groups import score_range
from vfs_panel.plots.live import Live
from vfs_panel.plots.matches import MatchGrid, matches, matches_data
from vfs_panel.plots.text import plain, score_text

SUBTITLES = {
    "picture": "best patch of each picture, painted cells lit",
    "several": "best patches, several of a picture, painted cells lit",
    "domain": "best patch of each domain, painted cells lit",
}


class MatchesView:
    """All parts of the work column, in order, as `parts`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._width_px = 0  # until the browser tells it
        self._head = MatchesHead(on_do=self._do, margin=0)
        self._first = FirstSteps(on_do=self._do, margin=0)
        self._selected = SelectedBar(on_do=self._do, margin=0)
        self._tabs = Tabs(on_do=self._do, margin=0)
        self._matches_pane, self._domains_pane = bare_pane(), bare_pane()
        self._scores = ScoresView(session)
        self._live: Live | None = None
        self._grid: MatchGrid | None = None
        self._drawn_as: tuple[Any, ...] = ()
        self._domains_live: Live | None = None
        self._domains_as: tuple[Any, ...] = ()
        self._axis: tuple[float, float] | None = None
        self._examples: list[Example] = []
        sheet = [web_text("tokens.css")]
        plain_box = {"stylesheets": sheet, "margin": 0}
        self._matches_box = pn.Column(self._matches_pane, visible=False, styles={"margin-top": "10px"}, **plain_box)
        self._note = pn.pane.HTML(
            "", margin=(4, 0, 0, 0), styles={"color": "var(--text2)", "font": "12px/16px var(--sans)"}
        )
        self._domains_box = pn.Column(self._domains_pane, self._note, **plain_box)
        self._tab_box = pn.Column(self._domains_box, self._scores.part, styles={"margin-top": "8px"}, **plain_box)
        self._analysis = pn.Column(self._tabs, self._tab_box, css_classes=["vfs-analysis"], visible=False, **plain_box)
        self.parts = (self._head, self._first, self._matches_box, self._analysis, self._selected)
        state = session.state
        state.param.watch(self._show_head, ["dataset", "network", "k", "mode", "domain", "label", "result", "stale"])
        state.param.watch(self._redraw, ["theme", "enlarged", "tab"])
        state.param.watch(self._show_selected, ["selected", "result"])
        state.param.watch(self._fade, ["problem", "stale"])
        state.param.watch(self._chance_came, ["chance"])
        state.param.watch(self._show_first, ["dataset", "network", "picture", "result"])
        session.on_publish.append(self._publish)
        self._show_head()
        self._show_first()
        self._redraw()

    # --- head and first steps -----------------------------------------------------------------------------------

    def _show_head(self, *_: Any) -> None:
        state = self._session.state
        try:
            index = self._session.store.index
        except VFSError:
            return
        found = {name: pd.unique(index[name]).tolist() for name in ("domain", "label")}
        self._head.show(
            sub=SUBTITLES[state.mode] if state.result is not None else "appear here while you paint",
            ks=[[str(k), str(k)] for k in K_CHOICES],
            k=state.k,
            mode=state.mode,
            domain=state.domain,
            label=state.label,
            domains=[["", f"all {len(found['domain'])}"], *([v, plain(v)] for v in found["domain"])],
            labels=[["", f"all {len(found['label'])}"], *([v, plain(v)] for v in sorted(found["label"]))],
            choices=state.result is not None or bool(state.domain or state.label),
        )

    def _show_first(self, *_: Any) -> None:
        state = self._session.state
        empty = state.result is None
        self._first.visible = empty
        self._matches_box.visible = self._analysis.visible = not empty
        if not empty:
            return
        try:
            self._examples = examples_of(self._session)
            tour = tour_of(self._session)
        except VFSError:
            return
        self._first.show(tour=tour, examples=[example.view for example in self._examples])

    def _do(self, msg: dict[str, Any]) -> None:
        session, state = self._session, self._session.state
        match msg["do"]:
            case "width" if isinstance(msg.get("value"), int) and 200 <= msg["value"] <= 6000:
                if msg["value"] != self._width_px:
                    self._width_px = msg["value"]
                    self._redraw()
            case "matches":
                self._set_matches(msg)
            case "tab" if msg.get("value") in ("domains", "scores"):
                session.open_tab(msg["value"])
            case "enlarge":
                state.enlarged = not state.enlarged
            case "from_match":
                session.search_from_match(state.selected)
            case "paint_match":
                self._paint_match()
            case "escape":
                session.select(0)
            case "example" if isinstance(msg.get("number"), int) and 0 <= msg["number"] < len(self._examples):
                example = self._examples[msg["number"]]
                session.open_picture(example.image)
                session.paint_anew(*example.strokes)

    def _set_matches(self, msg: dict[str, Any]) -> None:
        index = self._session.store.index
        changes: dict[str, Any] = {}
        if msg.get("k") in K_CHOICES:
            changes["k"] = msg["k"]
        if msg.get("mode") in SUBTITLES:
            changes["mode"] = msg["mode"]
        for name in ("domain", "label"):
            if name in msg and (msg[name] == "" or msg[name] in set(index[name])):
                changes[name] = str(msg[name])
        self._session.set_matches(**changes)

    def _paint_match(self) -> None:
        result, rank = self._session.state.result, self._session.state.selected
        if result is not None and 1 <= rank <= result.sizes["rank"]:
            self._session.open_picture(str(result["image_id"].values[rank - 1]))

    # --- the figures --------------------------------------------------------------------------------------------

    def _layout(self) -> MatchGrid:
        state = self._session.state
        try:
            height, width = self._session.geometry().input_px
        except VFSError:
            height = width = 1
        places = state.k
        if state.mode == "domain" and state.result is not None:
            places = max(1, min(state.k, len(pd.unique(state.result["image_domain"].values))))
        if state.enlarged:
            return MatchGrid(
                width_px=self._width_px, places=min(places, 12), columns=12, caption="strip", aspect=width / height
            )
        columns = 8 if self._width_px >= 1350 else 6 if self._width_px >= 560 else 3
        return MatchGrid(width_px=self._width_px, places=places, columns=columns, aspect=width / height)

    def _redraw(self, *_: Any) -> None:
        """Draw figures anew: after a change of size, layout or theme."""
        state, outcome = self._session.state, self._session.outcome
        if state.result is not None:
            self._draw_matches()
        self._domains_box.visible = state.tab == "domains"
        self._scores.show(width_px=self._width_px, visible=state.tab == "scores")
        self._tabs.show(tab=state.tab, enlarged=state.enlarged)
        if outcome is not None:
            self._draw_domains()

    def _draw_matches(self) -> None:
        state = self._session.state
        if not self._width_px:
            return
        grid, theme = self._layout(), theme_of(self._session)
        self._drawn_as = (grid, theme.name)
        self._grid = grid
        figure = matches(state.result, self._urls(), grid, theme=theme, selected=state.selected or None)
        self._live = Live(figure, hold=pn.io.hold)
        tap = hv.streams.Tap(source=self._live.figure, transient=True)
        tap.add_subscriber(self._tapped)
        self._matches_pane.object = self._live.figure

    def _urls(self) -> dict[str, str]:
        state = self._session.state
        if state.result is None:
            return {}
        thumbnails = shared.thumbnails_of(self._session.source, state.network)
        return thumbnails.urls(state.result["image_id"].values.tolist())

    def _tapped(self, x: float | None = None, y: float | None = None) -> None:
        place = self._grid.place_at(x, y) if self._grid is not None else None
        if place is not None and self._session.state.result is not None:
            rank = place + 1
            self._session.select(0 if rank == self._session.state.selected else rank)

    def _send_matches(self) -> None:
        state = self._session.state
        if not self._width_px:
            return
        grid, theme = self._layout(), theme_of(self._session)
        if (grid, theme.name) != self._drawn_as or self._live is None:
            self._draw_matches()
            return
        self._live.send(matches_data(state.result, self._urls(), grid, theme=theme, selected=state.selected or None))

    def _draw_domains(self) -> None:
        """Draw or update the domains, if their tab is open."""
        state = self._session.state
        result = state.result
        if result is None or state.tab != "domains" or not self._width_px:
            return
        theme = theme_of(self._session)
        # The axis holds its range within a session and widens only when the pen is up.
        low, high = score_range(result, held=self._axis)
        axis = (low, min(high, 1.0))  # a cosine ends there
        if not state.drawing or self._axis is None:
            self._axis = axis
        rows = DomainRows.of(result, width_px=self._width_px, with_chance=state.chance is not None)
        best = {
            str(result["image"].values[i])
            for i in _best_rows(result["image_score"].values, result["image_domain"].values)
        }
        urls = shared.thumbnails_of(self._session.source, state.network).urls(sorted(best))
        drawn_as = (rows, theme.name)
        options: dict[str, Any] = {"theme": theme, "axis": self._axis, "chance": state.chance}
        if drawn_as != self._domains_as or self._domains_live is None:
            self._domains_as = drawn_as
            self._domains_live = Live(domains(result, urls, rows, **options), hold=pn.io.hold)
            self._domains_pane.object = self._domains_live.figure
        else:
            self._domains_live.send(domains_data(result, urls, rows, **options))
        found = result.sizes["rank"]
        self._note.object = (
            "Hill: the best score of every picture. Bar and dot on the line: middle half and median. "
            f"Blue dots: the {found} matches; ring: the best of its domain."
        )

    def _publish(self, outcome: Outcome) -> None:
        if outcome.result is not None:
            self._send_matches()
            self._draw_domains()
            self._scores.update()

    def _chance_came(self, *_: Any) -> None:
        if self._session.state.result is not None:
            self._draw_domains()
            self._scores.update()

    def _fade(self, *_: Any) -> None:
        state = self._session.state
        classes = ["faded"] if state.problem is not None or state.stale else []
        self._matches_box.css_classes = classes
        self._tab_box.css_classes = classes

    # --- selection ----------------------------------------------------------------------------------------------

    def _show_selected(self, *events: Any) -> None:
        state = self._session.state
        result = state.result
        if result is None:
            self._selected.show(rank=0, words="", list=[])
            return
        rank = min(state.selected, result.sizes["rank"])
        names = [
            ", ".join(part for part in (plain(str(label), missing=""), plain(str(domain), missing="")) if part)
            for label, domain in zip(result["label"].values, result["domain"].values, strict=True)
        ]
        if not state.drawing:
            scores = [score_text(float(score)) for score in result["score"].values]
            self._selected.show(list=[f"{score}, {name}" for score, name in zip(scores, names, strict=True)])
        words = ""
        if rank:
            words = f"{score_text(float(result['score'].values[rank - 1]))} · {result['image_id'].values[rank - 1]}"
        self._selected.show(rank=rank, words=words)
        if events and all(event.name == "selected" for event in events) and self._live is not None and self._grid:
            theme = theme_of(self._session)
            data = matches_data(result, self._urls(), self._grid, theme=theme, selected=rank or None)
            self._live.send({"selected": data["selected"]})


def _best_rows(scores: Any, groups: Any) -> list[int]:
    """Return the row of the best score of each group that has one."""
    values = np.where(np.isfinite(scores), scores, -np.inf)
    best: dict[str, int] = {}
    for row in np.argsort(-values, kind="stable").tolist():
        if values[row] == -np.inf:
            break
        best.setdefault(str(groups[row]), row)
    return list(best.values())
