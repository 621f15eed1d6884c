"""The canvas hears of strokes in whatever order the messages come: no stroke is lost, and none begins again."""

import gc
import weakref

import holoviews as hv
import pytest
from bokeh.models import ColumnDataSource
from hypothesis import given, settings
from hypothesis import strategies as st

from vfs_panel.app.canvas import Canvas, Point, no_ink
from vfs_panel.plots.marks import Columns

NOTHING: dict[str, Columns] = {
    "picture": {"col": [], "row": [], "url": []},
    "outside": {"left": [], "top": [], "right": [], "bottom": []},
    "cells": {"left": [], "top": [], "right": [], "bottom": []},
    "frame": {"xs": [], "ys": []},
    **no_ink(),
}


class Drawn:
    """A canvas that is drawn, and what it told."""

    def __init__(self) -> None:
        self.live: list[list[Point]] = []
        self.done: list[list[Point]] = []
        self.canvas = Canvas(self.live.append, self.done.append)
        figure = hv.render(self.canvas.figure(200, NOTHING), backend="bokeh")
        callbacks = [callback for group in figure.js_event_callbacks.values() for callback in group]
        pens = [callback.args["pen"] for callback in callbacks if "pen" in callback.args]
        self.pen: ColumnDataSource = pens[0]
        self.ended = 0

    def up(self, points: list[Point]) -> None:
        """The message of the page when a stroke is over."""
        self.ended += 1
        xs, ys = zip(*points, strict=True)
        heard = [[len(xs), xs[0], ys[0], xs[1], ys[1]]] if len(xs) > 1 else [[]]
        # The whole way begins where the pen went down, which the stream has not seen.
        self.pen.data = {"ended": [self.ended], "xs": [[1.0, *xs]], "ys": [[2.0, *ys]], "heard": heard}

    def under_way(self, points: list[Point]) -> None:
        """What HoloViews tells of a stroke, sooner or later."""
        xs, ys = zip(*points, strict=True) if points else ((), ())
        self.canvas._drawn({"xs": [list(xs)], "ys": [list(ys)]})


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    hv.extension("bokeh")
    return Drawn()


def stroke(number: int, n: int) -> list[Point]:
    return [(10.0 * number + i, 5.0 + number) for i in range(n)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_late_words_of_a_finished_stroke_are_not_heard(drawn: Drawn, lengths: list[int], random) -> None:
    drawn.live.clear()
    drawn.done.clear()
    drawn.canvas._ended.clear()
    late = []
    for number, n in enumerate(lengths):
        whole = stroke(number, n)
        for seen in range(1, n + 1):  # some are told in time, some after the end, some never
            (drawn.under_way if random.random() < 0.5 else late.append)(whole[:seen])
        drawn.up(whole)
        assert drawn.done == [[(1.0, 2.0), *stroke(k, m)] for k, m in enumerate(lengths[: number + 1])]
    told = len(drawn.live)
    random.shuffle(late)
    for points in late:
        drawn.under_way(points)
    assert len(drawn.live) == told
    drawn.under_way(stroke(len(lengths), 2))  # the next one is
    assert drawn.live[-1] == stroke(len(lengths), 2)


def test_a_stroke_that_begins_where_another_did_is_followed_at_once(drawn: Drawn) -> None:
    drawn.live.clear()
    drawn.up([(50.0, 50.0), (52.0, 50.0), (54.0, 50.0)])
    other = [(50.0, 50.0), (50.0, 53.0)]
    drawn.under_way(other)
    assert drawn.live == [other]


def test_a_message_is_heard_at_once_and_once(drawn: Drawn) -> None:
    """Bokeh tells of a stroke first; what HoloViews tells of the same a little later is nothing new."""
    drawn.live.clear()
    points = [(71.0, 72.0), (73.0, 74.0)]
    drawn.canvas.moved({"xs": [[x for x, _ in points]], "ys": [[y for _, y in points]]})
    assert drawn.live == [points]
    drawn.under_way(points)
    assert drawn.live == [points]


def test_a_tap_is_a_stroke_of_one_point_and_nothing_is_none(drawn: Drawn) -> None:
    drawn.done.clear()
    drawn.up([(3.0, 4.0)])
    assert drawn.done == [[(1.0, 2.0), (3.0, 4.0)]]
    drawn.pen.data = {"ended": [99], "xs": [[]], "ys": [[]], "heard": [[]]}
    assert len(drawn.done) == 1


def test_nothing_holds_a_canvas_that_was_drawn() -> None:
    """HoloViews keeps the options of elements in one place for all: what they held would stay with every page."""
    hv.extension("bokeh")
    canvas = Canvas(lambda _: None, lambda _: None)
    plot = hv.renderer("bokeh").get_plot(canvas.figure(200, NOTHING))
    plot.cleanup()  # as Panel does when a page is gone
    left = weakref.ref(canvas)
    del canvas, plot
    for _ in range(3):
        gc.collect()
    assert left() is None
