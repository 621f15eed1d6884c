"""SearchLoop: the latest drawing of a session is searched next, beside the browser's messages."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn

from vfs_panel.app import searching, shared
from vfs_panel.app.searching import Outcome
from vfs_panel.errors import VFSError
from vfs_panel.search import RegionQuery, RegionSearch

if TYPE_CHECKING:
    from vfs_panel.app.session import Session

logger = logging.getLogger(__name__)

CHANCE_DELAY_S = 0.25  # chance is only worked out once the pen has rested this long
PATIENCE_S = 0.5  # a search that has run this long is stopped when something newer is wanted; a shorter one is shown


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
        self._document: Any = None
        self._cancel, self._since = threading.Event(), 0.0

    def kick(self) -> None:
        """Search for what is drawn now, as soon as the search that runs is done or has run for long."""
        self._wanted += 1
        if not self._session.canvas_known:
            return  # what is sent to a page that still loads may get lost: it asks by telling its width
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nobody to wait for: a script, or a test
            return
        if self._running is None or self._running.done():
            self._document = pn.state.curdoc
            self._running = loop.create_task(self._run())
        elif self._since and time.monotonic() - self._since > PATIENCE_S:
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
        while self.is_searching:
            self._cancel = threading.Event()
            wanted, job = self._wanted, session.job(cancel=self._cancel, partly=partial(self._partly, loop))
            self._since = time.monotonic()
            outcome = await loop.run_in_executor(shared.SEARCHES, searching.run, job)
            self._since = 0.0
            self._done = wanted
            if outcome is not None and (job.source, job.network) == (session.source, session.state.network):
                await self._locked(partial(session.take, outcome))
            await asyncio.sleep(0)  # lets messages of the browser in
            if not self.is_searching and outcome is not None and outcome.query is not None and not job.preview:
                await self._add_chance(outcome, wanted)

    def _partly(self, loop: asyncio.AbstractEventLoop, outcome: Outcome) -> None:
        """Show what a long search has found so far; called in the search's thread, which waits for it."""
        session = self._session

        async def show() -> None:
            if (outcome.job.source, outcome.job.network) == (session.source, session.state.network):
                await self._locked(partial(session.take, outcome))

        shown: Future[None] = asyncio.run_coroutine_threadsafe(show(), loop)
        shown.result()

    async def _add_chance(self, outcome: Outcome, wanted: int) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(CHANCE_DELAY_S)
        if self._wanted != wanted or outcome.engine is None or outcome.query is None:
            return
        engine, query = outcome.engine, outcome.query
        task = loop.run_in_executor(shared.ASIDE, _chance_level, engine, query)
        while not task.done():
            await asyncio.wait([task], timeout=0.02)
            if self._wanted != wanted:
                return  # it goes on aside and is kept; newer drawings do not wait for it
        level = task.result()
        await self._locked(lambda: self._session.state.param.update(chance=level))

    async def _locked(self, change: Callable[[], None]) -> None:
        """Make a change while holding the document of the browser, so that its views may follow."""
        document = self._document
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def guarded() -> None:
            if done.done():
                return
            try:
                change()  # not in `pn.io.hold`: a callback that is asked for in it, as by Live, may get lost
            except Exception:  # a view that fails must not stop the search
                logger.exception("The views could not follow a search")
            finally:
                if not done.done():
                    done.set_result(None)

        if document is not None and document.session_context is not None:
            if document.session_context.destroyed:
                return
            # While a page loads, a callback may get lost; it is asked for again, and runs once.
            for _ in range(20):
                document.add_next_tick_callback(partial(guarded))
                await asyncio.wait([done], timeout=0.5)
                if done.done():
                    break
        else:
            guarded()


def _chance_level(engine: RegionSearch, query: RegionQuery) -> float | None:
    try:
        found = shared.chance_of(engine, query)
    except (VFSError, MemoryError, RuntimeError):
        logger.exception("Chance could not be worked out")
        return None
    return found.level() if found is not None else None
