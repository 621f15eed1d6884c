"""Libraries that read pictures warn of odd metadata and of large pictures; here they are kept quiet."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_filters: warnings.catch_warnings | None = None  # type: ignore[type-arg, unused-ignore]


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the warnings of Pillow, pydicom and tifffile.

    Warning filters belong to the whole process, and pictures are read in many threads: the first to come in sets
    them and the last to leave puts back what was there.
    """
    global _inside, _filters  # noqa: PLW0603 - process-wide, as the filters are
    with _lock:
        _inside += 1
        if _inside == 1:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"(PIL|pydicom|tifffile|vfs_panel\.images)(\.|$)")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _filters is not None:
                _filters.__exit__(None, None, None)
                _filters = None
