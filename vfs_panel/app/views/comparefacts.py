"""Below the compared rows: overlap of the best k, rank against rank with a brush, and every layer of the store."""

from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn

from vfs_panel.analysis.comparison import Comparison, matches_at
from vfs_panel.app import shared
from vfs_panel.app.comparing import LAYERS_K, SHOWN, Comparing
from vfs_panel.app.component import Part, script, web_text
from vfs_panel.app.panes import figure_pane, theme_of
from vfs_panel.app.session import Session
from vfs_panel.app.state import Row
from vfs_panel.errors import VFSError
from vfs_panel.plots.compare import RankedRow, RankGrid, ranked, ranked_data
from vfs_panel.plots.layers import LayerLine, layer_dots, layers_data, layers_height
from vfs_panel.plots.live import Live
from vfs_panel.plots.overlap import TOP_K, Curve, overlap, overlap_data
from vfs_panel.plots.scatter import Box, By, PairAxes, scatter, scatter_data
from vfs_panel.plots.text import count_text

NAMES = "ACD"


class ComparePart(Part):
    """A head, a heading, a switch or a bar of the compare tab; `kind` says which."""

    _esm = script("compare")
    _stylesheets = [web_text("style.css"), web_text("compare.css")]  # noqa: RUF012 (Panel's way)

    def __init__(self, kind: str, on_do: Callable[[dict[str, Any]], None] | None = None) -> None:
        super().__init__(view={"kind": kind}, on_do=on_do, margin=0)


class FactsView:
    """Everything below the rows, as `part`.

    Parameters
    ----------
    session : whose drawing.
    found : the searches.
    pick : called with the id of a picture that is chosen in the strip.
    """

    def __init__(self, session: Session, found: Comparing, pick: Callable[[str], None]) -> None:
        self._session, self._found, self._pick = session, found, pick
        self._chosen = 0
        self._by: By = "rank"
        self._brush: Box | None = None
        self._page = 0
        self._lives: dict[str, tuple[Any, Live]] = {}
        self._axes: PairAxes | None = None
        self._grid: RankGrid | None = None
        self._strip_ids: list[str] = []
        self._pairs = ComparePart("pairs", self._do)
        self._tools = ComparePart("brush", self._do)
        self._titles = {name: ComparePart("fact") for name in ("overlap", "scatter", "layers")}
        self._panes = {name: figure_pane() for name in ("overlap", "scatter", "layers", "strip")}
        sheets = [web_text("tokens.css"), web_text("compare.css")]
        plain = {"margin": 0, "stylesheets": sheets}
        self._boxes = {
            name: pn.Column(title, self._panes[name], css_classes=["vfs-fact"], **plain)
            for name, title in self._titles.items()
        }
        self._row = pn.Column(*self._boxes.values(), css_classes=["vfs-facts"], **plain)
        self._strip = pn.Column(self._panes["strip"], visible=False, css_classes=["vfs-strip"], **plain)
        self.part = pn.Column(
            self._pairs, self._row, self._tools, self._strip, css_classes=["vfs-below"], visible=False, **plain
        )

    # --- what is shown ------------------------------------------------------------------------------------------

    def show(self, picked: str) -> None:
        """Bring all up to date; what is there stays while a search runs."""
        rows = self._session.state.compared
        self._chosen = min(self._chosen, max(len(rows) - 1, 0))
        if not rows:
            self.part.visible = False
            return
        row = rows[self._chosen]
        pair, answer = self._found.pair(row), self._found.answers.get(row)
        if pair is None and (answer is None or answer.ranking is not None):
            return
        self.part.visible = True
        names = NAMES[: len(rows)]
        self._pairs.visible = len(rows) > 1
        self._pairs.show(names=list(names), value=names[self._chosen])
        for name in ("overlap", "scatter"):
            self._boxes[name].visible = pair is not None and pair.n > 0
        self._tools.visible = pair is not None and pair.n > 0
        if pair is not None and pair.n:
            self._show_overlap(pair, rows)
            self._show_scatter(pair, picked)
            self._show_tools(pair)
            self._show_strip(pair, picked)
        else:
            self._strip.visible = False
        self._show_layers(rows)

    @property
    def _width(self) -> int:
        width = self._session.state.work_px
        if width >= 900:
            return min(440, (width - 72) // 3)
        return (width - 36) // 2 if width >= 600 else width

    def _draw(
        self,
        name: str,
        key: tuple[Any, ...],
        make: Callable[[], Any],
        send: Callable[[], Any],
        wire: Callable[[hv.Overlay], None] | None = None,
    ) -> None:
        """Draw a figure anew if its layout changed, with `wire` giving it its streams; if not, send it new columns."""
        theme = theme_of(self._session.state).name
        known = self._lives.get(name)
        if known is not None and known[0] == (*key, theme):
            known[1].send(send())
            return
        live = Live(make(), hold=pn.io.hold)
        self._lives[name] = ((*key, theme), live)
        if wire is not None:
            wire(live.figure)  # before it is shown: later ones would not be heard
        self._panes[name].object = live.figure

    def _show_overlap(self, pair: Comparison, rows: tuple[Row, ...]) -> None:
        width, theme = self._width, theme_of(self._session.state)
        found = [(name, self._found.pair(row)) for name, row in zip(NAMES, rows, strict=False)]
        main = NAMES[self._chosen]
        curves = [Curve(main, pair)]
        curves += [Curve(name, other) for name, other in found if name != main and other is not None and other.n]
        k = min(TOP_K, pair.most_k)
        self._titles["overlap"].show(lead=f"{pair.in_both(k)} of {k}", text=f"in both top {_tens(k)}", extra="")
        self._draw(
            "overlap", (width,), lambda: overlap(curves, width_px=width, theme=theme),
            lambda: overlap_data(curves, width_px=width),
        )  # fmt: skip

    def _show_scatter(self, pair: Comparison, picked: str) -> None:
        theme = theme_of(self._session.state)
        axes = PairAxes.of(pair, width_px=self._width, by=self._by)
        rho = "–" if np.isnan(pair.rho) else f"{pair.rho:.2f}".replace("-", "−")
        self._titles["scatter"].show(
            lead=f"ρ {rho}", text=f"rank correlation, {count_text(pair.n, 'picture')}", extra=""
        )
        options: dict[str, Any] = {
            "theme": theme, "brushed": self._brush, "picked": picked, "names": (NAMES[self._chosen], "B"),
        }  # fmt: skip
        about = self._about(pair)
        self._axes = axes
        self._draw(
            "scatter", (axes,), lambda: scatter(pair, axes, about, **options),
            lambda: scatter_data(pair, axes, about, **options), self._wire_scatter,
        )  # fmt: skip

    def _wire_scatter(self, figure: hv.Overlay) -> None:
        bounds = hv.streams.BoundsXY(source=list(figure)[-1], bounds=None, transient=True)
        bounds.add_subscriber(self._dragged)

    def _about(self, pair: Comparison) -> tuple[list[str], list[str], list[str]]:
        """Return label and domain of each compared picture, and all domains, as B has them."""
        answer = self._found.answers[self._found.own]
        assert answer.result is not None
        assert answer.ranking is not None
        rows = answer.ranking.rows[pair.rank_b - 1]

        def column(name: str) -> list[str]:
            values = answer.result.coords if answer.result is not None else {}
            return values[name].values[rows].astype(str).tolist() if name in values else [""] * len(rows)

        known = answer.result.coords
        order = list(pd.unique(known["image_domain"].values)) if "image_domain" in known else []
        return column("image_label"), column("image_domain"), [str(name) for name in order]

    def _show_layers(self, rows: tuple[Row, ...]) -> None:
        own, theme, width = self._found.own, theme_of(self._session.state), self._width
        source = self._session.sources[own[0]]
        names = source.networks.get(own[1], [])
        self._boxes["layers"].visible = len(names) > 1
        if len(names) < 2:
            return
        k = max((each.k for each in self._found.layers.values()), default=LAYERS_K) or LAYERS_K
        lines = [self._line(name, rows) for name in names]
        left = self._found.layers_left()
        wrong = [f"{name}: {each.sentence}" for name, each in self._found.layers.items() if each.sentence]
        extra = f"Searching {left[0]}, {len(names) - len(left)} of {len(names)} done." if left else " ".join(wrong)
        self._titles["layers"].show(lead="Every layer", text="of this store against B", extra=extra)
        self._draw(
            "layers", (width, layers_height(len(lines))),
            lambda: layer_dots(lines, k=k, width_px=width, theme=theme),
            lambda: layers_data(lines, k=k, width_px=width),
        )  # fmt: skip

    def _line(self, name: str, rows: tuple[Row, ...]) -> LayerLine:
        own, known = self._found.own, self._found.layers.get(name)
        try:
            _, down, across = shared.store_of(self._session.sources[own[0]], own[1]).spec(name).grid
        except VFSError:
            down = across = 0
        return LayerLine(
            name=name, grid=(down, across), own=name == own[2],
            rho=1.0 if name == own[2] else known.rho if known is not None else None,
            in_both=known.in_both if known is not None and not known.sentence else None,
            strong=(*own[:2], name) in (own, *rows),
        )  # fmt: skip

    # --- brush --------------------------------------------------------------------------------------------------

    def _show_tools(self, pair: Comparison) -> None:
        inside, size = self._inside(pair), self._page_size
        self._page = min(self._page, max(0, (len(inside) - 1) // size))
        name = NAMES[self._chosen]
        count = f"{len(inside):,}" if self._brush is not None else ""
        first, pages = self._page * size, -(-len(inside) // size)
        note = "Drag over the points, or type."
        if self._brush is not None:
            note = f"of {count_text(pair.n, 'picture')} in the box"
            note += f"; {first + 1} to {min(first + size, len(inside))} in B's order." if pages > 1 else "."
        self._tools.show(
            by=self._by, a=name, ranges=None if self._brush is None else [list(ends) for ends in self._brush],
            count=count, note=note, next=self._page + 1 < pages, back=self._page > 0,
        )  # fmt: skip

    @property
    def _page_size(self) -> int:
        """How many pictures the strip has room for."""
        return RankGrid.of(self._session.state.work_px, (1.0,)).columns

    def _inside(self, pair: Comparison) -> Any:
        """Return which compared pictures are in the box, in B's order."""
        if self._brush is None:
            return np.empty(0, int)
        inside = pair.within(*self._brush, by=self._by)
        return inside[np.argsort(pair.rank_b[inside], kind="stable")]

    def _show_strip(self, pair: Comparison, picked: str) -> None:
        inside = self._inside(pair)
        state, theme, own = self._session.state, theme_of(self._session.state), self._found.own
        answer, name = self._found.answers[own], NAMES[self._chosen]
        grid, first = RankGrid.of(state.work_px, (1.0,)), self._page * self._page_size
        shown = inside[first : first + grid.columns]
        self._strip.visible = len(shown) > 0
        if not len(shown) or answer.result is None or answer.ranking is None:
            self._strip_ids = []
            return
        result = matches_at(answer.result, answer.ranking, pair.rank_b[shown])
        self._strip_ids = result["image_id"].values.astype(str).tolist()
        ranks = pair.rank_a[shown].tolist()
        urls = shared.thumbnails_of(self._session.sources[own[0]], own[1]).urls(self._strip_ids)
        row = RankedRow(result=result, urls=urls, other=ranks, moved=[f"{rank:,} in {name}" for rank in ranks], k=SHOWN)
        self._grid = grid
        self._draw(
            "strip", (grid,), lambda: ranked([row], grid, theme=theme, picked=picked),
            lambda: ranked_data([row], grid, theme=theme, picked=picked), self._wire_strip,
        )  # fmt: skip

    def _wire_strip(self, figure: hv.Overlay) -> None:
        hv.streams.Tap(source=figure, transient=True).add_subscriber(self._tapped)

    def _tapped(self, x: float | None = None, y: float | None = None) -> None:
        hit = self._grid.place_at(x, y) if self._grid is not None else None
        if hit is not None and hit[1] < len(self._strip_ids):
            self._pick(self._strip_ids[hit[1]])

    def _dragged(self, bounds: tuple[float, float, float, float] | None = None) -> None:
        if self._axes is not None and bounds is not None:
            self._set_brush(self._axes.ranges(bounds))

    def _set_brush(self, box: Any) -> None:
        self._brush, self._page = box, 0
        self._pick("")

    def _do(self, msg: dict[str, Any]) -> None:
        value = msg.get("value")
        match msg["do"]:
            case "pair" if isinstance(value, str) and value and value in NAMES:
                self._chosen, self._page = NAMES.index(value), 0
            case "by" if value in ("rank", "score") and value != self._by:
                self._by, self._brush, self._page = value, None, 0
            case "brush":
                self._set_brush(_box(msg.get("ranges")))
                return
            case "page" if value in (1, -1):
                self._page = max(0, self._page + int(value))
            case _:
                return
        self._pick("")


def _tens(k: int) -> str:
    return "tens" if k == TOP_K else f"{k}"


def _box(ranges: Any) -> Box | None:
    """Read [[low, high], [low, high]] that came from a browser; None if it is anything else."""
    try:
        (a0, a1), (b0, b1) = ([float(end) for end in ends] for ends in ranges)
    except (TypeError, ValueError, OverflowError):
        return None
    if not np.isfinite([a0, a1, b0, b1]).all():
        return None
    return (min(a0, a1), max(a0, a1)), (min(b0, b1), max(b0, b1))
