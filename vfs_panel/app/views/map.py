"""The map tab: matched patches as points, and a lasso that keeps the matches to some of them."""

from typing import Any, NamedTuple

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.analysis.embedding import Embedding, best_rows, embed, has_umap, patch_features
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
from vfs_panel.plots.map import MapAxes, inside, map_data, patch_map
from vfs_panel.plots.text import count_text, plain
from vfs_panel.plots.theme import domain_colours

NEAREST, THUMBS = 50, 12
_LEAST = 8  # fewer patches make no map


class Mapped(NamedTuple):
    """A map and what it was made of: the result of all pictures, whatever the lasso left since."""

    result: xr.Dataset
    embedding: Embedding


class MapTools(Part):
    """Method and colours of the map, and its filter."""

    _esm = script("map")


class MapView(TabView):
    """A point for each picture's best place."""

    name = "map"
    while_drawing = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._aside = Aside(session, shared.LOOKS)
        self._tools, self._pane, self._words = MapTools(on_do=self._do, margin=0), figure_pane(), Words(margin=0)
        self._method, self._colour = "pca", "domain"
        self._mapped: Mapped | None = None
        self._made_of: tuple[Any, ...] = ()
        self._axes: MapAxes | None = None
        self._live: Live | None = None
        self._drawn_as: tuple[Any, ...] = ()
        self.part[:] = [self._tools, box(self._pane, styles={"margin-top": "8px"}), self._words]
        self.state.param.watch(self._reopen, ["among", "selected"])

    def draw(self) -> None:
        """Make the map of a new result aside; a result that the map's own filter left keeps the map."""
        state, outcome = self.state, self.session.outcome
        result = state.result
        if result is None or outcome is None or outcome.engine is None:
            return
        self._show_tools()
        job, engine, method = outcome.job, outcome.engine, self._method
        made_of = (
            job.source.key,
            job.network,
            job.layer,
            job.picture,
            job.strokes,
            job.apart,
            tuple(job.filters.items()),
        )
        if self._mapped is not None and (*made_of, method) == self._made_of:
            self._show()
            return
        if state.among is not None:
            if made_of == self._made_of[:-1] and self._mapped is not None:
                result = self._mapped.result  # another method: of the same pictures
            else:
                self.session.set_matches(among=None)  # the map that was chosen from is gone
                return
        rows = best_rows(result, engine)
        if len(rows) < _LEAST:
            self._pane.visible = False
            self._words.show(heading="Too few pictures for a map", text="Clear filters to map more of them.")
            return
        self._words.show(heading="", text="Computing the map…" if method == "pca" else "Computing UMAP…")

        def work() -> Mapped | str:
            try:
                return Mapped(result, embed(patch_features(engine, result, rows), rows, method=method))
            except VFSError as error:
                return str(error)

        def then(made: Mapped | str) -> None:
            if isinstance(made, str):
                self._words.show(heading="", text=made)
                return
            self._mapped, self._made_of = made, (*made_of, method)
            self._show()

        self._aside.start(work, then)

    def _groups(self, mapped: Mapped) -> NDArray[Any]:
        rows = mapped.embedding.rows
        return np.asarray(self.session.store.pictures_index.text(self._colour)[rows], object)

    def _show_tools(self) -> None:
        try:
            names = [c.name for c in shared.columns_of(self.session.source, self.state.network) if c.name != FINDINGS]
        except VFSError:
            return
        if self._colour not in names:
            self._colour = names[0] if names else "domain"
        self._tools.show(
            method=self._method,
            methods=[["pca", "PCA"], ["umap", "UMAP"]] if has_umap() else [["pca", "PCA"]],
            colour=self._colour,
            colours=[[name, plain(name)] for name in names],
            among=0 if self.state.among is None else len(self.state.among),
            selected=bool(self.state.selected),
            nearest=NEAREST,
        )

    def _show(self) -> None:
        mapped, state = self._mapped, self.state
        if mapped is None or not self.is_open or state.result is None:
            return
        self._show_tools()
        embedding, result, theme = mapped.embedding, mapped.result, theme_of(state)
        axes = self._axes = MapAxes.of(embedding, width_px=state.work_px, height_px=min(460, state.work_px))
        rows = embedding.rows
        ids = result["image"].values[rows].astype(str).tolist()
        groups = self._groups(mapped)
        in_order = pd.unique(groups).tolist()
        named = sorted(in_order) if self._colour != "domain" else pd.unique(result["image_domain"].values).tolist()
        colours = domain_colours(named, theme) if len(named) <= 4 else _most_frequent(groups, theme)
        matched_ids = state.result["image_id"].values.astype(str).tolist()
        matched = np.isin(ids, matched_ids)
        thumbnails = shared.thumbnails_of(self.session.source, state.network)
        shown = [i for i in matched_ids[:THUMBS] if i in set(ids)]
        data = map_data(
            embedding, axes, ids=ids, scores=result["image_score"].values[rows].tolist(),
            labels=result["image_label"].values[rows].astype(str).tolist(),
            domains=result["image_domain"].values[rows].astype(str).tolist(),
            groups=groups.tolist(), colours=colours, matched=matched,
            chosen=np.isin(ids, list(state.among)) if state.among is not None else np.ones(len(ids), bool),
            urls=thumbnails.urls(shown, 96), picked=_picked(state.result, state.selected), theme=theme,
        )  # fmt: skip
        self._pane.visible = True
        if (axes, theme.name) != self._drawn_as or self._live is None:
            self._drawn_as = (axes, theme.name)
            self._live = Live(patch_map(data, axes, theme=theme), hold=pn.io.hold)
            last = list(self._live.figure)[-1]
            hv.streams.Lasso(source=last, transient=True).add_subscriber(self._lassoed)
            hv.streams.Tap(source=self._live.figure, transient=True).add_subscriber(self._tapped)
            self._pane.object = self._live.figure
        else:
            self._live.send(data)
        self._words.show(heading="", text=self._said(mapped))

    def _said(self, mapped: Mapped) -> str:
        embedding, n = mapped.embedding, int(np.isfinite(mapped.result["image_score"].values).sum())
        which = count_text(len(embedding.rows), "picture")
        if len(embedding.rows) < n:
            which = f"the {len(embedding.rows):,} best of {count_text(n, 'picture')}"
        axes = "UMAP of"
        if embedding.explained:
            first, second = (f"{100 * share:.0f} %" for share in embedding.explained)
            axes = f"First two principal components, {first} and {second} of the variance, of"
        return (
            f"{axes} the features at the best place of {which}, weighted by what you painted. Blue rings: the matches. "
            "Draw round points to see only these among the matches."
        )

    def _lassoed(self, geometry: Any = None, **_: Any) -> None:
        if self._mapped is None or self._axes is None or geometry is None or len(geometry) < 3:
            return
        outline = np.asarray(geometry, float)
        places = self._axes.place(self._mapped.embedding.points)
        self._choose(np.flatnonzero(inside(places, outline[:, 0].tolist(), outline[:, 1].tolist())))

    def _choose(self, at: NDArray[np.intp]) -> None:
        assert self._mapped is not None
        rows = self._mapped.embedding.rows[at]
        ids = frozenset(self._mapped.result["image"].values[rows].astype(str).tolist())
        self.session.set_matches(among=ids if ids else None)

    def _tapped(self, x: float | None = None, y: float | None = None) -> None:
        """Select the match that was clicked on, if it is one."""
        if self._mapped is None or self._axes is None or x is None or y is None or self.state.result is None:
            return
        places = self._axes.place(self._mapped.embedding.points)
        distance = np.hypot(places[:, 0] - x, places[:, 1] - y)
        at = int(np.argmin(distance))
        name = str(self._mapped.result["image"].values[self._mapped.embedding.rows[at]])
        ranks = np.flatnonzero(self.state.result["image_id"].values.astype(str) == name)
        if distance[at] <= 12 and len(ranks):
            self.session.open_match(int(ranks[0]) + 1)

    def _do(self, msg: dict[str, Any]) -> None:
        value = msg.get("value")
        match msg["do"]:
            case "method" if value == "pca" or (value == "umap" and has_umap()):
                self._method = str(value)
                self.update()
            case "colour" if isinstance(value, str):
                self._colour = value
                self.update()
            case "clear":
                self.session.set_matches(among=None)
            case "nearest" if self._mapped is not None and self.state.result is not None and self.state.selected:
                self._choose_nearest(_picked(self.state.result, self.state.selected))

    def _choose_nearest(self, image_id: str) -> None:
        """Keep the matches to those nearest to one on the map: the lasso of those who hold no mouse."""
        assert self._mapped is not None
        ids = self._mapped.result["image"].values[self._mapped.embedding.rows].astype(str)
        at = np.flatnonzero(ids == image_id)
        if len(at):
            points = self._mapped.embedding.points
            self._choose(np.argsort(np.hypot(*(points - points[at[0]]).T), kind="stable")[:NEAREST])


def _picked(result: xr.Dataset, rank: int) -> str:
    return str(result["image_id"].values[rank - 1]) if 1 <= rank <= result.sizes["rank"] else ""


def _most_frequent(groups: NDArray[Any], theme: Any) -> dict[str, str]:
    """Give the four most frequent values a colour; the others stay grey."""
    names = pd.Series(groups).value_counts().index[:4].tolist()
    return domain_colours(sorted(map(str, names)), theme)
