"""Strokes become a mask; the mask comes to the grid as in the reference."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfs_panel.errors import QueryError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.search import mask
from vfs_panel.search.mask import grid_mask, paint, paint_both, parts_of, strokes_from_mask, to_grid
from vfs_panel.search.stroke import MODES, Mode, Stroke

PLAIN = Preprocessing(resize_px=None, crop_px=None).geometry(224, 224)
points = st.lists(st.tuples(st.floats(0, 224), st.floats(0, 224)), min_size=1, max_size=6)


def area(alpha: np.ndarray) -> float:
    return float(alpha.sum()) / 255


def test_a_dot_and_a_line_have_their_areas() -> None:
    assert area(paint([Stroke(((100.0, 90.0),), 20)], PLAIN)) == pytest.approx(np.pi * 400, rel=0.01)
    line = paint([Stroke(((60.0, 90.0), (160.0, 90.0)), 10)], PLAIN)
    assert area(line) == pytest.approx(100 * 20 + np.pi * 100, rel=0.01)


def test_a_box_is_exact() -> None:
    alpha = paint([Stroke.box(10, 20, 50, 80)], PLAIN)
    assert (alpha[20:80, 10:50] == 255).all()
    assert area(alpha) == 40 * 60


@given(
    points=points, radius=st.floats(0.5, 40), wider=st.floats(0, 30), earlier=points, mode=st.sampled_from(MODES[:2])
)
@settings(max_examples=60, deadline=None)
def test_erasing_over_a_stroke_leaves_nothing_of_it(
    points: list[tuple[float, float]], radius: float, wider: float, earlier: list[tuple[float, float]], mode: Mode
) -> None:
    drawn, eraser = Stroke(tuple(points), radius, mode), Stroke(tuple(points), radius + wider, "erase")
    assert not any(left.any() for left in paint_both([drawn, eraser], PLAIN))
    # What was there before loses what the eraser covers, and nothing else.
    before = paint_both([Stroke(tuple(earlier), 20)], PLAIN)[0].astype(int)
    taken = paint([Stroke(tuple(points), radius + wider)], PLAIN).astype(int)
    left = paint_both([Stroke(tuple(earlier), 20), eraser], PLAIN)[0]
    assert np.abs(left - np.maximum(before - taken, 0)).max() <= 1


@given(line=points, radius=st.floats(1, 30), soft=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_stroke_that_grows_is_painted_like_one_at_once(
    line: list[tuple[float, float]], radius: float, soft: bool, seed: int
) -> None:
    strength = np.random.default_rng(seed).random(len(line)).tolist() if soft else []
    for n in range(1, len(line) + 1):
        grown = paint([Stroke(tuple(line[:n]), radius, pressures=tuple(strength[:n]))], PLAIN)
    mask._covers.clear()
    assert np.array_equal(grown, paint([Stroke(tuple(line), radius, pressures=tuple(strength))], PLAIN))
    shorter = paint([Stroke(tuple(line[:1]), radius, pressures=tuple(strength[:1]))], PLAIN)
    mask._covers.clear()
    assert np.array_equal(shorter, paint([Stroke(tuple(line[:1]), radius, pressures=tuple(strength[:1]))], PLAIN))


@given(points=points, steps=st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_an_eraser_moved_in_other_steps_leaves_nothing_either(points: list[tuple[float, float]], steps: int) -> None:
    between = [
        (ax + (bx - ax) * i / steps, ay + (by - ay) * i / steps)
        for (ax, ay), (bx, by) in itertools.pairwise([*points, points[-1]])
        for i in range(steps)
    ]
    assert not paint([Stroke(tuple(points), 12), Stroke((*between, points[-1]), 12, "erase")], PLAIN).any()


@given(points=points, radius=st.floats(2, 40), cut=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_a_stroke_in_two_parts_is_the_same(points: list[tuple[float, float]], radius: float, cut: int) -> None:
    cut = min(cut, len(points))
    parts = [Stroke(tuple(points[:cut]), radius), Stroke(tuple(points[cut - 1 :]), radius)]
    assert (paint(parts, PLAIN) == paint([Stroke(tuple(points), radius)], PLAIN)).all()


def test_a_resized_picture_gives_the_same_mask() -> None:
    preprocessing = Preprocessing(resize_px=256, crop_px=(224, 224))
    small = paint([Stroke(((60.0, 70.0), (90.0, 60.0)), 12)], preprocessing.geometry(128, 128))
    large = paint([Stroke(((240.0, 280.0), (360.0, 240.0)), 48)], preprocessing.geometry(512, 512))
    np.testing.assert_allclose(small.astype(float), large.astype(float), atol=1)


def test_outside_the_frame_nothing_is_painted() -> None:
    geometry = Preprocessing(resize_px=256, crop_px=(224, 224)).geometry(256, 256)
    assert not paint([Stroke(((5.0, 5.0),), 4)], geometry).any()


def test_the_grid_keeps_the_painted_share() -> None:
    mask = grid_mask([Stroke.box(32, 64, 128, 160)], PLAIN, (7, 7))
    assert mask.dims == ("y", "x")
    assert float(mask.sum()) * 32 * 32 == pytest.approx(96 * 96, rel=0.02)
    assert float(mask[3, 2]) == pytest.approx(1, abs=0.01)  # the middle of the 3 × 3 covered cells
    assert float(mask[6, 6]) == 0


def test_a_mask_must_be_eight_bit() -> None:
    with pytest.raises(QueryError, match="expected uint8"):
        to_grid(np.zeros((10, 10)), (2, 2))  # type: ignore[arg-type]


modes = st.sampled_from(["include", "exclude", "erase"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(points, st.floats(3, 40), modes), min_size=1, max_size=4))
def test_the_last_stroke_counts(drawn: list) -> None:
    strokes = [Stroke(tuple(line), radius, mode) for line, radius, mode in drawn]
    included, excluded = paint_both(strokes, PLAIN)
    under = paint([Stroke(strokes[-1].points, strokes[-1].radius_px)], PLAIN) == 255
    mode = strokes[-1].mode
    assert (included[under] == (255 if mode == "include" else 0)).all()
    assert (excluded[under] == (255 if mode == "exclude" else 0)).all()
    assert (included.astype(int) + excluded <= 256).all()
    assert np.array_equal(paint(strokes, PLAIN), included)


@given(points)
@settings(max_examples=20, deadline=None)
def test_full_pressure_is_no_pressure_and_less_is_thinner(line: list) -> None:
    plain = paint([Stroke(tuple(line), 12)], PLAIN)
    assert np.array_equal(paint([Stroke(tuple(line), 12, pressures=(1.0,) * len(line))], PLAIN), plain)
    soft = paint([Stroke(tuple(line), 12, pressures=(0.4,) * len(line))], PLAIN)
    assert (soft <= plain).all()
    assert area(soft) < area(plain) or not plain.any()


def test_parts_do_not_touch_and_sum_to_the_whole() -> None:
    mask = np.zeros((8, 8), np.float32)
    mask[0, 0], mask[1, 1], mask[4:7, 4:7], mask[0, 6] = 0.5, 0.2, 1, 0.9
    parts = parts_of(mask)
    assert [int((part > 0).sum()) for part in parts] == [9, 1, 2]
    np.testing.assert_array_equal(sum(parts), mask)
    assert parts_of(np.zeros((3, 3))) == []


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([(112, 112), (224, 224), (56, 80)]))
def test_a_mask_file_is_painted_as_it_is(seed: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.random((7, 7)) > 0.5
    cover = np.kron(coarse, np.ones((shape[0] // 7, shape[1] // 7), bool))
    if not coarse.any():
        return
    strokes = strokes_from_mask(cover, (224, 224))
    painted = paint(strokes, PLAIN)
    wanted = np.kron(coarse, np.ones((32, 32), bool))
    assert (np.abs(painted / 255 - wanted) > 0.5).mean() < 0.03


def test_holes_stay_holes_and_an_empty_mask_is_refused() -> None:
    ring = np.zeros((100, 100), np.uint8)
    ring[20:80, 20:80] = 255
    ring[40:60, 40:60] = 0
    ring[48:52, 48:52] = 255
    painted = paint(strokes_from_mask(ring, (224, 224)), PLAIN)
    assert painted[112, 112] == 255
    assert painted[100, 100] == 0
    assert painted[60, 60] == 255
    assert painted[10, 10] == 0
    with pytest.raises(QueryError, match="covers nothing"):
        strokes_from_mask(np.zeros((5, 5)), (224, 224))
