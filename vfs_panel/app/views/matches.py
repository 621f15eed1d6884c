"""The matches: their choices, the figure of their patches, and the one that is selected."""

from typing import Any

import holoviews as hv
import panel as pn
import xarray as xr

from vfs_panel.app import shared
from vfs_panel.app.component import Part, script
from vfs_panel.app.panes import box, figure_pane, theme_of
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.state import K_CHOICES, MOST_K
from vfs_panel.errors import VFSError
from vfs_panel.features.layout import FINDINGS
from vfs_panel.plots.live import Live
from vfs_panel.plots.matches import MatchGrid, matches, matches_data, similar_data
from vfs_panel.plots.text import plain, score_text

SUBTITLES = {
    "picture": "best patch of each picture, painted cells lit",
    "several": "best patches, several of a picture, painted cells lit",
    "domain": "best patch of each {per}, painted cells lit",
}
SORTS = {"score": "Score", "label": "Label", "domain": "Domain", "image_id": "Picture"}


class MatchesHead(Part):
    """Heading of the matches and their choices; reports the width of its column."""

    _esm = script("matches")


class SelectedBar(Part):
    """What can be done with the selected match; and the matches as a list for screen readers."""

    _esm = script("selected")


class MatchesView:
    """All parts, in order, as `parts`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._head = MatchesHead(on_do=self._do, margin=0)
        self._selected = SelectedBar(on_do=self._do, margin=0)
        self._pane = figure_pane()
        self._live: Live | None = None
        self._grid: MatchGrid | None = None
        self._drawn_as: tuple[Any, ...] = ()
        self._box = box(self._pane, classes=("vfs-fades",), visible=False, styles={"margin-top": "10px"})
        self.parts = (self._head, self._box, self._selected)
        state = session.state
        state.param.watch(
            self._show_head,
            [
                "dataset", "network", "k", "mode", "per", "sort", "filters", "among", "result", "stale", "opened",
                "tab",
            ],
        )  # fmt: skip
        state.param.watch(self._redraw, ["theme", "enlarged", "tab", "work_px", "opened", "sort"])
        state.param.watch(self._show_selected, ["selected", "result", "opened", "enlarged"])
        state.param.watch(self._show_similar, ["similar"])
        state.param.watch(self._show_chance, ["chance"])
        session.on_publish.append(self._publish)
        session.on_early.append(self._draw_early)
        self._show_head()

    # --- head ---------------------------------------------------------------------------------------------------

    def _show_head(self, *_: Any) -> None:
        state = self._session.state
        self._box.visible = self._is_shown
        try:
            columns = shared.columns_of(self._session.source, state.network)
        except VFSError:
            return
        lit = SUBTITLES[state.mode].format(per=state.per)
        self._head.show(
            shown=not state.opened and (state.tab != "compare" or state.result is None),
            sub=lit if state.result is not None else "appear here while you paint",
            k=state.k,
            ks=list(K_CHOICES),
            most_k=MOST_K,
            mode=state.mode,
            per=state.per,
            sort=state.sort,
            sorts=[[name, words] for name, words in SORTS.items()],
            filters=state.filters,
            among=None if state.among is None else f"the {len(state.among):,} pictures chosen on the map",
            columns=[
                {"name": column.name, "values": [[value, plain(value)] for value in column.values]}
                for column in columns
            ],
            choices=state.result is not None or bool(state.filters) or state.among is not None,
        )

    @property
    def _is_shown(self) -> bool:
        """Whether the patches have a place: neither the large view nor Compare leaves them one."""
        state = self._session.state
        return state.result is not None and not state.opened and state.tab != "compare"

    def _do(self, msg: dict[str, Any]) -> None:
        session, state = self._session, self._session.state
        match msg["do"]:
            case "width" if isinstance(msg.get("value"), int) and 200 <= msg["value"] <= 6000:
                state.work_px = msg["value"]
            case "matches":
                self._set_matches(msg)
            case "open":
                session.open_match(state.selected)
            case "from_match":
                session.search_from_match(state.selected)
            case "paint_match":
                self._paint_match()
            case "escape":
                session.select(0)

    def _set_matches(self, msg: dict[str, Any]) -> None:
        session, state = self._session, self._session.state
        known = {column.name: column.values for column in shared.columns_of(session.source, state.network)}
        changes: dict[str, Any] = {}
        k, column, value = msg.get("k"), msg.get("column"), msg.get("value")
        if isinstance(k, int) and 1 <= k <= MOST_K:
            changes["k"] = k
        if isinstance(msg.get("mode"), str) and msg["mode"] in SUBTITLES:
            changes["mode"] = msg["mode"]
        if isinstance(msg.get("per"), str) and msg["per"] in known and msg["per"] != FINDINGS:
            changes |= {"per": msg["per"], "mode": "domain"}
        if isinstance(column, str) and column in known and (value == "" or value in known[column]):
            kept = {name: wanted for name, wanted in state.filters.items() if name != column}
            changes["filters"] = {**kept, column: str(value)} if value else kept
        if msg.get("among", "") is None:
            changes["among"] = None
        if changes:
            session.set_matches(**changes)
        if isinstance(msg.get("sort"), str) and msg["sort"] in SORTS:
            state.sort = msg["sort"]

    def _paint_match(self) -> None:
        result, rank = self._session.state.result, self._session.state.selected
        if result is not None and 1 <= rank <= result.sizes["rank"]:
            self._session.open_picture(str(result["image_id"].values[rank - 1]))

    # --- figure -------------------------------------------------------------------------------------------------

    def _layout(self) -> MatchGrid:
        state = self._session.state
        width_px = state.work_px
        try:
            height, width = self._session.geometry().input_px
        except VFSError:
            height = width = 1
        places = state.k
        if state.mode == "domain" and state.result is not None:
            places = max(1, state.result.sizes["rank"])  # as many as there are values
        if state.enlarged:
            return MatchGrid(
                width_px=width_px, places=min(places, 12), columns=12, caption="strip", aspect=width / height
            )
        columns = 8 if width_px >= 1350 else 6 if width_px >= 640 else 3
        return MatchGrid(width_px=width_px, places=places, columns=columns, aspect=width / height)

    def _redraw(self, *_: Any) -> None:
        """Draw the figure anew: after a change of size, layout or theme."""
        state = self._session.state
        self._box.visible = self._is_shown
        if self._is_shown and state.work_px:
            self._draw()

    def _draw_early(self, _example: xr.Dataset) -> None:
        """Draw the places alone, unseen until there are matches for them."""
        if self._session.state.work_px and self._live is None:
            self._draw()

    def _draw(self) -> None:
        state = self._session.state
        grid, theme = self._layout(), theme_of(state)
        if (grid, theme.name) == self._drawn_as and self._live is not None:
            self._send()
            return
        self._drawn_as = (grid, theme.name)
        self._grid = grid
        figure = matches(self._sorted(), self._urls(), grid, **self._shown_as())
        self._live = Live(figure, hold=pn.io.hold)
        tap = hv.streams.Tap(source=self._live.figure, transient=True)
        tap.add_subscriber(self._tapped)
        self._pane.object = self._live.figure

    def _sorted(self) -> xr.Dataset | None:
        """Return the result with its matches in the order they are shown in; each keeps its rank."""
        result = self._session.state.result
        if result is None or self._session.state.sort == "score":
            return result
        return result.sel(rank=self._session.shown_ranks())

    def _urls(self) -> dict[str, str]:
        state = self._session.state
        if state.result is None:
            return {}
        thumbnails = shared.thumbnails_of(self._session.source, state.network)
        return thumbnails.urls(state.result["image_id"].values.tolist())

    def _tapped(self, x: float | None = None, y: float | None = None) -> None:
        place = self._grid.place_at(x, y) if self._grid is not None else None
        shown = self._sorted()
        if place is not None and shown is not None and place < shown.sizes["rank"]:
            self._session.open_match(int(shown["rank"].values[place]))

    def _send(self) -> None:
        grid = self._layout()
        assert self._live is not None
        self._live.send(matches_data(self._sorted(), self._urls(), grid, **self._shown_as()))

    def _shown_as(self) -> dict[str, Any]:
        state = self._session.state
        return {
            "theme": theme_of(state), "selected": state.selected or None, "similar": state.similar,
            "chance": state.chance,
        }  # fmt: skip

    def _show_similar(self, *_: Any) -> None:
        """Light the cells that are like the one that is pointed at, and nothing else."""
        if self._live is not None and self._grid is not None and self._is_shown:
            self._live.send({"heat": similar_data(self._sorted(), self._grid, self._session.state.similar)})

    def _show_chance(self, *_: Any) -> None:
        """Tell of each match how unusual it is, once that is worked out; a new result brings what is known with it."""
        if self._session.state.chance is not None and self._live is not None and self._is_shown:
            self._send()
        self._show_selected()

    def _publish(self, outcome: Outcome) -> None:
        if outcome.result is not None:
            self._redraw()

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
            score, chance = float(result["score"].values[rank - 1]), state.chance
            told = [score_text(score), *([chance.p_words(score)] if chance is not None else [])]
            words = " · ".join([*told, str(result["image_id"].values[rank - 1])])
        self._selected.show(rank=0 if state.opened or state.enlarged else rank, words=words)
        if events and all(event.name == "selected" for event in events) and self._live is not None and self._grid:
            data = matches_data(self._sorted(), self._urls(), self._grid, theme=theme_of(state), selected=rank or None)
            self._live.send({"selected": data["selected"]})
