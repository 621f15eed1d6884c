"""The threads that scan: one torch thread each, so that a busy machine slows them down but never makes them wait.

Torch's own threads meet at a barrier after every operation, and a search beside a web server is rarely alone: with one
core taken by somebody else they scanned at a quarter of their speed, these at two thirds.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from vfs_panel.cores import cores, use_one_core

T = TypeVar("T")
_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def _workers() -> ThreadPoolExecutor:
    global _pool  # noqa: PLW0603 - one set of threads per process, however many engines there are
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(cores(), "vfs-scan", initializer=use_one_core)
        return _pool


def spread(task: Callable[[slice], T], parts: Iterable[slice]) -> Iterator[T]:
    """Do a task for every part, on all cores, and yield what it returns in the parts' order.

    What a task raises is raised here, and parts that were not begun are dropped; so they are when the caller stops. No
    task runs any more when this has ended.
    """

    def run(part: slice) -> T:
        with torch.inference_mode():
            return task(part)

    waiting = [_workers().submit(run, part) for part in parts]
    try:
        for future in waiting:
            yield future.result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)
