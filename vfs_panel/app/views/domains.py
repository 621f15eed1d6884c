"""The domains tab: the best patch of each domain and where the scores of its pictures lie, on one axis."""

import html
from typing import Any

import panel as pn
import xarray as xr

from vfs_panel.analysis.grouping import absent, regrouped
from vfs_panel.app import shared
from vfs_panel.app.component import Part, script
from vfs_panel.app.panes import Note, figure_pane, theme_of
from vfs_panel.app.session import Session
from vfs_panel.app.views.tab import TabView
from vfs_panel.errors import VFSError
from vfs_panel.features.layout import FINDINGS
from vfs_panel.plots.domains import SHAPES, DomainRows, domains, domains_data
from vfs_panel.plots.groups import best_pictures, score_range
from vfs_panel.plots.live import Live
from vfs_panel.plots.text import plain, score_text

FEW_ROWS, MOST_ROWS, SAID = 5, 14, 3


class DomainTools(Part):
    """What the rows are, and how their scores are drawn."""

    _esm = script("domaintools")


class DomainsView(TabView):
    """One row for each domain, or each value of another column."""

    name = "domains"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._pane = figure_pane()
        self._live: Live | None = None
        self._drawn_as: tuple[Any, ...] = ()
        self._axis: tuple[float, float] | None = None
        self._axis_of: tuple[str, str, str] = ("", "", "")
        self._note = Note("", margin=(4, 0, 0, 0), styles={"color": "var(--text2)", "font": "12px/16px var(--sans)"})
        self._tools = DomainTools(on_do=self._do, margin=0)
        self._by, self._shape = "domain", "hill"
        session.on_early.append(self._draw_early)
        self.part[:] = [self._tools, self._pane, self._note]

    def draw(self) -> None:
        """Draw, or update what is drawn."""
        assert self.state.result is not None
        self._draw(self.state.result)

    def _draw_early(self, example: xr.Dataset) -> None:
        """Draw what the first result will bring up to date, before the tab is seen."""
        if self.state.tab == self.name and self.state.work_px and self._live is None:
            self._draw(example)
            self._axis_of = ("", "", "")  # the example's range is nobody's

    def _draw(self, result: xr.Dataset) -> None:
        state, theme = self.state, theme_of(self.state)
        result = self._grouped(result)
        # The axis holds its range as long as the layer stays, and widens only when the pen is up. Scores of different
        # layers do not compare: each has an axis of its own.
        searched = (state.dataset, state.network, state.layer)
        if searched != self._axis_of:
            self._axis_of, self._axis = searched, None
        low, high = score_range(result, held=self._axis)
        axis = (low, min(high, 1.0))  # a cosine ends there
        if not state.drawing or self._axis is None:
            self._axis = axis
        rows = DomainRows.of(
            result, width_px=state.work_px, with_chance=True,  # drawing anew takes half a second
            heading=plain(self._by).capitalize(), shape=self._shape,
        )  # fmt: skip
        urls = shared.thumbnails_of(self.session.source, state.network).urls(best_pictures(result))
        options: dict[str, Any] = {"theme": theme, "axis": self._axis, "chance": state.chance_level}
        if (rows, theme.name) != self._drawn_as or self._live is None:
            self._drawn_as = (rows, theme.name)
            self._live = Live(domains(result, urls, rows, **options), hold=pn.io.hold)
            self._pane.object = self._live.figure
        else:
            self._live.send(domains_data(result, urls, rows, **options))
        drawn = {"hill": "Hill", "violin": "Violin", "box": "Line: 90 % of the pictures; box"}[self._shape]
        rest = ": the best score of every picture. Bar and dot on the line: middle half and median. "
        if self._shape == "box":
            rest = " and dot: middle half and median. "
        self._note.object = html.escape(
            f"{drawn}{rest}Blue dots: the {result.sizes['rank']} matches; ring: the best of its {plain(self._by)}."
            f"{_missing(result)}"
        )

    def _grouped(self, result: xr.Dataset) -> xr.Dataset:
        """Return the result by the chosen column, and offer the others."""
        try:
            columns = [c for c in shared.columns_of(self.session.source, self.state.network) if c.name != FINDINGS]
        except VFSError:
            return result
        names = [column.name for column in columns]
        self._tools.visible = self.state.enlarged  # where there is room for them
        if self._by not in names:
            self._by = "domain"
        self._tools.show(
            columns=[[name, plain(name)] for name in names], by=self._by, shape=self._shape,
            shapes=[[name, words] for name, words in SHAPES.items()],
        )  # fmt: skip
        if self._by == "domain":
            return result
        most = MOST_ROWS if self.state.enlarged else FEW_ROWS
        return regrouped(result, self.session.store.pictures_index.text(self._by), most=most)

    def _do(self, msg: dict[str, Any]) -> None:
        value = msg.get("value")
        if msg["do"] == "by" and isinstance(value, str):
            self._by, self._axis = value, None
            self.update()
        elif msg["do"] == "shape" and value in SHAPES:
            self._shape = str(value)
            self.update()


def _missing(result: xr.Dataset) -> str:
    """Say which groups have no match, and where their best is."""
    groups = absent(result)
    if not groups:
        return ""
    said = [f"{plain(group.name)} (best {score_text(group.best)}, rank {group.rank:,})" for group in groups[:SAID]]
    more = f" and {len(groups) - SAID:,} more" if len(groups) > SAID else ""
    return f" No match in {', '.join(said)}{more}."
