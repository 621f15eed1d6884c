"""Similarity overlays: the cell of the query that is pointed at, and which cells of the matches are like it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.analysis.similarity import best_match, by_match, directions, similar_cells
from vfs_panel.app import shared
from vfs_panel.app.component import Part, script, web_text
from vfs_panel.app.searching import Job
from vfs_panel.app.session import Session
from vfs_panel.app.turns import Aside
from vfs_panel.errors import VFSError
from vfs_panel.plots.detail import score_scale
from vfs_panel.plots.text import score_text


class CellsOver(Part):
    """Lies over what the layer sees: hears which cell the mouse or the arrow keys are on, and rings it."""

    _esm = script("cellsover")
    _stylesheets = [*Part._stylesheets, web_text("cellsover.css")]  # noqa: RUF012


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is to be said of one cell: its heading, a sentence, and the upper end of the colours; 0 for no scale."""

    heading: str
    text: str
    top: float = 0.0


def say(similar: xr.DataArray) -> Likeness:
    """Say which cell is pointed at and which match has the cell most like it."""
    row, column = similar.attrs["cell"]
    heading = f"Cell {column + 1} across, {row + 1} down"
    best, rank = best_match(similar)
    if not best > 0:
        return Likeness(heading, "No cell of the matches is like it.")
    return Likeness(
        heading, f"Similar cells in each match; best {score_text(best)} in match {rank}.", score_scale(similar.values)
    )


class OverlayView:
    """The part that lies over the cells, as `part`; the heat itself is drawn with the matches.

    Attributes
    ----------
    said : what is to be said, None while no cell is pointed at; `on_said` is called when it changes.
    """

    def __init__(self, session: Session, on_said: Any = None) -> None:
        self._session, self._aside = session, Aside(session, shared.LOOKS)
        self.said: Likeness | None = None
        self._on_said = on_said
        self.part = CellsOver(on_do=self._do, margin=0, styles={"position": "absolute", "inset": "0", "height": "100%"})
        self._size_px = (120, 120)
        state = session.state
        state.param.watch(
            self._follow,
            ["result", "stale", "problem", "opened", "tab", "dataset", "network", "layer", "picture", "upload"],
        )
        state.param.watch(self._look, ["cell"])
        state.param.watch(self._say, ["similar"])
        self._follow()

    def set_size(self, width: int, height: int) -> None:
        """Set the size of the figure below, in CSS pixels."""
        self._size_px = (width, height)
        self._follow()

    @property
    def _job(self) -> Job | None:
        """What the shown matches were searched with; None while they are not shown or belong to something else."""
        state, outcome = self._session.state, self._session.outcome
        if state.result is None or state.stale or state.problem is not None or outcome is None:
            return None
        if state.opened or state.tab == "compare":
            return None
        job = outcome.job
        now = (self._session.source.key, state.network, state.layer, state.picture, state.upload)
        return job if (job.source.key, job.network, job.layer, job.picture, job.upload) == now else None

    def _follow(self, *_: Any) -> None:
        """Be there only while matches are shown, and follow them."""
        session, job = self._session, self._job
        if session.state.drawing:
            return  # the pen is elsewhere; the exact result follows
        shown: dict[str, Any] = {"on": job is not None}
        if job is not None:
            rows, columns = session.grid()
            shown |= {"rows": rows, "columns": columns, "size_px": list(self._size_px), "start": self._middle()}
        self.part.show(**shown)
        if job is None:
            session.point_at(None)
        elif session.state.cell is not None:
            self._look()

    def _middle(self) -> list[int]:
        """Return the painted cell that the keys start from: the middle of the window."""
        query = self._session.query
        y, x, h, w = query.box if query is not None else (0, 0, 1, 1)
        return [y + h // 2, x + w // 2]

    def _look(self, *_: Any) -> None:
        """Work out, in another thread, what is like the cell that is pointed at; the newest cell wins."""
        session, state, job = self._session, self._session.state, self._job
        cell, result = state.cell, state.result
        if cell is None or result is None or job is None or not result.sizes["rank"]:
            self._aside.stop()
            return
        rows, columns = session.grid()
        if not (cell[0] < rows and cell[1] < columns):
            session.point_at(None)
            return

        def work() -> xr.DataArray | str:
            try:
                painted = query_features(job).values[:, cell[0], cell[1]]
                return by_match(similar_cells(painted, match_directions(job, result)), result, cell)
            except VFSError as error:
                return str(error)

        def then(found: xr.DataArray | str) -> None:
            if isinstance(found, str):
                session.trouble(found)
            else:
                session.show_similar(found)

        self._aside.start(work, then)

    def _say(self, *_: Any) -> None:
        similar = self._session.state.similar
        self.said = None if similar is None else say(similar)
        self.part.show(said="" if self.said is None else f"{self.said.heading}. {self.said.text}")
        if self._on_said is not None:
            self._on_said()

    def _do(self, msg: dict[str, Any]) -> None:
        session, y, x = self._session, msg.get("y"), msg.get("x")
        if msg["do"] == "leave":
            session.point_at(None)
        elif msg["do"] == "point" and self._job is not None and type(y) is int and type(x) is int:
            rows, columns = session.grid()
            if 0 <= y < rows and 0 <= x < columns:
                session.point_at((y, x))


def query_features(job: Job) -> xr.DataArray:
    """Return the features of the whole painted picture, (channel, y, x); from memory after a search."""
    if job.upload is None:
        return shared.picture_features(job.source, job.network, job.layer, job.picture)
    rgb = job.upload.rgb
    computed = shared.SEARCHES.submit(shared.upload_features, job.source, job.network, job.layer, rgb)
    return computed.result()  # a network computes in that thread only


def match_directions(job: Job, result: xr.Dataset) -> NDArray[np.float32]:
    """Return the cells of all matches at length 1, (match, y, x, channel), read once for the same matches."""
    ids = tuple(str(i) for i in result["image_id"].values)

    def read() -> NDArray[np.float32]:
        store = shared.store_of(job.source, job.network)
        return directions(store.read_rows(job.layer, np.array([store.row(i) for i in ids])))

    found: NDArray[np.float32] = shared.directions_of((job.source.key, job.network, job.layer, ids), read)
    return found
