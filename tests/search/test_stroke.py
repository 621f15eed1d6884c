"""One ordered stroke history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfs_panel.errors import QueryError
from vfs_panel.search.stroke import Stroke, StrokeHistory

A, B, C = (Stroke(((float(i), 1.0),)) for i in range(3))


def test_undo_redo_and_clear_are_steps() -> None:
    history = StrokeHistory()
    history.append(A)
    history.append(B)
    history.clear()
    assert history.strokes == ()
    history.undo()
    assert history.strokes == (A, B)
    history.undo()
    history.append(C)
    assert history.strokes == (A, C)
    assert not history.can_redo


@given(st.lists(st.sampled_from(["append", "undo", "redo", "clear"])))
def test_undoing_all_and_redoing_all_comes_back(steps: list[str]) -> None:
    history = StrokeHistory()
    for number, step in enumerate(steps):
        if step == "append":
            history.append(Stroke(((float(number), 0.0),)))
        else:
            getattr(history, step)()
    while history.can_redo:
        history.redo()
    last = history.strokes
    while history.can_undo:
        history.undo()
    assert history.strokes == ()
    while history.can_redo:
        history.redo()
    assert history.strokes == last


@pytest.mark.parametrize(
    "wrong", [{"points": ()}, {"points": ((0.0, float("nan")),)}, {"points": ((0.0, 0.0),), "radius_px": 0}]
)
def test_impossible_strokes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(QueryError):
        Stroke(**wrong)  # type: ignore[arg-type]


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(QueryError, match="empty"):
        Stroke.box(10, 10, 10, 20)
