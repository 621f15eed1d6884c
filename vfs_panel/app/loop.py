"""SearchLoop: the latest drawing of a session is searched next, beside the browser's messages.

Sessions wait in line for one of a few lanes. What is searched is looked up when a session's turn has come, so nobody
waits for drawings that are out of date, and whoever was served goes to the end of the line. Searches in different lanes
that meet at the engine are answered in one pass over the features (`search.together`).
"""

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import panel as pn

from vfs_panel.analysis.chance import Chance
from vfs_panel.app import searching, shared
from vfs_panel.app.searching import Job, Outcome
from vfs_panel.app.turns import take_turn
from vfs_panel.errors import VFSError
from vfs_panel.search import RegionQuery, RegionSearch

if TYPE_CHECKING:
    from vfs_panel.app.session import Session

logger = logging.getLogger(__name__)

EARLY_S = 0.3  # once the page shows its picture, figures are drawn that the first result will need
OPENING_S = 5.0  # but not while others wait for their pages to open, which takes no longer than this
CHANCE_DELAY_S = 0.25  # chance is only worked out once the pen has rested this long
PATIENCE_S = 0.5  # a search that has run this long is stopped when something newer is wanted; a shorter one is shown
MANY = 3  # sessions that search at once; beyond, a result is shown before the next search, and tabs wait for the pen
RECENT_S = 1.0

_lanes: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = WeakKeyDictionary()
_searched: "WeakKeyDictionary[SearchLoop, float]" = WeakKeyDictionary()
_opening: "WeakKeyDictionary[SearchLoop, float]" = WeakKeyDictionary()


def crowded() -> bool:
    """Return whether so many people are drawing that what is not needed at once has to wait."""
    now = time.monotonic()
    return sum(now - at < RECENT_S for at in list(_searched.values())) > MANY


def somebody_opens() -> bool:
    """Return whether a page was asked for a moment ago and shows no picture yet."""
    now = time.monotonic()
    return any(now - at < OPENING_S for at in list(_opening.values()))


def _lane() -> asyncio.Semaphore:
    """Return what lets in as many searches as there are threads, first come first served."""
    loop = asyncio.get_running_loop()
    if loop not in _lanes:
        _lanes[loop] = asyncio.Semaphore(shared.LANES)
    return _lanes[loop]


class SearchLoop:
    """At most one search of the session at a time; what was wanted in between is left out.

    Parameters
    ----------
    session : gives the job that is wanted, and takes the outcome.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._wanted = self._done = 0
        self._running: asyncio.Task[None] | None = None
        self._cancel, self._since = threading.Event(), 0.0
        self._job: Job | None = None
        self._early: asyncio.Task[None] | None = None
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            _opening[self] = time.monotonic()

    def kick(self) -> None:
        """Search for what is drawn now, as soon as the search that runs is done or has run for long."""
        if self._session.canvas_known:
            self._session.document = pn.state.curdoc or self._session.document
        if not self._session.state.picture:
            return  # no set is open: none is built yet
        self._wanted += 1
        if not self._session.canvas_known:
            return  # what is sent to a page that still loads may get lost: it asks by telling its width
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nobody to wait for: a script, or a test
            return
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        elif self._since and (self._is_overtaken() or time.monotonic() - self._since > PATIENCE_S):
            self._cancel.set()

    @property
    def is_searching(self) -> bool:
        """Whether something newer than the latest result is wanted."""
        return self._wanted != self._done

    def now(self) -> None:
        """Search in this thread and publish, for use without an event loop."""
        wanted = self._wanted
        outcome = searching.run(self._session.job())
        if outcome is not None:
            self._session.take(outcome)
        self._done = wanted

    async def _run(self) -> None:
        """An error is shown and never ends the loop."""
        loop, session = asyncio.get_running_loop(), self._session
        shown: asyncio.Future[None] | None = None
        while self.is_searching:
            async with _lane():
                self._cancel = threading.Event()
                wanted, job = self._wanted, session.job(cancel=self._cancel, partly=partial(self._partly, loop))
                self._job, self._since = job, time.monotonic()
                _searched[self] = self._since
                outcome = await loop.run_in_executor(shared.SEARCHES, searching.run, job)
                self._since = 0.0
            self._done = wanted
            if shown is not None:
                await shown
                shown = None
            if outcome is not None and self._is_overtaken():
                outcome = None
            if outcome is not None and (job.source, job.network) == (session.source, session.state.network):
                turn = take_turn(session.document, partial(session.take, outcome), anew=session.state.result is None)
                shown = loop.create_task(turn)
            if shown is not None and (crowded() or not self.is_searching):
                await shown  # else the next search begins while this result is drawn
                shown = None
            await asyncio.sleep(0)  # lets messages of the browser in
            if not self.is_searching and outcome is not None and outcome.query is not None and not job.preview:
                await self._add_chance(outcome, wanted)
        _opening.pop(self, None)
        if self._early is None and outcome is not None and outcome.engine is not None and outcome.query is None:
            self._early = loop.create_task(self._draw_early(outcome))

    def _is_overtaken(self) -> bool:
        """Whether the latest search is the preview of a stroke that is over: the exact result is there as soon."""
        job = self._job
        return job is not None and job.preview and not self._session.state.drawing and self.is_searching

    def _partly(self, loop: asyncio.AbstractEventLoop, outcome: Outcome) -> None:
        """Show what a long search has found so far; called in the search's thread, which waits for it."""
        session = self._session

        async def show() -> None:
            if (outcome.job.source, outcome.job.network) == (session.source, session.state.network):
                await take_turn(self._session.document, partial(session.take, outcome))

        shown: Future[None] = asyncio.run_coroutine_threadsafe(show(), loop)
        shown.result()

    async def _draw_early(self, outcome: Outcome) -> None:
        """Draw figures unseen, of an example: the first stroke would wait a second for HoloViews and Bokeh."""
        session = self._session
        await asyncio.sleep(EARLY_S)
        while somebody_opens():
            await asyncio.sleep(EARLY_S)
        example = await asyncio.get_running_loop().run_in_executor(shared.ASIDE, searching.example, outcome)
        is_open = (outcome.job.source, outcome.job.network) == (session.source, session.state.network)
        if example is None or not is_open or session.state.result is not None or self.is_searching:
            return

        def draw() -> None:
            for view in session.on_early:
                view(example)

        await take_turn(session.document, draw, anew=True)

    async def _add_chance(self, outcome: Outcome, wanted: int) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(CHANCE_DELAY_S)
        while crowded() and self._wanted == wanted:
            await asyncio.sleep(CHANCE_DELAY_S)  # others draw: their matches come first
        if self._wanted != wanted or outcome.engine is None or outcome.query is None:
            return
        engine, query = outcome.engine, outcome.query
        task = loop.run_in_executor(shared.ASIDE, _chance, engine, query)
        while not task.done():
            await asyncio.wait([task], timeout=0.02)
            if self._wanted != wanted:
                return  # it goes on aside and is kept; newer drawings do not wait for it
        chance = task.result()
        await take_turn(self._session.document, lambda: self._session.state.param.update(chance=chance))


def _chance(engine: RegionSearch, query: RegionQuery) -> Chance | None:
    if query.also or query.without:
        return None  # what is drawn at random is one region, whose scores these cannot be held against
    try:
        return shared.chance_of(engine, query)
    except (VFSError, MemoryError, RuntimeError):
        logger.exception("Chance could not be worked out")
        return None
