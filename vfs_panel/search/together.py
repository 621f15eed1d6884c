"""Searches that are asked for at the same time are answered together, in one pass over the features."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from vfs_panel.search.ask import Answer, Ask

MOST = 16  # asks in one pass; more would make the first one wait too long


class Together:
    """Collects what several threads ask for while a pass is running, and answers it with the next one.

    The first to ask does the pass for all that wait by then; nobody waits for company.

    Parameters
    ----------
    answers : answers several asks in one pass.
    """

    def __init__(self, answers: Callable[[Sequence[Ask]], list[Answer]]) -> None:
        self._answers = answers
        self._pass = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: list[tuple[Ask, Future[Answer]]] = []

    def answer(self, ask: Ask) -> Answer:
        """Return the answer of one ask; what goes wrong with another one's does not reach it."""
        future: Future[Answer] = Future()
        with self._lock:
            self._waiting.append((ask, future))
        with self._pass:
            while not future.done():  # the first pass may be one of other asks, that came before
                self._run()
        return future.result()

    def _run(self) -> None:
        with self._lock:
            compatible = self._waiting[0][0].compatible
            batch = [entry for entry in self._waiting if entry[0].compatible == compatible][:MOST]
            self._waiting = [entry for entry in self._waiting if entry not in batch]
        try:
            answers = self._answers([ask for ask, _ in batch])
        except BaseException as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for ask, future in batch:  # one by one, so that each gets its own error
                try:
                    future.set_result(self._answers([ask])[0])
                except BaseException as own:
                    future.set_exception(own)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
