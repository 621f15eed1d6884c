"""Live: new data for a figure that is on the screen, without drawing it again."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from math import isfinite
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

import holoviews as hv
import numpy as np
from bokeh.core.serialization import Serializable, Serializer

from vfs_panel.plots.marks import Columns

Hold = Callable[[Any], AbstractContextManager[Any]]

# Writes that wait for their document's next turn. Shared by all figures, so that a document takes one turn for all.
_waiting: "WeakKeyDictionary[Any, dict[tuple[Live, str, Any], Hold]]" = WeakKeyDictionary()
_lock = Lock()
# Documents in whose turn we are: what is sent to their figures is written at once.
_turns: "WeakSet[Any]" = WeakSet()

IN_TEXT = 4096  # numbers; shorter columns travel in the message itself, longer ones as two messages of their own


class Live:
    """A figure of this package, kept in step with the latest data wherever it is shown.

    A HoloViews stream draws every element of an overlay anew: 120 ms of server time for twelve patches. Writing the
    columns that changed takes a few, and that is what this does. Size, theme and marks stay as they were drawn; for
    others, draw again.

    Parameters
    ----------
    figure : overlay of labelled marks, from a plot function of this package.
    hold : context manager that collects a document's changes into one message, such as `panel.io.hold`.

    Attributes
    ----------
    figure : the overlay to show, and the source of streams such as Tap. Shown later or twice, it starts from the
        latest data.
    """

    def __init__(self, figure: hv.Overlay, *, hold: Hold = nullcontext) -> None:
        self.figure = figure
        self._hold = hold
        self._columns: dict[str, Columns] = {}
        self._plots: defaultdict[str, WeakSet[Any]] = defaultdict(WeakSet)
        # HoloViews keeps options, and so hooks, as long as elements live: a hook that held them would hold all forever.
        hook = partial(_attach, ref(self))
        for element in figure:
            element.opts(hooks=[*element.opts.get("plot").kwargs["hooks"], hook])

    def send(self, columns: Mapping[str, Columns]) -> None:
        """Show new columns, by name of the mark; marks that are not named or did not change stay as they are.

        It may be called from any thread and in any callback. On a server the columns are written at the document's
        next turn, when it may be changed; of what is sent until then only the newest is written. Within `turn_of` they
        are written at once.
        """
        changed = [name for name in columns if not _same(columns[name], self._columns.get(name))]
        self._columns.update(columns)
        here = []
        for name in changed:
            for plot in list(self._plots[name]):
                document = plot.document
                if document is None or document.session_context is None or document in _turns:
                    here.append((self, name, plot))
                    continue
                with _lock:
                    if document not in _waiting:
                        _waiting[document] = {}
                        document.add_next_tick_callback(partial(_flush, document))
                    _waiting[document][self, name, plot] = self._hold
        _write(here)


@contextmanager
def turn_of(document: Any) -> Iterator[None]:
    """Say that the document may be changed now, in this thread, by all figures it shows: no further turn is needed.

    Whoever holds the document's changes back meanwhile, as by `panel.io.hold`, sends those of all figures at once.
    """
    _turns.add(document)
    try:
        yield
    finally:
        _turns.discard(document)


def _attach(owner: "ref[Live]", plot: Any, element: Any) -> None:
    """Remember a drawn mark, and bring it up to date; HoloViews calls this when it draws."""
    live = owner()
    if live is None:
        return
    live._plots[element.label].add(plot)
    if element.label in live._columns:
        plot.handles["cds"].data = _all_in_text(live._columns[element.label])


def _flush(document: Any) -> None:
    with _lock:
        waiting = _waiting.pop(document, {})
    with next(iter(waiting.values()), nullcontext)(document):
        _write(waiting)


def _write(marks: Iterable[tuple[Live, str, Any]]) -> None:
    figures = {}
    for live, name, plot in marks:
        plot.handles["cds"].data = _all_in_text(live._columns[name])
        figures[id(plot.root)] = plot
    for plot in figures.values():
        plot.push()  # a notebook's comm needs to be told; on a server this does nothing


class Numbers(np.ndarray[Any, np.dtype[Any]], Serializable):
    """Numbers that Bokeh sends within the message, rather than as an array apart.

    Unlike in a list, it neither sends them one by one nor looks through them for models.
    """

    def to_serializable(self, serializer: Serializer) -> Any:
        """Return plain JSON; what is not finite as Bokeh writes it."""
        numbers = self.tolist()
        if np.isfinite(self).all():
            return numbers
        return [x if isfinite(x) else serializer.encode(x) for x in numbers]


def _in_text(column: Any) -> Any:
    """Turn short arrays into numbers, also those within lists; other columns stay as they are."""
    if isinstance(column, np.ndarray) and column.ndim == 1 and column.size <= IN_TEXT and column.dtype.kind in "fiu":
        return column.view(Numbers)
    if isinstance(column, list) and column and isinstance(column[0], list | np.ndarray):
        return [_in_text(part) for part in column]
    return column


def _all_in_text(columns: Columns) -> Columns:
    return {name: _in_text(column) for name, column in columns.items()}


def _same(new: Columns, old: Columns | None) -> bool:
    """Whether columns are equal, so that a browser need not decode its pictures again for nothing."""
    if old is None or new.keys() != old.keys():
        return False
    return all(_equal(new[name], old[name]) for name in new)


def _equal(new: Any, old: Any) -> bool:
    if new is old:
        return True
    if isinstance(new, np.ndarray) and isinstance(old, np.ndarray):
        return np.array_equal(new, old, equal_nan=new.dtype.kind == "f")  # NaN parts the loops of a path
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return all(_equal(a, b) for a, b in zip(new, old, strict=True))
    return type(new) is type(old) and not isinstance(new, np.ndarray) and bool(new == old)
