from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.plots.query import cell_lines, layer_view, layer_view_data, outside_frame

from .conftest import GRID, MASK

FRAME = np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8)


def painted() -> np.ndarray:
    whole = np.zeros(GRID, np.float32)
    whole[2:4, 3:6] = MASK
    return whole


def test_cells_are_as_strong_as_their_weight() -> None:
    cells = layer_view_data(painted(), size_px=(90, 70))["cells"]
    assert sorted(set(np.round(cells["fill_alpha"], 2))) == [0.2, 0.34, 0.5, 0.9, 1.0]
    assert (cells["left"].min(), cells["right"].max()) == (30, 60)
    assert (cells["top"].min(), cells["bottom"].max()) == (20, 40)


def test_nothing_painted_shows_the_grid_alone() -> None:
    data = layer_view_data(np.zeros(GRID))
    assert len(data["cells"]["left"]) == len(data["ring"]["xs"]) == 0
    assert len(data["grid"]["left"]) == GRID[0] + GRID[1] - 2


def test_layer_view_keeps_the_pictures_shape(draw: Callable[[Any], Any]) -> None:
    figure = draw(layer_view(FRAME, painted(), size_px=120))
    assert (figure.width - 8, figure.height - 8) == (120, 93)
    draw(layer_view(FRAME, np.zeros(GRID)))


@given(st.integers(40, 600), st.integers(40, 600), st.sampled_from([(256, (224, 224)), (None, None), (64, None)]))
def test_frame_and_its_outside_make_the_whole_picture(height: int, width: int, how: Any) -> None:
    geometry = Preprocessing(resize_px=how[0], crop_px=how[1]).geometry(height, width)
    x0, y0, x1, y1 = geometry.frame
    boxes = [(x0, y0, x1, y1), *outside_frame(geometry)]
    assert sum((box[2] - box[0]) * (box[3] - box[1]) for box in boxes) == pytest.approx(height * width)


def test_cell_lines_are_where_the_geometry_puts_cells() -> None:
    geometry = Preprocessing().geometry(300, 400)
    lines = cell_lines(geometry, (7, 7))
    assert len(lines) == 16
    x0, y0, x1, y1 = geometry.cell_box(2, 3, 1, 1, grid=(7, 7))
    assert lines[3][:, 0] == pytest.approx([x0, x0])
    assert lines[4][:, 0] == pytest.approx([x1, x1])
    assert lines[8 + 2][:, 1] == pytest.approx([y0, y0])
    assert lines[8 + 3][:, 1] == pytest.approx([y1, y1])
