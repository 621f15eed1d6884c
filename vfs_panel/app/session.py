"""Session: what a person does -> changes of SearchState, with the latest drawing always searched next."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from vfs_panel.analysis.chance import Chance
from vfs_panel.app import shared
from vfs_panel.app.loop import SearchLoop
from vfs_panel.app.offers import Offers
from vfs_panel.app.searching import Job, Outcome
from vfs_panel.app.sources import Source
from vfs_panel.app.state import MOST_COMPARED, Row, SearchState, Upload
from vfs_panel.app.uploads import Uploads
from vfs_panel.app.words import LOADING, NOTHING_PAINTED, Problem, Status
from vfs_panel.errors import ImageError, VFSError
from vfs_panel.features import FeatureStore
from vfs_panel.images.preprocessing import Geometry
from vfs_panel.search import RegionQuery, RegionSearch, Stroke
from vfs_panel.search.stroke import Shape

_BRUSH_SHARE = 0.18  # of the picture's shorter side

Publish = Callable[[Outcome], None]


class Session:
    """Everything that can be done in the app, without any view.

    Parameters
    ----------
    sources : by name; the first is opened.
    layer : the layer to show first, where the first source has it.
    """

    def __init__(self, sources: Mapping[str, Source], *, layer: str | None = None) -> None:
        self.sources = dict(sources)
        self.state = SearchState()
        self.outcome: Outcome | None = None
        self.query: RegionQuery | None = None
        self.canvas_px, self.canvas_known = 384, False  # until the browser tells its width
        self.document: Any = None  # of the page that shows it, once that is there
        self.on_publish: list[Publish] = []
        self.on_resize: list[Callable[[], None]] = []
        self.on_early: list[Callable[[xr.Dataset], None]] = []
        self.on_tour: list[Callable[[], None]] = []
        self.picture_px = (1, 1)
        self._loop = SearchLoop(self)
        self.offers, self.uploads = Offers(self), Uploads(self)
        self._last_good: tuple[str, str, str] | None = None
        self._notice = ""
        self.open_dataset(self._first_built(), layer=layer)

    def _first_built(self) -> str:
        """Return the first source whose features are there, or else the first."""
        for name, source in self.sources.items():
            if not source.ready:
                continue
            try:
                shared.store_of(source, next(iter(source.networks)))
            except VFSError:
                continue
            return name
        return next(iter(self.sources))

    # --- what is open -------------------------------------------------------------------------------------------

    @property
    def source(self) -> Source:
        """The open source."""
        return self.sources[self.state.dataset]

    @property
    def store(self) -> FeatureStore:
        """The open feature store; raises VFSError where it cannot be opened."""
        return shared.store_of(self.source, self.state.network)

    @property
    def engine(self) -> RegionSearch | None:
        """The engine of the latest outcome."""
        return self.outcome.engine if self.outcome is not None else None

    def geometry(self) -> Geometry:
        """Return where the open picture lands in the network's input."""
        return self.store.preprocessing.geometry(*self.picture_px)

    def grid(self) -> tuple[int, int]:
        """Return (rows, columns) of the layer."""
        _, rows, columns = self.store.spec(self.state.layer).grid
        return rows, columns

    def picture_rgb(self) -> Any:
        """Return the open picture, uint8 (y, x, 3); raises ImageError where no set is open."""
        if self.state.upload is not None:
            return self.state.upload.rgb
        if not self.state.picture:
            raise ImageError("No picture is open.")  # the pictures of a set that is not built are not to be made here
        return shared.images_of(self.source).rgb(self.state.picture)

    # --- choosing -----------------------------------------------------------------------------------------------

    def open_dataset(self, name: str, *, network: str = "", layer: str | None = None) -> None:
        """Open a source with its first network; the drawing starts anew, as its pictures are others.

        One that is not built is offered instead: what is open stays.
        """
        if not self.sources[name].ready:
            self.offers.refresh(name)  # it may be built by now
        source = self.sources[name]
        if not source.ready:
            self.offers.offer(name)
            return
        network = network if network in source.networks else next(iter(source.networks))
        chosen = layer if layer in source.networks[network] else source.first_layer(network)
        previous = (self.state.dataset, self.state.network, self.state.layer)
        try:
            index = shared.store_of(source, network).index
            usable = index.index[~index["broken"].to_numpy(bool)]
            first = source.queries[0].image if source.queries and source.queries[0].image in index.index else usable[0]
        except (VFSError, IndexError) as error:
            if not self.offers.offer_anew(name, str(error)):
                self._store_gone(source, network, error, previous)
            return
        with _together(self.state):
            self.state.param.update(
                dataset=name, network=network, layer=chosen, filters={}, among=None, per="domain",
                sort="score", result=None, chance=None, problem=None, selected=0, opened=0,
                score_range=None, compared=(), status=LOADING, offer=None,
            )  # fmt: skip
            self.outcome = self.query = None
            self.state.picture = ""  # the same id is another picture there
            self.open_picture(str(first))

    def _store_gone(self, source: Source, network: str, error: Exception, previous: tuple[str, str, str]) -> None:
        text, _, command = str(error).partition("Run: ")
        known = previous[0] in self.sources
        self.state.param.update(
            problem=Problem(
                f"{source.title} cannot be searched yet",
                text + ("Your drawing and the last matches are kept. " if known else "") + ("Run:" if command else ""),
                command=command,
                back=self.sources[previous[0]].title if known else "",
                status=f"The features of {source.title} by {network} are missing.",
            ),
            status=Status("Not searched.", f"The features of {source.title} by {network} are missing."),
        )
        if not known:
            self.state.param.update(dataset=source.name, network=network, layer=source.first_layer(network))

    def open_network(self, name: str) -> None:
        """Search with another network; the drawing is kept."""
        if name in self.source.unbuilt:
            self.offers.refresh(self.state.dataset)  # it may be built by now
        if name in self.source.unbuilt:
            self.offers.offer(self.state.dataset, name)
        elif name in self.source.networks and name != self.state.network:
            layers = self.source.networks[name]
            layer = self.state.layer if self.state.layer in layers else self.source.first_layer(name)
            self.state.param.update(network=name, layer=layer, problem=None, chance=None, score_range=None, offer=None)
            self.kick()

    def open_layer(self, name: str) -> None:
        """Search another layer; the drawing is kept."""
        if name in self.source.networks[self.state.network] and name != self.state.layer:
            self.state.param.update(layer=name, problem=None, chance=None, score_range=None, offer=None)
            self.kick()

    def open_picture(self, image_id: str) -> None:
        """Paint on another picture of the set."""
        if image_id == self.state.picture and self.state.upload is None:
            return
        rgb = shared.images_of(self.source).rgb(image_id)
        self._new_picture(rgb.shape[:2])
        self.state.param.update(picture=image_id, upload=None, upload_error="", problem=None, selected=0, opened=0)
        self.kick()

    def open_own(self, upload: Upload) -> None:
        """Paint on a picture from elsewhere."""
        self._new_picture(upload.rgb.shape[:2])
        self.state.param.update(picture=upload.name, upload=upload, upload_error="", problem=None, selected=0, opened=0)
        self.kick()

    def _new_picture(self, picture_px: tuple[int, int]) -> None:
        self.picture_px = (int(picture_px[0]), int(picture_px[1]))
        self.state.history.reset()
        self.state.live = None
        size = max(4, round(min(self.picture_px) * _BRUSH_SHARE))
        stale = self.state.result is not None
        self.state.param.update(
            brush_px=size, drawn=self.state.drawn + 1, stale=stale, mask=None, excluded=None, drawing=False, offer=None
        )

    # --- drawing ------------------------------------------------------------------------------------------------

    def draw(
        self, points: list[tuple[float, float]], *, shape: Shape = "line", pressures: Sequence[float] = ()
    ) -> None:
        """Show the stroke under the pen: points in picture pixels, and pressures as a Stroke has them."""
        if len(points) >= (3 if shape == "fill" else 1):
            self.state.live = self._stroke(points, shape, pressures)
            self.state.param.update(drawing=True, offer=None)
            self.kick()

    def commit(
        self, points: list[tuple[float, float]], *, shape: Shape = "line", pressures: Sequence[float] = ()
    ) -> None:
        """End a stroke; too few points end it without one."""
        with _together(self.state):
            self.state.live, self.state.drawing = None, False
            if len(points) >= (3 if shape == "fill" else 1):
                self.add(self._stroke(points, shape, pressures))
            else:
                self._changed()

    def _stroke(self, points: list[tuple[float, float]], shape: Shape, pressures: Sequence[float]) -> Stroke:
        state = self.state
        radius = state.brush_px / 2 if shape == "line" else 0.0
        return Stroke(tuple(points), radius, state.mode_of_stroke, shape, tuple(pressures))

    def add(self, *strokes: Stroke) -> None:
        """Add strokes, as one step."""
        self.state.history.replace((*self.state.history.strokes, *strokes))
        self._changed()

    def set_apart(self, apart: bool) -> None:
        """Find parts that do not touch each where it fits best, or keep their places."""
        self.state.apart = apart
        self.kick()

    def paint_anew(self, *strokes: Stroke) -> None:
        """Put other strokes in place of all, as one step."""
        self.state.history.replace(strokes)
        self._changed()

    def undo(self) -> None:
        """Take the last step back."""
        self.state.history.undo()
        self._changed()

    def redo(self) -> None:
        """Do it again."""
        self.state.history.redo()
        self._changed()

    def clear(self) -> None:
        """Take all strokes away; this can be undone."""
        self.state.history.clear()
        self._changed()

    def _changed(self) -> None:
        self.state.param.update(drawn=self.state.drawn + 1, offer=None)
        self.kick()

    def search_from_match(self, rank: int) -> None:
        """Open a match's picture with its matched cells painted, and search for them."""
        result = self.state.result
        if result is None or not 1 <= rank <= result.sizes["rank"]:
            return
        from vfs_panel.plots.outline import lit_cells

        row = result.isel(rank=rank - 1)
        y0, x0, lit = int(row["y"]), int(row["x"]), lit_cells(result["mask"].values)
        self.open_picture(str(row["image_id"].item()))
        geometry, grid = self.geometry(), self.grid()
        boxes = []
        for y in range(lit.shape[0]):
            x = 0
            while x < lit.shape[1]:
                end = x
                while end < lit.shape[1] and lit[y, end]:
                    end += 1
                if end > x:
                    boxes.append(Stroke.box(*geometry.cell_box(y0 + y, x0 + x, 1, end - x, grid=grid)))
                x = max(end, x + 1)
        self.paint_anew(*boxes)

    def set_brush(self, width_px: float) -> None:
        """Set the brush's width, in picture pixels, within what makes sense on this picture."""
        low, high = self.brush_limits
        if not math.isfinite(width_px):
            return
        self.state.brush_px = float(min(max(round(width_px), low), high))

    @property
    def brush_limits(self) -> tuple[int, int]:
        """The narrowest and widest brush, in picture pixels."""
        side = max(self.picture_px)
        return max(2, round(side * 0.015)), max(8, round(min(self.picture_px) * 0.5))

    def set_canvas(self, side_px: int) -> None:
        """Set the side of the square canvas, in CSS pixels."""
        if 64 <= side_px <= 2000 and (side_px != self.canvas_px or not self.canvas_known):
            self.canvas_px, self.canvas_known = side_px, True
            self.state.param.trigger("drawn")
            for relay in self.on_resize:
                relay()
            self.kick()

    # --- matches ------------------------------------------------------------------------------------------------

    def set_matches(self, **changes: Any) -> None:
        """Change k, mode, filters or pictures of the matches, and search again."""
        self.state.param.update(**changes, selected=0, opened=0)
        self.kick()

    def select(self, rank: int) -> None:
        """Select a match; 0 for none."""
        found = 0 if self.state.result is None else self.state.result.sizes["rank"]
        self.state.selected = min(max(0, rank), found)

    def shown_ranks(self) -> list[int]:
        """Return the ranks of the matches in the order they are shown in."""
        result, by = self.state.result, self.state.sort
        if result is None:
            return []
        order = range(result.sizes["rank"])
        if by != "score":
            names = result[by].values.astype(str)
            order = sorted(order, key=lambda place: names[place])  # type: ignore[assignment]
        return [place + 1 for place in order]

    def step(self, by: int) -> None:
        """Select the match that is shown so many places further; the large view goes along."""
        ranks = self.shown_ranks()
        if not ranks:
            return
        at = ranks.index(self.state.selected) + by if self.state.selected in ranks else 0
        self.select(ranks[min(max(at, 0), len(ranks) - 1)])
        if self.state.opened:
            self.state.opened = self.state.selected

    def open_tab(self, name: str) -> None:
        """Show a tab; all but the domains need most of the room, so they come enlarged."""
        if name != self.state.tab or self.state.opened:
            self.state.param.update(tab=name, enlarged=name != "domains", opened=0)

    def toggle_enlarged(self) -> None:
        """Give the open tab most of the room, or give it back to the matches."""
        if self.state.tab == "compare":  # it has no room for the matches beside it
            self.open_tab("domains")
        else:
            self.state.enlarged = not self.state.enlarged

    def compare_with(self, rows: Iterable[Row]) -> None:
        """Compare the open layer with these; those that are not there are left out."""
        there = [
            row for row in rows if row[0] in self.sources and row[2] in self.sources[row[0]].networks.get(row[1], ())
        ]
        self.state.compared = tuple(there[:MOST_COMPARED])

    def use_compared(self, row: Row) -> None:
        """Search with a compared layer of the open dataset, and compare it with the one that was open."""
        state = self.state
        if row not in state.compared or row[0] != state.dataset:
            return
        here = (state.dataset, state.network, state.layer)
        rows = tuple(here if each == row else each for each in state.compared)
        state.param.update(compared=rows, network=row[1], layer=row[2], problem=None, chance=None, score_range=None)
        self.kick()

    def open_match(self, rank: int) -> None:
        """Open the large view of a match; 0 closes it."""
        if rank:
            self.select(rank)
        self.state.opened = self.state.selected if rank else 0

    def point_at(self, cell: tuple[int, int] | None) -> None:
        """Point at a cell (row, column) of the query, whose like is looked for in the matches; None for no cell."""
        if cell is None:
            self.state.param.update(cell=None, similar=None)
        else:
            self.state.cell = cell

    def show_similar(self, similar: xr.DataArray) -> None:
        """Show how much the cells of the matches are like the one that is pointed at, if it still is."""
        if self.state.cell == similar.attrs["cell"]:
            self.state.similar = similar

    def start_tour(self) -> None:
        """Lead through the page in four steps."""
        for start in self.on_tour:
            start()

    def toggle_theme(self) -> None:
        """Change between light and dark."""
        self.state.theme = "light" if self.state.theme == "dark" else "dark"

    # --- problems -----------------------------------------------------------------------------------------------

    def announce(self, sentence: str) -> None:
        """Say something that the next result's words must not cover."""
        self._notice = sentence
        self.state.status = Status("Not all is as it was.", sentence)

    def trouble(self, sentence: str) -> None:
        """Say what could not be done."""
        self.state.status = Status("Not done.", sentence)

    def go_back(self) -> None:
        """Go back to what could be searched last."""
        good = self._last_good
        if good is None or good[0] not in self.sources:
            return
        if good[0] != self.state.dataset:
            self.open_dataset(good[0])
        self.state.param.update(network=good[1], layer=good[2], problem=None)
        self.kick()

    def _back(self) -> str:
        """Name what could be searched last, by what differs from now; "" if nothing could."""
        good, state = self._last_good, self.state
        if good is None or good == (state.dataset, state.network, state.layer):
            return ""
        if good[0] != state.dataset:
            return self.sources[good[0]].title
        return good[1] if good[1] != state.network else good[2]

    def try_again(self) -> None:
        """Open again what could not be opened."""
        self.state.problem = None
        if self.outcome is None or not self.state.picture:
            self.open_dataset(self.state.dataset)
        else:
            self.kick()

    # --- searching ----------------------------------------------------------------------------------------------

    def job(self, **ways: Any) -> Job:
        """Return a snapshot of what is to be searched; `ways` to follow or stop it go into it too."""
        s = self.state
        return Job(
            source=self.source, network=s.network, layer=s.layer, picture=s.picture, upload=s.upload,
            picture_px=self.picture_px, strokes=s.strokes, preview=s.drawing, k=s.k, mode=s.mode, per=s.per,
            filters=s.filters, among=s.among, apart=s.apart, canvas_px=self.canvas_px, **ways,
        )  # fmt: skip

    def kick(self) -> None:
        """Search for what is drawn now, as soon as may be."""
        self._loop.kick()

    @property
    def is_searching(self) -> bool:
        """Whether something newer than the latest result is wanted."""
        return self._loop.is_searching

    def search_now(self) -> None:
        """Search in this thread and publish, for use without an event loop."""
        self._loop.now()

    def take(self, outcome: Outcome) -> None:
        """Make an outcome the session's state, and tell the views."""
        state, job = self.state, outcome.job
        if (job.layer, job.picture, job.upload) != (state.layer, state.picture, state.upload):
            return  # of something that is no longer open
        changes: dict[str, Any] = {"status": outcome.status, "problem": None}
        if self._notice and not job.preview:
            changes["status"], self._notice = Status("Not all is as it was.", self._notice), ""
        if state.result is None and outcome.problem is not None:
            changes["status"] = Status(outcome.status.lead, f"{outcome.problem.title}.")
        if outcome.problem is not None:
            problem = outcome.problem
            changes["problem"] = replace(problem, back=self._back())
        if outcome.engine is not None:
            self._last_good = (state.dataset, state.network, job.layer)
            self.outcome = outcome
            changes |= {"mask": outcome.mask, "excluded": outcome.excluded}
        if outcome.result is not None:
            self.query = outcome.query
            found = outcome.result.sizes["rank"]
            changes |= {"result": outcome.result, "stale": False, "selected": min(state.selected, found)}
            changes |= {"opened": min(state.opened, found), "similar": None}
            if state.chance is not None and not job.preview:
                changes["chance"] = _known_chance(outcome)
        elif outcome.engine is not None:
            changes["stale"] = state.result is not None
            if not job.strokes and state.result is not None:
                changes["status"] = NOTHING_PAINTED
        with _together(state):
            state.param.update(**changes)
            for publish in list(self.on_publish):
                publish(outcome)


def _known_chance(outcome: Outcome) -> Chance | None:
    """Return what is known of this shape already; else the line goes until it is."""
    if outcome.engine is None or outcome.query is None:
        return None
    return shared.known_chance(outcome.engine, outcome.query)


def _together(state: SearchState) -> Any:
    """Tell the views of several changes once, in one message."""
    import param

    return param.parameterized.batch_call_watchers(state)
