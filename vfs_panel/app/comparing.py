"""Comparing: the drawing of a session searched under other layers, one search at a time, while the pen is up.

`Comparing` belongs to one view; what it finds it keeps until the drawing changes. Numbers come from
`analysis.comparison`.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import xarray as xr

from vfs_panel.analysis.comparison import Comparison, Ranking, compare
from vfs_panel.app import searching, shared
from vfs_panel.app.searching import Job, Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.sources import Source
from vfs_panel.app.state import Row, Upload
from vfs_panel.app.turns import Aside
from vfs_panel.errors import VFSError

logger = logging.getLogger(__name__)
SEARCHED_K = 100  # exact matches of each row
SHOWN = 10  # matches of a row that are drawn
LAYERS_K = 50  # of "every layer"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answer:
    """What searching one row gave: a result with its ranking, or a sentence and perhaps a command that mends it."""

    result: xr.Dataset | None = None
    ranking: Ranking | None = None
    urls: dict[str, str]
    sentence: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAgreement:
    """How far one layer agrees with the open one: Spearman's ρ, and how many of its best pictures are shared."""

    rho: float
    in_both: int
    k: int
    sentence: str = ""


def job_of(base: Job, source: Source, row: Row, *, cancel: threading.Event, once: bool = False) -> Job:
    """Return the job that searches the drawing of `base` under another layer.

    In another dataset the painted picture is none of the set, so it goes there as an upload, without the filters.

    Raises
    ------
    VFSError
        If the picture cannot be read.
    """
    same, upload = source is base.source, base.upload
    if not same and upload is None:
        upload = Upload(base.picture, shared.images_of(base.source).rgb(base.picture))
    return replace(
        base, source=source, network=row[1], layer=row[2], upload=upload, preview=False, k=SEARCHED_K, mode="picture",
        filters=base.filters if same else {}, among=base.among if same else None, cancel=cancel, partly=None,
        shown=SHOWN, once=once,
    )  # fmt: skip


def search(base: Job, source: Source, row: Row, *, cancel: threading.Event, once: bool = False) -> Answer | None:
    """Search the drawing of `base` under a row; None if it was stopped. What goes wrong is told in words."""
    try:
        outcome = searching.run(job_of(base, source, row, cancel=cancel, once=once))
    except VFSError as error:
        return Answer(urls={}, sentence=str(error))
    return None if outcome is None else _answer(outcome)


def _answer(outcome: Outcome) -> Answer:
    if outcome.result is not None:
        return Answer(result=outcome.result, ranking=Ranking.of(outcome.result), urls=outcome.urls)
    problem = outcome.problem
    if problem is None:
        return Answer(urls={}, sentence=outcome.status.text)
    text = problem.text.replace("Your drawing is kept.", "").removesuffix("Run:").strip()
    return Answer(urls={}, sentence=f"{problem.title}. {text}", command=problem.command)


class Comparing:
    """The searches of all rows for one drawing.

    Parameters
    ----------
    session : whose drawing.
    changed : called under the document's lock when there is more to show.

    Attributes
    ----------
    answers : by row.
    layers : how far each further layer of the open store agrees with the open one, by its name.
    """

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        self._session, self._changed = session, changed
        self._aside = Aside(session, shared.SEARCHES)
        self._base: Job | None = None
        self._drawing: Any = None
        self._running: Any = None
        self._cancel = threading.Event()
        self.answers: dict[Row, Answer] = {}
        self.layers: dict[str, LayerAgreement] = {}
        self._pairs: dict[tuple[Row, Row], Comparison] = {}
        self._layers_of: Row | None = None

    @property
    def own(self) -> Row:
        """The row of the open layer."""
        state = self._session.state
        return state.dataset, state.network, state.layer

    def pair(self, row: Row) -> Comparison | None:
        """Return the comparison of a row (A) with the open layer (B), once both are searched."""
        return self._pairs.get((row, self.own))

    def stop(self) -> None:
        """Search nothing more for now; what is found stays."""
        self._cancel.set()
        self._aside.stop()
        self._running = None

    def follow(self, base: Job) -> None:
        """Search what the session's rows still lack for the drawing of this job."""
        drawing = (base.source.key, base.picture, base.upload, base.strokes, dict(base.filters), base.among)
        if drawing != self._drawing:
            self.stop()
            self._drawing, self.answers, self._pairs = drawing, {}, {}
            self._layers_of = None
        self._base = base
        if self._layers_of != self.own:
            self._layers_of, self.layers = self.own, {}
        self._next()

    def layers_left(self) -> list[str]:
        """Return the layers of the open store that are not compared yet; none once one of them cannot be read."""
        dataset, network, layer = self.own
        names = self._session.sources[dataset].networks.get(network, [])
        return [name for name in names if name != layer and name not in self.layers]

    def _wanted(self) -> Row | None:
        """Return the next row to search: the open layer, the others, then all layers of the store in turn."""
        own = self.own
        if own not in self.answers:
            return own
        if self.answers[own].ranking is None:
            return None  # the page says why
        for row in self._session.state.compared:
            if row not in self.answers or (self.answers[row].ranking is not None and (row, own) not in self._pairs):
                return row
        left = self.layers_left()
        return (own[0], own[1], left[0]) if left else None

    def _next(self) -> None:
        """Start the next search, unless it is the one that runs."""
        row, own, base = self._wanted(), self.own, self._base
        if row == self._running and row is not None:
            return
        self._cancel.set()
        if row is None or base is None:
            self._running = None
            return
        self._running, cancel = row, threading.Event()
        self._cancel = cancel
        source, known = self._session.sources[row[0]], self.answers.get(row)
        against = self.answers[own].ranking if own in self.answers else None
        once = row != own and row not in self._session.state.compared

        def work() -> tuple[Answer, Comparison | None] | None:
            answer = known or search(base, source, row, cancel=cancel, once=once)
            if answer is None:
                return None
            pair = compare(answer.ranking, against) if answer.ranking is not None and against is not None else None
            return answer, pair

        def then(made: tuple[Answer, Comparison | None] | None) -> None:
            if made is None or cancel.is_set():
                return
            self._running = None
            self._keep(row, own, *made, once=once)
            self._changed()
            if not cancel.is_set() and self._running is None:
                self._next()

        self._aside.start(work, then)

    def _keep(self, row: Row, own: Row, answer: Answer, pair: Comparison | None, *, once: bool) -> None:
        if not once:
            self.answers[row] = answer
            if pair is not None:
                self._pairs[row, own] = pair
        if row[:2] == own[:2] and row != own:
            if pair is None:
                self.layers[row[2]] = LayerAgreement(rho=float("nan"), in_both=0, k=0, sentence=answer.sentence)
            else:
                k = min(LAYERS_K, pair.most_k)
                self.layers[row[2]] = LayerAgreement(rho=pair.rho, in_both=pair.in_both(k), k=k)


__all__ = ["LAYERS_K", "SHOWN", "Answer", "Comparing", "LayerAgreement", "job_of", "search"]
