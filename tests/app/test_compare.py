"""The compare tab: the same drawing under other layers, networks and datasets."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfs_panel.analysis.comparison import Ranking, compare
from vfs_panel.app import explore, shared
from vfs_panel.app.comparing import search
from vfs_panel.app.session import Session
from vfs_panel.app.sources import sources_of
from vfs_panel.app.views.compare import CompareView
from vfs_panel.app.views.comparefacts import ComparePart
from vfs_panel.features import extract
from vfs_panel.models import load_network
from vfs_panel.search import RegionQuery, RegionSearch, Stroke

MARK = Stroke(((30.0, 30.0), (44.0, 34.0)), 8.0)


class Tab:
    """The open compare tab of a painted session, as wide as a screen."""

    def __init__(self, session: Session) -> None:
        self.session, self.view = session, CompareView(session)
        session.add(MARK)
        session.search_now()
        session.state.work_px = 992
        session.open_tab("compare")

    def part(self, kind: str, name: str = "") -> ComparePart:
        """Return a part by its kind, and the row it is of."""
        parts = [p for p in self.view.part.select(ComparePart) if p.view["kind"] == kind]
        return next(
            p for p in parts if name in (p.view.get("name", ""), p.view.get("lead", ""), p.view.get("text", ""))
        )

    def say(self, kind: str, name: str = "", **message: Any) -> None:
        """Send what a browser would."""
        self.part(kind, name)._handle_msg(message)

    @property
    def facts(self) -> dict[str, str]:
        """The headings of the figures: number by words."""
        return {p.view["text"]: p.view["lead"] for p in self.view.part.select(ComparePart) if "lead" in p.view}

    @property
    def drawn(self) -> list[str]:
        """Pictures of the figure of A over B, both rows."""
        return [i for row in self.view._main.rows for i in row.result["image_id"].values[:10].tolist()]


@pytest.fixture
def tab(session: Session) -> Tab:
    return Tab(session)


@pytest.fixture
def two_sets(session: Session, kept_store: Path, picture_folder: Path, tmp_path: Path) -> Iterator[Session]:
    """The store of the tests beside one of its photos alone, whose layers are fewer."""
    other = tmp_path / "photos.zarr"
    extract("vfs-demo", picture_folder / "photo", layers=["stage4"], out=other)
    network = load_network("vfs-demo")
    sources = sources_of(kept_store, images=picture_folder, model=network)
    sources |= sources_of(other, images=picture_folder / "photo", model=network)
    opened = Session(sources, layer="stage3")
    opened.search_now()
    yield opened
    shared.forget()


def by_hand(session: Session, layer: str) -> Any:
    """Search the session's drawing in the plainest way."""
    engine = RegionSearch(session.store, layer)
    from vfs_panel.search.mask import paint, to_grid

    _, rows, columns = engine.spec.grid
    mask = to_grid(paint(session.state.strokes, session.geometry()), (rows, columns))
    features = session.store.feature(layer, session.state.picture)
    return engine.search(RegionQuery.from_mask(features, mask, image_id=session.state.picture, spec=engine.spec), k=100)


def test_a_is_another_layer_and_the_numbers_are_those_of_the_pure_function(tab: Tab) -> None:
    session = tab.session
    assert session.state.compared == ((session.state.dataset, "vfs-demo", "stage4"),)
    a, b = (by_hand(session, layer) for layer in ("stage4", "stage3"))
    expected = compare(Ranking.of(a), Ranking.of(b))
    assert tab.facts == {
        "in both top tens": f"{expected.in_both(10)} of 10",
        "rank correlation, 11 pictures": f"ρ {expected.rho:.2f}".replace("-", "−"),
        "of this store against B": "Every layer",
    }
    assert tab.drawn == [*a["image_id"].values[:10], *b["image_id"].values[:10]]
    above, below = tab.view._main.rows
    ranks = Ranking.of(b).rank_of(a["image_id"].values[:10])
    assert list(above.other) == ranks.tolist()
    assert above.moved[0] == f"{'kept' if ranks[0] <= 10 else 'lost'}, {ranks[0]} in B"
    assert below.moved[0].endswith(" in A")
    assert tab.part("row", "A").view["cells"].startswith("160 channels, 7 × 7 cells")
    assert tab.view._found.layers["stage4"].rho == pytest.approx(expected.rho)


def test_b_follows_the_session_and_rows_change_places(tab: Tab) -> None:
    session = tab.session
    name = session.state.dataset
    tab.say("row", "A", do="use")
    session.search_now()
    assert (session.state.layer, session.state.compared) == ("stage4", ((name, "vfs-demo", "stage3"),))
    assert (tab.part("row", "B").view["layer"], tab.part("row", "A").view["layer"]) == ("stage4", "stage3")
    session.open_layer("stage3")  # as from the header
    session.search_now()
    assert session.state.compared == ((name, "vfs-demo", "stage4"),)
    tab.say("row", "B", do="layer", value="stage4")
    session.search_now()
    assert session.state.layer == "stage4"
    tab.say("row", "A", do="layer", value="stage4")
    assert tab.facts["rank correlation, 11 pictures"] == "ρ 1.00"
    assert tab.facts["in both top tens"] == "10 of 10"


def test_rows_are_added_and_taken_away(tab: Tab) -> None:
    tab.say("row", "B", do="add")
    tab.say("row", "B", do="add")
    tab.say("row", "B", do="add")
    assert len(tab.session.state.compared) == 3
    assert tab.part("row", "D").visible
    assert not tab.part("row", "B").view["add"]
    assert tab.part("pairs").view["names"] == ["A", "C", "D"]
    tab.say("pairs", do="pair", value="C")
    assert tab.view._facts._chosen == 1
    tab.say("row", "D", do="remove")
    tab.say("row", "C", do="remove")
    assert len(tab.session.state.compared) == 1
    assert not tab.view.part.select(ComparePart)[3].visible


def test_a_new_drawing_is_compared_anew_and_the_pen_stops_the_searches(tab: Tab) -> None:
    before = tab.view._found.answers
    tab.session.draw([(40.0, 40.0), (50.0, 50.0)])
    tab.session.search_now()
    assert tab.view._found.answers is before  # a preview is nothing to compare
    tab.session.commit([(40.0, 40.0), (50.0, 50.0)])
    tab.session.search_now()
    assert tab.view._found.answers is not before
    expected = compare(Ranking.of(by_hand(tab.session, "stage4")), Ranking.of(by_hand(tab.session, "stage3")))
    assert tab.facts["in both top tens"] == f"{expected.in_both(10)} of 10"


def test_the_rows_are_searched_one_by_one_beside_the_pen(session: Session) -> None:
    async def draw() -> None:
        view = CompareView(session)
        session.set_canvas(384)
        session.open_tab("compare")
        session.state.work_px = 992
        session.add(MARK)
        row = (session.state.dataset, "vfs-demo", "stage4")
        await until(lambda: view._found.pair(row) is not None)
        assert not view._found.layers_left()
        first = view._found.pair(row)
        session.draw([(20.0, 20.0), (24.0, 20.0)])  # the pen is down: what runs is stopped, what is there stays
        await until(lambda: not session.is_searching)
        assert view._found._running is None
        assert view._found.pair(row) is first
        session.commit([(20.0, 20.0), (24.0, 20.0)])
        await until(lambda: view._found.pair(row) not in (None, first))
        session.open_tab("domains")
        assert view._found._running is None

    async def until(done: Callable[[], bool]) -> None:
        for _ in range(500):
            if done():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it did not come")

    asyncio.run(draw())


def test_nothing_is_searched_for_another_tab(session: Session) -> None:
    view = CompareView(session)
    session.add(MARK)
    session.search_now()
    session.state.work_px = 992
    session.open_tab("scores")
    assert not view.part.objects
    assert not view._found.answers


def test_brushing_shows_the_pictures_in_the_box(tab: Tab) -> None:
    tab.say("brush", do="brush", ranges=[[1, 4], [1, 11]])
    bar = tab.part("brush").view
    assert (bar["count"], bar["note"]) == ("4", "of 11 pictures in the box.")
    a, b = (Ranking.of(by_hand(tab.session, layer)) for layer in ("stage4", "stage3"))
    assert tab.view._facts._strip_ids == sorted(a.ids[:4], key=lambda i: b.rank_of([i])[0])
    tab.view._facts._tapped(20.0, 20.0)
    assert tab.part("picked").view["id"] == tab.view._facts._strip_ids[0]
    assert [name for name, _ in tab.part("picked").view["places"]] == ["A", "B"]
    axes = tab.view._facts._axes
    assert axes is not None
    tab.view._facts._dragged((float(axes.x(1)), float(axes.y(1)), float(axes.x(11)), float(axes.y(2))))
    assert tab.part("brush").view["ranges"] == [[1, 11], [1, 2]]
    tab.say("brush", do="by", value="score")
    assert tab.part("brush").view["ranges"] is None
    tab.say("brush", do="brush", ranges=[[-1, 1], [-1, 1]])
    assert tab.part("brush").view["note"] == "of 11 pictures in the box; 1 to 10 in B's order."
    tab.say("brush", do="page", value=1)
    assert len(tab.view._facts._strip_ids) == 1


def test_a_match_of_b_opens_and_one_of_a_is_told(tab: Tab) -> None:
    tab.view._tapped(0, 2)
    first = tab.view._main.rows[0].result["image_id"].values[2]
    assert tab.session.state.opened == 0
    assert tab.part("picked").view["id"] == first
    assert dict(tab.part("picked").view["places"])["A"].startswith("rank 3, ")
    tab.say("picked", do="close")
    assert tab.part("picked").view["id"] == ""
    tab.view._tapped(1, 2)
    assert tab.session.state.opened == 3


def test_what_goes_wrong_on_one_side_is_a_sentence_in_its_row(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    shared._engines.clear()
    real = shared.engine_of

    def full(source: Any, network: str, layer: str) -> RegionSearch:
        if layer == "stage4":
            raise MemoryError
        return real(source, network, layer)

    monkeypatch.setattr(shared, "engine_of", full)
    monkeypatch.setattr(shared, "engine_once", full)
    tab.session.add(Stroke(((20.0, 20.0),), 7.0))
    tab.session.search_now()
    assert tab.session.state.problem is None
    assert tab.part("row", "A").view["error"].startswith("Memory is full. Set VFS_MEMORY_MB to less")
    assert tab.part("row", "B").view["error"] == ""
    assert len(tab.view._main.rows) == 1
    assert tab.drawn == by_hand(tab.session, "stage3")["image_id"].values[:10].tolist()


def test_another_dataset_gets_the_picture_as_an_upload(two_sets: Session) -> None:
    tab = Tab(two_sets)
    photos = next(name for name in two_sets.sources if name.endswith("photos.zarr"))
    tab.say("row", "A", do="dataset", value=photos)
    assert two_sets.state.compared == ((photos, "vfs-demo", "stage4"),)
    view = tab.part("row", "A").view
    assert (view["error"], view["use"], len(view["datasets"])) == ("", False, 2)
    row = tab.view._found.answers[photos, "vfs-demo", "stage4"]
    assert row.result is not None
    assert row.result.attrs["query_image"] == ""
    assert float(row.result["score"].max()) <= 1.001
    pair = tab.view._found.pair((photos, "vfs-demo", "stage4"))
    assert pair is not None
    if pair.n:  # by id, where ids agree
        assert set(pair.ids) <= set(row.result["image"].values)


def test_a_store_with_one_layer_says_how_to_add_another(session: Session, picture_folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.zarr"
    extract("vfs-demo", picture_folder, layers=["stage4"], out=alone)
    lonely = Session(sources_of(alone, images=picture_folder))
    lonely.search_now()
    tab = Tab(lonely)
    words = tab.part("nothing").view
    assert tab.part("nothing").visible
    assert "holds one layer, stage4" in words["text"]
    assert words["command"].startswith("vfs-panel extract ")
    assert "--layer stage4" in words["command"]
    assert len(tab.view._main.rows) == 1
    assert not tab.view._facts.part.visible


def test_rows_of_a_link_that_are_not_there_are_left_out(session: Session) -> None:
    name = session.state.dataset
    good = (name, "vfs-demo", "stage4")
    session.compare_with(
        [("nowhere", "vfs-demo", "stage4"), (name, "x", "stage4"), (name, "vfs-demo", "y")] + [good] * 5
    )
    assert session.state.compared == (good,) * 3


def test_messages_that_make_no_sense_are_ignored(tab: Tab) -> None:
    before = (tab.session.state.compared, tab.session.state.layer)
    odd = [{"do": "layer"}, {"do": "layer", "value": ["x"]}, {"do": "dataset", "value": "../x"}, {"do": "remove"},
           {"do": "brush", "ranges": [[1], [2]]}, {"do": "brush", "ranges": "abcd"}, {"do": "pair", "value": ""},
           {"do": "brush", "ranges": [[float("nan"), 1], [1, 2]]}, {"do": "pair", "value": 7},
           {"do": "page", "value": 9}, {"do": "by", "value": []},
           {"do": "brush", "ranges": [[10**400, 1], [1, 2]]}]  # fmt: skip
    for part in tab.view.part.select(ComparePart):
        for message in odd:
            part._handle_msg(message)
    assert (tab.session.state.compared, tab.session.state.layer) == before
    assert tab.session.state.status.lead == "Exact."


def test_a_stopped_search_gives_nothing_and_one_look_holds_no_engine(session: Session) -> None:
    session.add(MARK)
    session.search_now()
    assert session.outcome is not None
    row, stopped = (session.state.dataset, "vfs-demo", "stage4"), threading.Event()
    once = search(session.outcome.job, session.source, row, cancel=stopped, once=True)
    assert once is not None
    assert shared._engines.known((session.source.key, "vfs-demo", "stage4")) is None
    kept = search(session.outcome.job, session.source, row, cancel=stopped)
    assert kept is not None
    assert shared._engines.known((session.source.key, "vfs-demo", "stage4")) is not None
    assert once.ranking is not None
    assert kept.ranking is not None
    np.testing.assert_allclose(once.ranking.scores, kept.ranking.scores, atol=1e-6)
    shared.forget()
    stopped.set()
    assert search(session.outcome.job, session.source, row, cancel=stopped, once=True) is None


def test_the_explorer_opens_on_a_tab_it_has(kept_store: Path, picture_folder: Path) -> None:
    assert explore(kept_store, images=picture_folder, tab="compare").state.tab == "compare"
    assert explore(kept_store, images=picture_folder, tab="nonsense").state.tab == "domains"
