import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vfs_panel.plots.outline import lit_cells, outline
from vfs_panel.plots.theme import LIGHT
from vfs_panel.plots.tiles import Region, Tiles, cells, edges, place_tiles, rings, veil

ONE = Tiles(np.array([30]), np.array([10]), 101, 77)
weights = hnp.arrays(np.float32, (3, 4), elements=st.sampled_from([0, 0.25, 0.5, 1]))


def paint(columns: dict, tile: Tiles) -> np.ndarray:
    """Rectangles -> alpha of each pixel of the first tile; fails where two overlap."""
    alpha = np.zeros((tile.height, tile.width))
    hits = np.zeros(alpha.shape, int)
    for left, top, right, bottom, a in zip(*columns.values(), strict=True):
        assert all(float(v).is_integer() for v in (left, top, right, bottom))
        at = np.s_[
            int(top) - tile.top[0] : int(bottom) - tile.top[0], int(left) - tile.left[0] : int(right) - tile.left[0]
        ]
        alpha[at] += a
        hits[at] += 1
    assert hits.max(initial=0) <= 1
    return alpha


def on_pixels(grid: np.ndarray, tile: Tiles) -> np.ndarray:
    """Cells -> the value of each pixel of a tile."""
    down = np.searchsorted(edges(grid.shape[0], tile.height), np.arange(tile.height), "right") - 1
    across = np.searchsorted(edges(grid.shape[1], tile.width), np.arange(tile.width), "right") - 1
    return grid[np.ix_(down, across)]


@given(weights, st.integers(0, 4), st.integers(0, 5))
def test_veil_dims_every_pixel_by_what_was_not_painted(mask: np.ndarray, y: int, x: int) -> None:
    whole = np.zeros((7, 9))
    whole[y : y + 3, x : x + 4] = mask
    got = paint(veil(ONE, [y], [x], Region(mask, (7, 9)), LIGHT), ONE)
    assert got == pytest.approx(LIGHT.veil_alpha * (1 - on_pixels(whole, ONE)), abs=1 / 500)


@given(hnp.arrays(np.float32, (7, 9), elements=st.sampled_from([0, 0.25, 0.5, 1])))
def test_cells_cover_every_pixel_by_its_weight(mask: np.ndarray) -> None:
    got = paint(cells(ONE, Region(mask, mask.shape)), ONE)
    assert got == pytest.approx(on_pixels(mask.astype(float), ONE), abs=1 / 500)


def test_a_box_needs_few_rectangles() -> None:
    box = Region(np.ones((5, 6), np.float32), (28, 28))
    assert len(veil(ONE, [3], [4], box, LIGHT)["left"]) == 4
    assert len(cells(ONE, Region(np.ones((28, 28), np.float32), (28, 28)))["left"]) == 1


def test_a_picture_that_was_not_searched_is_not_dimmed() -> None:
    region = Region(np.ones((2, 2), np.float32), (7, 9))
    assert len(veil(ONE, [-1], [-1], region, LIGHT)["left"]) == 0
    assert rings(ONE, [-1], [-1], region, inset_px=2) == {"xs": [], "ys": []}


def test_ring_is_the_outline_at_the_window_and_stays_inside_the_picture() -> None:
    mask = np.array([[0.1, 1, 0.4], [1, 1, 1]], np.float32)
    two = Tiles(np.array([0, 200]), np.array([0, 50]), 90, 70)
    ring = rings(two, [0, 5], [0, 6], Region(mask, (7, 9)), inset_px=2)
    (xs,), (ys,) = ring["xs"], ring["ys"]
    parts = np.split(np.column_stack([xs, ys]), np.flatnonzero(np.isnan(xs)))[:-1]
    (loop,) = outline(lit_cells(mask))
    assert len(parts) == 2
    first, second = parts[0], parts[1][1:]
    assert first == pytest.approx(np.clip(loop * 10, 2, [88, 68]))
    assert second == pytest.approx(np.clip((loop + np.array([6, 5])) * 10, 2, [88, 68]) + np.array([200, 50]))


@given(st.integers(1, 60), st.integers(1, 600))
def test_edges_tile_a_length(n_cells: int, length_px: int) -> None:
    at = edges(n_cells, length_px)
    assert (at[0], at[-1]) == (0, length_px)
    assert np.ptp(np.diff(at)) <= 1


@given(st.integers(1, 40), st.integers(1, 12), st.integers(300, 1400))
def test_tiles_fill_the_width_and_do_not_overlap(n: int, columns: int, width_px: int) -> None:
    side = (width_px - 8 * (columns - 1)) // columns
    tiles = place_tiles(n, columns=columns, tile=(side, side), width_px=width_px, pitch_px=side + 30)
    assert tiles.left.min() == 0
    if n >= columns > 1:
        assert tiles.left.max() + side == width_px
    for row in range(-(-n // columns)):
        left = tiles.left[row * columns : (row + 1) * columns]
        assert (np.diff(left) >= side + 7).all()
        assert (tiles.top[row * columns : (row + 1) * columns] == row * (side + 30)).all()
