"""Strokes become a mask; the mask comes to the grid as in the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfs_panel.errors import QueryError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.search.mask import grid_mask, paint, to_grid
from vfs_panel.search.stroke import Stroke

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


@given(points=points, radius=st.floats(2, 40))
@settings(max_examples=40, deadline=None)
def test_erasing_the_same_stroke_leaves_almost_nothing(points: list[tuple[float, float]], radius: float) -> None:
    drawn = Stroke(tuple(points), radius)
    erased = paint([drawn, Stroke(tuple(points), radius, "erase")], PLAIN)
    assert erased.max() <= 128  # only the soft edge: half covered, half taken away
    assert not paint([drawn, Stroke(tuple(points), radius + 3, "erase")], PLAIN).any()


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
