"""Searches that are asked for at the same time are answered together, in one pass over the features."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from vfs_panel.errors import SearchCancelled
from vfs_panel.search.ask import Answer, Ask, Cancel

MOST = 16  # asks in one pass; more would make the first one wait too long


class AllSet:
    """Set once every one of some events is."""

    def __init__(self, events: Sequence[Cancel]) -> None:
        self._events = events

    def is_set(self) -> bool:
        """Whether nobody waits any more."""
        return all(event.is_set() for event in self._events)


class Together:
    """Collects what several threads ask for while a pass is running, and answers it with the next one.

    The first to ask does the pass for all that wait by then; nobody waits for company.

    Parameters
    ----------
    answers : answers several asks in one pass; its second argument stops it when set, with SearchCancelled.
    """

    def __init__(self, answers: Callable[[Sequence[Ask], Cancel | None], list[Answer]]) -> None:
        self._answers = answers
        self._pass = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: list[tuple[Ask, Cancel | None, Future[Answer]]] = []

    def answer(self, ask: Ask, cancel: Cancel | None = None) -> Answer:
        """Return the answer of one ask; what goes wrong with another one's does not reach it.

        Raises
        ------
        SearchCancelled
            If `cancel` was set while nobody else waited for the same pass.
        """
        future: Future[Answer] = Future()
        with self._lock:
            self._waiting.append((ask, cancel, future))
        with self._pass:
            while not future.done():  # the first pass may be one of other asks, that came before
                self._run()
        return future.result()

    def _run(self) -> None:
        with self._lock:
            compatible = self._waiting[0][0].compatible
            batch = [entry for entry in self._waiting if entry[0].compatible == compatible][:MOST]
            self._waiting = [entry for entry in self._waiting if entry not in batch]
        cancels = [cancel for _, cancel, _ in batch if cancel is not None]
        try:
            nobody_waits = AllSet(cancels) if len(cancels) == len(batch) else None
            answers = self._answers([ask for ask, _, _ in batch], nobody_waits)
        except BaseException as error:
            if len(batch) == 1 or isinstance(error, SearchCancelled):
                for _, _, future in batch:
                    future.set_exception(error)
                return
            for ask, cancel, future in batch:  # one by one, so that each gets its own error
                try:
                    future.set_result(self._answers([ask], cancel)[0])
                except BaseException as own:
                    future.set_exception(own)
            return
        for (_, _, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
