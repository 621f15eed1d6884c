from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vfs_panel.plots.outline import lit_cells, outline

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9))


def signed_area(loop: np.ndarray) -> float:
    x, y = loop[:, 0], loop[:, 1]
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def fill(loops: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Which cells' middles lie inside, by counting crossings to the left."""
    inside = np.zeros(shape, bool)
    for row in range(shape[0]):
        for loop in loops:
            for (x0, y0), (x1, y1) in pairwise(loop):
                if x0 == x1 and min(y0, y1) < row + 0.5 < max(y0, y1):
                    inside[row] ^= np.arange(shape[1]) + 0.5 > x0
    return inside


@given(masks)
def test_outline_encloses_just_the_cells(mask: np.ndarray) -> None:
    loops = outline(mask)
    assert (fill(loops, mask.shape) == mask).all()
    assert sum(signed_area(loop) for loop in loops) == mask.sum()


@given(masks)
def test_outline_is_as_long_as_the_cells_free_sides(mask: np.ndarray) -> None:
    padded = np.pad(mask, 1).astype(int)
    free = abs(np.diff(padded, axis=0)).sum() + abs(np.diff(padded, axis=1)).sum()
    assert sum(abs(np.diff(loop, axis=0)).sum() for loop in outline(mask)) == free


@given(masks)
def test_loops_are_closed_and_have_corners_only(mask: np.ndarray) -> None:
    for loop in outline(mask):
        assert (loop[0] == loop[-1]).all()
        steps = np.sign(np.diff(loop, axis=0))
        assert (abs(steps).sum(1) == 1).all()
        turns = np.vstack([steps, steps[:1]])
        assert (abs(np.diff(turns, axis=0)).sum(1) == 2).all()


def test_cells_that_touch_at_a_corner_get_their_own_loops() -> None:
    assert len(outline([[1, 0], [0, 1]])) == 2
    assert len(outline([[0, 1], [1, 0]])) == 2


def test_a_hole_runs_the_other_way() -> None:
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert sorted(signed_area(loop) for loop in outline(ring)) == [-1, 9]


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32)))
def test_something_is_lit_as_soon_as_something_is_painted(weights: np.ndarray) -> None:
    lit = lit_cells(weights)
    assert lit.any() == (weights > 0).any()
    assert not lit[weights == 0].any()
    if (weights >= 1 / 3).any():
        assert (lit == (weights >= 1 / 3)).all()
    else:
        assert lit.flat[weights.argmax()] or weights.max() == 0
