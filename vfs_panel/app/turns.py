"""Turns: changes of what a page shows, made while its document is held; and work beside the searches."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import panel as pn

from vfs_panel.app import shared
from vfs_panel.plots.live import turn_of

if TYPE_CHECKING:
    from vfs_panel.app.session import Session

logger = logging.getLogger(__name__)
Made = TypeVar("Made")
_ASKS, _ASK_S = 20, 0.5


async def take_turn(document: Any, change: Callable[[], None], *, anew: bool = False) -> None:
    """Make a change while holding the document of a page, so that its views may follow; without one, at once.

    All that the views change goes to the browser as one message. An error in a view is logged: it must not stop what
    the change belongs to.

    Parameters
    ----------
    document : None without a page.
    change : what to do. It may not ask for a callback of the document: held back, it could get lost.
    anew : whether figures will be drawn anew. Bokeh looks through the whole page for new models after each of them:
        so it does once, after all, but then always.
    """
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def guarded() -> None:
        if done.done():
            return
        try:
            if document is None:
                change()
                return
            with pn.io.hold(document), turn_of(document), document.models.freeze() if anew else nullcontext():
                change()
        except Exception:  # a view that fails must not stop the search
            logger.exception("The views could not follow a change")
        finally:
            if not done.done():
                done.set_result(None)

    if document is not None and document.session_context is not None:
        if document.session_context.destroyed:
            return
        # While a page loads, a callback may get lost; it is asked for again, and runs once.
        for _ in range(_ASKS):
            document.add_next_tick_callback(partial(guarded))
            await asyncio.wait([done], timeout=_ASK_S)
            if done.done():
                break
    else:
        guarded()


class Aside:
    """Work of one view beside the searches: only the newest that is wanted runs, and only its outcome is shown.

    Parameters
    ----------
    session : whose page is told.
    executor : where the work runs.
    """

    def __init__(self, session: "Session", executor: Executor = shared.ASIDE) -> None:
        self._session, self._executor = session, executor
        self._wanted: tuple[Callable[[], Any], Callable[[Any], None]] | None = None
        self._number = 0
        self._running: asyncio.Task[None] | None = None

    def start(self, work: Callable[[], Made], then: Callable[[Made], None]) -> None:
        """Do `work` in another thread and give what it made to `then`, which may change views.

        Without an event loop, as in a script, both run at once. An error of `work` is logged, and `then` left out:
        expected ones are for `work` to catch and to return in words.
        """
        self._number += 1
        self._wanted = (work, then)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._wanted = None
            then(work())
            return
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run(self._session.document))

    def stop(self) -> None:
        """Show nothing of what runs now."""
        self._number += 1
        self._wanted = None

    async def _run(self, document: Any) -> None:
        loop = asyncio.get_running_loop()
        while self._wanted is not None:
            (work, then), number = self._wanted, self._number
            self._wanted = None
            try:
                made = await loop.run_in_executor(self._executor, work)
            except Exception:  # a bug in one view's work ends neither the page nor the view
                logger.exception("Work beside a search failed")
                continue
            if number == self._number:
                await take_turn(document, partial(then, made))
