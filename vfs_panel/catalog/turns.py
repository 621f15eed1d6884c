"""One process at a time writes a file or folder of the cache; the others wait and see how far it is."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from vfs_panel.catalog.space import full_disk_said

logger = logging.getLogger(__name__)

_LOOK_S = 0.2  # between two looks at how far the other process is


@contextlib.contextmanager
def own_turn(target: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold what is to be written, by a hidden lock file beside it.

    The system gives a lock back when its process ends, however it ends.

    Parameters
    ----------
    target : Path
        The file or folder; need not be there yet.
    waiting : callable
        Called again and again while another process has it, after this was said in the log; may raise to give up.

    Raises
    ------
    CatalogError
        If the folder around it cannot be written.
    """
    with full_disk_said(target, kept="Nothing was written."):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"), thread_local=False)
        said = False
        while True:
            try:
                lock.acquire(timeout=_LOOK_S)
                break
            except Timeout:
                if not said:
                    logger.warning("Another process is making %s; waiting for it.", target)
                said = True
                waiting()
    try:
        yield
    finally:
        lock.release()
