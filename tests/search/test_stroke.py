"""One ordered stroke history."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfs_panel.errors import QueryError
from vfs_panel.search.stroke import MODES, Stroke, StrokeHistory

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


LINE = st.builds(
    lambda points, radius, mode, soft: Stroke(
        tuple(points), radius, mode, pressures=tuple(0.5 for _ in points) if soft else ()
    ),
    st.lists(st.tuples(st.floats(-50, 300), st.floats(-50, 300)), min_size=1, max_size=6),
    st.floats(0.5, 80), st.sampled_from(MODES), st.booleans(),
)  # fmt: skip


@given(LINE)
def test_a_stroke_comes_back_from_json(stroke: Stroke) -> None:
    assert Stroke.from_dict(json.loads(json.dumps(stroke.to_dict()))) == stroke
    box = Stroke.box(1, 2, 3, 4, mode="exclude")
    assert Stroke.from_dict(box.to_dict()) == box


@pytest.mark.parametrize(
    "values",
    [None, 3, {}, {"points": 1}, {"points": [[1]]}, {"points": [[1, "x"]]}, {"points": []},
     {"points": [[1, 2]], "x": 1},
     {"points": [[1, float("nan")]]}, {"points": [[1, 2]], "mode": "burn"}, {"points": [[1, 2]], "radius_px": -1},
     {"points": [[1, 2]], "pressures": [0.5, 0.5]}, {"points": [[1, 2]], "pressures": [2]},
     {"points": [[1, 2]] * 30_000}],
)  # fmt: skip
def test_what_is_no_stroke_is_refused(values: object) -> None:
    with pytest.raises(QueryError):
        Stroke.from_dict(values)
