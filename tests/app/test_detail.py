"""The large view of a match, without a browser: what is known at once is shown at once, the rest together."""

import asyncio
import threading

import pytest

from vfs_panel.app.session import Session
from vfs_panel.app.views import detail
from vfs_panel.app.views.detail import DetailView
from vfs_panel.search import Stroke


@pytest.fixture
def view(session: Session) -> DetailView:
    made = DetailView(session)
    session.add(Stroke.box(10, 10, 50, 50))
    session.search_now()
    session.state.work_px = 975
    return made


def test_the_head_comes_first_then_the_picture_then_all_else(
    view: DetailView, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, explain = threading.Event(), detail.explain
    monkeypatch.setattr(detail, "explain", lambda *given: go.wait(20) and explain(*given))
    result = session.state.result
    assert result is not None

    async def open_two() -> None:
        session.open_match(2)
        head = view._head.view
        assert (head["rank"], head["last"]) == (2, result.sizes["rank"])
        assert head["score"] == f"{float(result['score'][1]):.3f}"
        assert "waiting" in view._right.css_classes
        assert "waiting" in view._strip.css_classes
        for _ in range(200):
            if view._panes["heat"].object is not None:
                break
            await asyncio.sleep(0.02)
        assert view._panes["heat"].object is not None, "the picture waits for what is worked out"
        assert view._panes["why"].object is None
        assert view._panes["why"].min_height > 60, "its room is not kept"
        go.set()
        for _ in range(200):
            if "waiting" not in view._right.css_classes:
                break
            await asyncio.sleep(0.02)
        assert "waiting" not in view._right.css_classes
        assert all(pane.object is not None for pane in view._panes.values())
        # The next match: its head at once, what stands is marked until the new is there.
        go.clear()
        session.step(1)
        assert view._head.view["rank"] == 3
        assert "stale" in view._right.css_classes
        go.set()
        for _ in range(200):
            if "stale" not in view._right.css_classes:
                break
            await asyncio.sleep(0.02)
        assert dict(view._facts.view["facts"])["Picture"] == str(result["image_id"].values[2])

    asyncio.run(open_two())


def test_a_place_of_the_open_match_changes_no_head(view: DetailView, session: Session) -> None:
    session.open_match(1)
    assert "Rank" in dict(view._facts.view["facts"])
    known = view._known
    assert known is not None
    view._place = (0, 0)
    view._start()
    assert "Score here" in dict(view._facts.view["facts"])
    assert view._known is not known
    assert view._known.matched is known.matched, "the picture was read again"
