"""What a person does, and what the state says after it."""

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from vfs_panel.app import loop, searching, shared
from vfs_panel.app.searching import Job, Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.sources import sources_of
from vfs_panel.app.views.tab import TabView
from vfs_panel.search import RegionQuery, RegionSearch, Stroke, tiers
from vfs_panel.settings import settings

MARK = Stroke(((30.0, 30.0), (44.0, 34.0)), 8.0)


def png(height: int, width: int) -> bytes:
    buffer = io.BytesIO()
    values = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def test_ready_names_what_can_be_searched(session: Session) -> None:
    status = session.state.status
    assert status.lead == "Ready."
    assert status.text.startswith("12 pictures, ")
    assert session.state.result is None


def test_a_stroke_gives_matches_without_the_painted_picture(session: Session) -> None:
    session.add(MARK)
    session.search_now()
    result = session.state.result
    assert session.state.status.lead == "Exact."
    assert session.state.picture not in result["image_id"].values
    assert result.sizes["rank"] == 11
    assert "11 pictures searched" in session.state.status.text


def test_undo_redo_and_clear_bring_the_same_result_back(session: Session) -> None:
    session.add(MARK)
    session.search_now()
    first = session.state.result["score"].values
    session.add(Stroke(((60.0, 50.0),), 6.0))
    session.search_now()
    second = session.state.result["score"].values
    assert not np.array_equal(first, second)
    session.undo()
    session.search_now()
    assert np.array_equal(session.state.result["score"].values, first)
    session.redo()
    session.search_now()
    assert np.array_equal(session.state.result["score"].values, second)
    session.clear()
    session.search_now()
    assert session.state.status.lead == "Nothing is painted."
    assert session.state.stale
    session.undo()
    session.search_now()
    assert not session.state.stale
    assert np.array_equal(session.state.result["score"].values, second)


def test_erasing_all_says_so_and_keeps_the_last_matches(session: Session) -> None:
    session.add(MARK)
    session.search_now()
    session.add(Stroke(((30.0, 30.0), (44.0, 34.0)), 30.0, "erase"))
    session.search_now()
    assert session.state.status.lead == "Nothing is painted."
    assert session.state.result is not None
    assert session.state.stale


def test_another_layer_keeps_the_drawing(session: Session) -> None:
    session.add(MARK)
    session.search_now()
    session.open_layer("stage4")
    session.search_now()
    assert session.state.strokes == (MARK,)
    assert session.state.result.attrs["layer"] == "stage4"


def test_filters_that_leave_nothing_offer_to_be_cleared(session: Session) -> None:
    session.add(MARK)
    session.search_now()
    session.set_matches(filters={"domain": "sketch", "label": "cat"})
    session.search_now()
    assert set(session.state.result["domain"].values) == {"sketch"}
    session.open_picture("photo/cat/0.png")
    session.add(MARK)
    session.set_matches(filters={"domain": "nowhere"})
    session.search_now()
    assert session.state.status.action == "Clear filters"


def test_a_stroke_outside_the_frame_paints_nothing(session: Session) -> None:
    session.uploads.open(png(64, 300), "wide.png")
    session.add(Stroke(((3.0, 30.0), (12.0, 30.0)), 4.0))
    session.search_now()
    assert "does not see that part" in session.state.status.text
    assert session.state.result is None


def test_an_upload_is_searched_in_all_pictures(session: Session) -> None:
    session.uploads.open(png(80, 90), "mine.png")
    session.add(MARK)
    session.search_now()
    assert session.state.result.attrs["n_searched"] == 12
    assert "left out" not in session.state.status.text


def test_an_unreadable_upload_changes_nothing_but_the_sentence(session: Session) -> None:
    session.add(MARK)
    session.uploads.receive("key", 0, 2, b"not ", "board.heic")
    session.uploads.receive("key", 1, 2, b"a picture", "board.heic")
    assert session.state.upload_error == "board.heic"
    assert session.state.strokes == (MARK,)
    assert session.state.upload is None


def test_pieces_of_an_upload_make_the_file(session: Session) -> None:
    data = png(40, 40)
    for number, start in enumerate(range(0, len(data), 1000)):
        session.uploads.receive("key", number, -(-len(data) // 1000), data[start : start + 1000], "mine.png")
    assert session.state.upload is not None
    assert session.state.upload.rgb.shape == (40, 40, 3)


def test_too_large_an_upload_is_refused_before_it_is_whole(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from vfs_panel.settings import settings

    monkeypatch.setenv("VFS_MAX_UPLOAD_MB", "0.001")
    settings.cache_clear()
    session.uploads.receive("key", 0, 9, b"x" * 2000, "big.png")
    assert session.state.upload_error == "big.png"


def test_search_from_a_match_finds_the_way_back(session: Session) -> None:
    session.add(MARK)
    session.search_now()
    origin, match = session.state.picture, str(session.state.result["image_id"].values[0])
    session.search_from_match(1)
    session.search_now()
    assert session.state.picture == match
    assert origin in session.state.result["image_id"].values
    lit = session.state.mask.values >= 1 / 3
    assert lit.any()


def test_a_failing_search_is_shown_and_the_next_one_runs(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    real = searching._search
    monkeypatch.setattr(searching, "_search", lambda job: 1 / 0)
    monkeypatch.setattr(searching.logging.getLogger(searching.__name__), "exception", lambda *_: None)
    session.add(MARK)
    session.search_now()
    assert "ZeroDivisionError" in session.state.problem.text
    monkeypatch.setattr(searching, "_search", real)
    session.add(MARK)
    session.search_now()
    assert session.state.problem is None
    assert session.state.result is not None


def test_the_newest_drawing_wins_and_searches_do_not_pile_up(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen, at_once, most = searching.run, [], threading.Semaphore(1), []

    def slow(job: Job) -> Outcome:
        most.append(at_once.acquire(blocking=False))
        seen.append(len(job.strokes[-1].points) if job.strokes else 0)
        threading.Event().wait(0.05)
        at_once.release()
        return real(job)

    monkeypatch.setattr(searching, "run", slow)

    async def draw() -> None:
        session.set_canvas(384)
        for n in range(2, 42):
            session.draw([(30.0 + i * 0.2, 30.0) for i in range(n)])
            await asyncio.sleep(0.005)
        session.commit([(30.0 + i * 0.2, 30.0) for i in range(50)])
        while session.is_searching:
            await asyncio.sleep(0.01)

    asyncio.run(draw())
    assert all(most)
    assert seen == sorted(seen)
    assert seen[-1] == 50
    assert 2 <= len(seen) < 30
    assert session.state.status.lead == "Exact."


def opened_page(session: Session, monkeypatch: pytest.MonkeyPatch, *, for_s: float = 5.0) -> list[xr.Dataset]:
    """Open the page of a session, and return the examples that its figures are drawn of."""
    examples: list[xr.Dataset] = []
    session.on_early.append(examples.append)
    monkeypatch.setattr(loop, "EARLY_S", 0)

    async def opened() -> None:
        session.set_canvas(384)
        end = time.monotonic() + for_s
        while not examples and time.monotonic() < end:
            await asyncio.sleep(0.01)

    asyncio.run(opened())
    return examples


def test_figures_are_drawn_of_an_example_before_anything_is_painted(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = opened_page(session, monkeypatch)
    assert example.sizes["rank"] == 11  # all but the open picture
    assert session.state.result is None  # nobody is shown it
    assert session.state.status.lead == "Ready."


def test_figures_wait_for_those_whose_pages_open(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        """Somebody whose page opens."""

    other = Other()
    monkeypatch.setitem(loop._opening, other, time.monotonic())  # type: ignore[call-overload]
    assert not opened_page(session, monkeypatch, for_s=0.5)
    monkeypatch.setitem(loop._opening, other, time.monotonic() - loop.OPENING_S)  # type: ignore[call-overload]
    assert opened_page(Session(session.sources), monkeypatch)


def test_a_store_on_disk_is_not_read_for_an_example(from_disk: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not opened_page(from_disk, monkeypatch, for_s=1.0)


def test_an_example_of_a_set_that_was_left_is_not_drawn(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    real = searching.example

    def left_meanwhile(outcome: Outcome) -> xr.Dataset | None:
        found = real(outcome)
        session.state.network = "another"
        return found

    monkeypatch.setattr(searching, "example", left_meanwhile)
    assert not opened_page(session, monkeypatch, for_s=1.0)
    assert session.state.network == "another"


def test_a_tab_follows_a_result_in_a_message_of_its_own(session: Session) -> None:
    order: list[str] = []

    class Probe(TabView):
        name = "domains"

        def draw(self) -> None:
            order.append("tab")

    probe = Probe(session)
    session.state.work_px = 900
    take = session.take

    def taken(outcome: Outcome) -> None:
        order.append("(")
        take(outcome)
        order.append(")")

    async def paint(*points: tuple[float, float]) -> None:
        order.clear()
        session.commit(list(points))
        while session.is_searching or session.state.chance is None or order[-1:] != ["tab"]:
            await asyncio.sleep(0.01)

    async def draw() -> None:
        session.set_canvas(384)
        await asyncio.sleep(0.1)
        session.take = taken  # type: ignore[method-assign]
        await paint((30.0, 30.0), (44.0, 34.0))
        assert order[:3] == ["(", "tab", ")"]  # the first result brings all figures
        await paint((30.0, 50.0), (60.0, 54.0), (50.0, 20.0))  # of another shape: what is known of chance goes
        assert order == ["(", ")", "tab", "tab"]  # the second when its own chance is known

    asyncio.run(asyncio.wait_for(draw(), 30))
    assert probe.is_open


@pytest.fixture
def from_disk(kept_store: Path, picture_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session whose features do not fit into memory, shown after every three pictures or so."""
    monkeypatch.setenv("VFS_MEMORY_MB", "0.001")
    settings.cache_clear()
    monkeypatch.setattr(tiers, "LOAD_MB", 0.01)
    monkeypatch.setattr(searching, "SHOWN_EVERY_S", 0)
    shared.forget()
    yield Session(sources_of(kept_store, images=picture_folder), layer="stage3")
    shared.forget()
    monkeypatch.undo()
    settings.cache_clear()


def test_a_search_from_disk_shows_what_it_has_found_so_far(from_disk: Session) -> None:
    session, said = from_disk, []
    session.state.param.watch(lambda event: said.append((event.new.lead, event.new.text)), "status")

    async def draw() -> None:
        session.set_canvas(384)
        session.add(Stroke(((30.0, 30.0), (50.0, 40.0)), 12, "include"))
        while session.is_searching:
            await asyncio.sleep(0.01)

    asyncio.run(draw())
    assert session.engine is not None
    assert not session.engine.holds
    leads = [lead for lead, _ in said]
    assert leads.count("Searching.") > 1
    assert leads[-1] == "Exact."
    assert "so far" in next(text for lead, text in said if lead == "Searching.")


def test_a_long_search_stops_for_a_newer_drawing(from_disk: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session, began, stopped = from_disk, [], []
    monkeypatch.setattr(loop, "PATIENCE_S", 0.1)
    real = RegionSearch.progressive

    def slow(engine: RegionSearch, query: RegionQuery, **options: Any) -> Iterator[xr.Dataset]:
        began.append(query)
        for result in real(engine, query, **options):
            yield result
            if len(began) == 1:
                stopped.append(options["cancel"].wait(20))

    monkeypatch.setattr(RegionSearch, "progressive", slow)

    async def draw() -> None:
        session.set_canvas(384)
        session.add(Stroke(((30.0, 30.0), (50.0, 40.0)), 12, "include"))
        while not began:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        session.add(Stroke(((60.0, 60.0), (70.0, 60.0)), 12, "include"))
        while session.is_searching:
            await asyncio.sleep(0.01)

    asyncio.run(draw())
    assert stopped == [True]
    assert len(began) == 2
    assert session.state.status.lead == "Exact."


def test_what_is_excluded_lowers_those_who_hold_it(session: Session) -> None:
    session.add(MARK)
    session.search_now()
    plain = session.state.result["image_score"].values
    session.add(Stroke(((60.0, 60.0), (70.0, 60.0)), 8.0, "exclude"))
    session.search_now()
    less = session.state.result["image_score"].values
    known = np.isfinite(plain)
    assert (less[known] <= plain[known] + 1e-5).all()
    assert (less[known] < plain[known] - 1e-3).any()
    assert float(session.state.excluded.max()) > 0


def test_only_excluding_searches_nothing_and_says_so(session: Session) -> None:
    session.add(Stroke(((60.0, 60.0),), 8.0, "exclude"))
    session.search_now()
    assert session.state.status.text == "Everything painted is excluded. Include at least one cell."
    assert session.state.result is None


def test_parts_keep_their_places_or_are_found_each(session: Session) -> None:
    session.add(Stroke(((20.0, 20.0),), 5.0), Stroke(((66.0, 66.0),), 5.0))
    session.search_now()
    together = session.state.result
    session.set_apart(True)
    session.search_now()
    apart = session.state.result
    assert together["mask"].size > apart["mask"].size
    known = np.isfinite(together["image_score"].values)
    assert apart["image_score"].values[known].mean() > together["image_score"].values[known].mean()


def test_a_mask_file_is_one_step(session: Session) -> None:
    cover = np.zeros((32, 32), np.uint8)
    cover[8:16, 8:16] = cover[20:28, 20:28] = 255
    buffer = io.BytesIO()
    Image.fromarray(cover).save(buffer, "PNG")
    session.uploads.paint_mask(buffer.getvalue(), "mask.png")
    session.search_now()
    assert session.state.result is not None
    assert len(session.state.strokes) == 2
    session.undo()
    assert session.state.strokes == ()
    session.uploads.paint_mask(b"nothing", "mask.png")
    assert "mask.png is no mask" in session.state.status.text


def test_a_huge_picture_is_scaled_and_a_bomb_refused(session: Session) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (10_000, 10_000), "red").save(buffer, "JPEG", quality=30)
    session.uploads.open(buffer.getvalue(), "huge.jpg")
    assert max(session.state.upload.rgb.shape) <= 1024
    bomb = io.BytesIO()
    Image.new("1", (40_000, 40_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 1e6
    session.uploads.open(bomb.getvalue(), "bomb.png")
    assert session.state.upload_error == "bomb.png"
    assert "1600" in session.state.upload_reason.replace(",", "") or "million" in session.state.upload_reason
    assert session.state.upload.name == "huge.jpg"
