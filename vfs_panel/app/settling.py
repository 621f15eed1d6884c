"""What a process that serves pages does once, so that no page waits for another longer than it must."""

import gc
import sys
from functools import cache

SWITCH_S = 0.0005  # how long one thread may keep the others waiting; a search has hundreds of short steps


@cache
def settle() -> None:
    """Let threads take turns more often, and leave what was imported out of Python's search for garbage.

    A full search through all of it takes up to a second, in which every page stands still. What comes later, the pages
    above all, is searched as ever: so this is for before the first page, or that would stay.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
