import gc
import json
import threading
from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from bokeh.core.serialization import Serializer
from bokeh.document import Document

from vfs_panel.plots.live import Live
from vfs_panel.plots.matches import MatchGrid, matches, matches_data

from .conftest import make_result, source_of

GRID = MatchGrid(width_px=656)


@pytest.fixture
def live(result: xr.Dataset) -> Live:
    return Live(matches(result, {}, GRID))


def shown(figure: Any, live: Live) -> list[str]:
    return list(source_of(figure, live.figure, "patches").data["image_id"])


def test_what_is_sent_is_shown_everywhere(live: Live, draw: Callable[[Any], Any]) -> None:
    first, second = draw(live.figure), draw(live.figure)
    other = make_result(seed=1)
    live.send(matches_data(other, {}, GRID))
    assert shown(first, live) == shown(second, live) == other["image_id"].values.tolist()


def test_a_figure_that_is_drawn_later_starts_from_the_latest(live: Live, draw: Callable[[Any], Any]) -> None:
    other = make_result(seed=2, k=3)
    live.send(matches_data(other, {}, GRID))
    assert shown(draw(live.figure), live) == other["image_id"].values.tolist()


def test_sent_columns_are_those_of_a_new_drawing(live: Live, draw: Callable[[Any], Any]) -> None:
    for other in (make_result(seed=3, domains=1, k=1), make_result(k=0), make_result(seed=4)):
        figure = draw(live.figure)
        live.send(matches_data(other, {}, GRID, selected=1))
        fresh = draw(matches(other, {}, GRID, selected=1))
        for sent, drawn in zip(figure.renderers, fresh.renderers, strict=True):
            assert sent.data_source.data.keys() == drawn.data_source.data.keys()
            for name, column in drawn.data_source.data.items():
                np.testing.assert_array_equal(np.asarray(sent.data_source.data[name]), np.asarray(column))
            assert sent.glyph.properties_with_values() == drawn.glyph.properties_with_values()


def test_columns_travel_in_one_message(live: Live, draw: Callable[[Any], Any]) -> None:
    """Each array would be two messages more; numbers that JSON has not are written as Bokeh reads them."""
    figure = draw(live.figure)
    live.send(matches_data(make_result(seed=5), {}, GRID))
    serializer = Serializer()
    changed = ("patches", "veil", "casing", "ring", "score", "label")
    sources = [source_of(figure, live.figure, name) for name in changed]
    sent = [serializer.serialize(source.data).content for source in sources]
    assert serializer.buffers == []
    text = json.dumps(sent, allow_nan=False)
    assert '{"type": "number", "value": "nan"}' in text  # the gaps of outlines


def test_only_what_changed_is_written(live: Live, draw: Callable[[Any], Any], result: xr.Dataset) -> None:
    figure = draw(live.figure)
    live.send(matches_data(result, {}, GRID))
    written: list[str] = []
    for renderer, element in zip(figure.renderers, live.figure, strict=True):
        renderer.data_source.on_change("data", lambda attr, old, new, name=element.label: written.append(name))
    live.send(matches_data(result, {}, GRID, selected=2))
    assert written == ["selected"]


class Served(Document):
    """A document of a server: it runs callbacks at its next turn."""

    session_context = object()  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[Callable[[], None]] = []

    def add_next_tick_callback(self, callback: Any) -> Any:
        self.turns.append(callback)
        return callback

    def turn(self) -> None:
        turns, self.turns = self.turns, []
        for callback in turns:
            callback()


def serve(live: Live, document: Served | None = None) -> tuple[Served, Any]:
    document = document or Served()
    plot = hv.renderer("bokeh").get_plot(live.figure)
    plot.document = document
    return document, plot.state


def test_on_a_server_the_newest_is_written_at_the_next_turn(live: Live, result: xr.Dataset) -> None:
    document, figure = serve(live)
    writes: list[int] = []
    source_of(figure, live.figure, "patches").on_change("data", lambda attr, old, new: writes.append(1))
    newest = make_result(seed=7)
    for seed in (5, 6, 7):
        live.send(matches_data(make_result(seed=seed), {}, GRID))
    assert shown(figure, live) == result["image_id"].values.tolist()
    assert len(document.turns) == 1
    document.turn()
    assert shown(figure, live) == newest["image_id"].values.tolist()
    assert writes == [1]
    live.send(matches_data(result, {}, GRID))
    document.turn()
    assert shown(figure, live) == result["image_id"].values.tolist()


def test_any_thread_may_send(live: Live) -> None:
    document, figure = serve(live)
    newest = make_result(seed=1)
    threads = [
        threading.Thread(target=live.send, args=(matches_data(make_result(seed=seed), {}, GRID),)) for seed in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.send(matches_data(newest, {}, GRID))
    document.turn()
    assert shown(figure, live) == newest["image_id"].values.tolist()


def test_two_figures_of_a_document_take_one_turn_and_one_hold(result: xr.Dataset) -> None:
    held: list[Any] = []

    class Hold:
        def __init__(self, document: Any) -> None:
            self.document = document

        def __enter__(self) -> None:
            held.append(self.document)

        def __exit__(self, *_: object) -> None:
            held.append("out")

    document = Served()
    lives = [Live(matches(result, {}, GRID), hold=Hold) for _ in range(2)]
    for each in lives:
        serve(each, document)
        each.send(matches_data(make_result(seed=9), {}, GRID))
    assert len(document.turns) == 1
    document.turn()
    assert held == [document, "out"]


def test_a_figure_that_nobody_shows_is_forgotten(result: xr.Dataset) -> None:
    def show() -> None:
        live = Live(matches(result, {}, GRID))
        plot = hv.renderer("bokeh").get_plot(live.figure)
        live.send(matches_data(make_result(seed=1), {}, GRID))
        plot.cleanup()

    show()
    gc.collect()
    before = len(hv.Store.custom_options(backend="bokeh"))
    for _ in range(3):
        show()
    gc.collect()
    assert len(hv.Store.custom_options(backend="bokeh")) <= before
