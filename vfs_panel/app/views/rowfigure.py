"""The figure of one or two compared rows: drawn once, then brought up to date."""

from typing import Any

import holoviews as hv
import panel as pn

from vfs_panel.app.panes import box, figure_pane
from vfs_panel.plots.compare import RankedRow, RankGrid, ranked, ranked_data
from vfs_panel.plots.live import Live


class RowFigure:
    """The figure of one or two rows of matches, as `part`."""

    def __init__(self, tapped: Any) -> None:
        self._tapped = tapped
        self._pane = figure_pane()
        self._live: Live | None = None
        self._drawn_as: tuple[Any, ...] = ()
        self._grid: RankGrid | None = None
        self.rows: list[RankedRow] = []
        self.part = box(self._pane, visible=False)

    def show(self, rows: list[RankedRow], *, width_px: int, theme: Any, picked: str) -> None:
        """Draw rows, or bring what is drawn up to date."""
        self.rows = rows
        self.part.visible = bool(rows)
        if not rows:
            return
        grid = RankGrid.of(width_px, tuple(_aspect(row) for row in rows))
        if (grid, theme.name) != self._drawn_as or self._live is None:
            self._drawn_as, self._grid = (grid, theme.name), grid
            self._live = Live(ranked(rows, grid, theme=theme, picked=picked), hold=pn.io.hold)
            hv.streams.Tap(source=self._live.figure, transient=True).add_subscriber(self._tap)
            self._pane.object = self._live.figure
        else:
            self._live.send(ranked_data(rows, grid, theme=theme, picked=picked))

    def _tap(self, x: float | None = None, y: float | None = None) -> None:
        hit = self._grid.place_at(x, y) if self._grid is not None else None
        if hit is not None and hit[0] < len(self.rows) and hit[1] < self.rows[hit[0]].result.sizes["rank"]:
            self._tapped(*hit)


def _aspect(row: RankedRow) -> float:
    return round(float(row.result.attrs.get("aspect", 1.0)), 4)
