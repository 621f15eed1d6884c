"""The statistics tab: which groups of pictures score higher, by how much, and how sure that is."""

from typing import Any

import holoviews as hv
import panel as pn

from vfs_panel.analysis.statistics import Comparison, compare_groups, groups_of, in_words
from vfs_panel.app import shared
from vfs_panel.app.component import Part, script
from vfs_panel.app.panes import box, figure_pane, theme_of
from vfs_panel.app.session import Session
from vfs_panel.app.turns import Aside
from vfs_panel.app.views.said import Words
from vfs_panel.app.views.tab import TabView
from vfs_panel.errors import VFSError
from vfs_panel.features.layout import FINDINGS
from vfs_panel.plots.live import Live
from vfs_panel.plots.statistics import MOST_ROWS, StatisticRows, statistics, statistics_data
from vfs_panel.plots.text import plain
from vfs_panel.plots.theme import domain_colours


class StatisticsTools(Part):
    """Which groups, against what, and what the interval resamples."""

    _esm = script("statistics")


class StatisticsView(TabView):
    """A row for each group, and a sentence about one of them."""

    name = "statistics"
    while_drawing = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._aside = Aside(session, shared.LOOKS)
        self._tools, self._pane, self._words = StatisticsTools(on_do=self._do, margin=0), figure_pane(), Words(margin=0)
        self._column, self._against, self._units, self._chosen = "domain", "", "", ""
        self._comparison: Comparison | None = None
        self._computed: tuple[Any, ...] = ()
        self._live: Live | None = None
        self._drawn_as: tuple[Any, ...] = ()
        self._rows: StatisticRows | None = None
        self.part[:] = [self._tools, box(self._pane, styles={"margin-top": "8px"}), self._words]
        self.state.param.watch(self._other_source, ["dataset", "network"])

    def _other_source(self, *_: Any) -> None:
        self._column, self._against, self._units, self._chosen = "domain", "", "", ""

    def draw(self) -> None:
        """Compute what is not known yet, aside, and show it."""
        result = self.state.result
        assert result is not None
        try:
            columns = {c.name: c.values for c in shared.columns_of(self.session.source, self.state.network)}
        except VFSError:
            return
        if self._column not in columns:
            self._column = next(iter(columns), "")
        self._show_tools(columns)
        if not self._column:
            self._pane.visible = False
            self._words.show(heading="There is nothing to compare", text="All pictures of this set have the same "
                             "domain and label. Extract with --labels or --domain to tell them apart.")  # fmt: skip
            return
        self._pane.visible = True
        wanted = (id(result), self._column, self._against, self._units)
        if wanted == self._computed:
            self._show()
            return
        store, scores = self.session.store, result["image_score"].values
        column, against, units = self._column, self._against, self._units

        def work() -> Comparison:
            findings = store.findings
            if column == FINDINGS and findings is not None:
                groups = {str(name): findings[name].to_numpy(bool) for name in findings.columns}
            else:
                groups = groups_of(store.pictures_index.text(column))
            own = store.pictures_index.text(units) if units else None
            return compare_groups(scores, groups, against=against if against in groups else "", units=own)

        def then(found: Comparison) -> None:
            self._comparison, self._computed = found, wanted
            self._show()

        self._aside.start(work, then)

    def _show_tools(self, columns: dict[str, tuple[str, ...]]) -> None:
        values = columns.get(self._column, ())
        if self._against not in values:
            self._against = ""
        others = [name for name in columns if name not in (self._column, FINDINGS)]
        self._tools.show(
            columns=[[name, plain(name)] for name in columns],
            column=self._column,
            against=self._against,
            others=[["", "all others"], *([value, plain(value)] for value in values)],
            units=self._units,
            resampled=[
                ["", "pictures"],
                *([name, plain(name)] for name in others),
            ],
        )

    def _show(self) -> None:
        found, theme = self._comparison, theme_of(self.state)
        if found is None or not self.is_open:
            return
        table = found.table
        if self._chosen not in table.index and len(table):
            known = table["delta"].abs().dropna()
            self._chosen = str(known.idxmax() if len(known) else table.index[0])
        rows = self._rows = StatisticRows(width_px=self.state.work_px, n=min(len(table), MOST_ROWS))
        result = self.state.result
        assert result is not None
        names = dict.fromkeys(result["image_domain"].values.tolist())
        colours = domain_colours(names, theme) if self._column == "domain" else None
        data = statistics_data(found, rows, column=self._column, chosen=self._chosen, colours=colours, theme=theme)
        if (rows, theme.name) != self._drawn_as or self._live is None:
            self._drawn_as = (rows, theme.name)
            self._live = Live(statistics(data, rows, theme=theme), hold=pn.io.hold)
            hv.streams.Tap(source=self._live.figure, transient=True).add_subscriber(self._tapped)
            self._pane.object = self._live.figure
        else:
            self._live.send(data)
        if not len(table):
            self._words.show(heading="", text="There is one group only: nothing to hold it against.")
            return
        sentence, caveat = in_words(
            found, self._chosen, column=plain(self._column), resampled=plain(self._units, missing="")
        )
        left_out = len(table) - rows.n
        more = f" The {rows.n} highest of {len(table)} groups are drawn." if left_out > 0 else ""
        self._words.show(heading=sentence, text=caveat + more)

    def _tapped(self, x: float | None = None, y: float | None = None) -> None:
        row = self._rows.row_at(x, y) if self._rows is not None else None
        if row is not None and self._comparison is not None:
            self._choose(str(self._comparison.table.index[row]))

    def _choose(self, group: str) -> None:
        self._chosen = group
        self._show()

    def _do(self, msg: dict[str, Any]) -> None:
        value = msg.get("value")
        columns = {c.name: c.values for c in shared.columns_of(self.session.source, self.state.network)}
        match msg["do"]:
            case "column" if value in columns:
                self._column, self._against, self._chosen = str(value), "", ""
                self._units = "" if self._units == value else self._units
                self.update()
            case "against" if value == "" or value in columns.get(self._column, ()):
                self._against, self._chosen = str(value), ""
                self.update()
            case "units" if value == "" or value in columns:
                self._units = str(value)
                self.update()
            case "step" if self._comparison is not None and value in (-1, 1):
                names = [str(name) for name in self._comparison.table.index[:MOST_ROWS]]
                at = names.index(self._chosen) + value if self._chosen in names else 0
                self._choose(names[min(max(at, 0), len(names) - 1)])
            case "copy" if self._comparison is not None:
                self._tools.show(csv=self._comparison.table.to_csv(), copies=int(self._tools.view.get("copies", 0)) + 1)
