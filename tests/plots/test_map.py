"""The map: all points inside, on one scale, and the lasso holds what it is drawn round."""

import numpy as np
import pytest

from vfs_panel.analysis.embedding import Embedding
from vfs_panel.plots.map import MapAxes, inside, map_data, patch_map
from vfs_panel.plots.theme import DARK

POINTS = np.random.default_rng(0).normal(size=(50, 2)) * [3, 1]
FOUND = Embedding(np.arange(50), POINTS, "pca", (0.5, 0.2))


def data(axes: MapAxes, **more: object) -> dict:
    ids = [f"p{i}" for i in range(50)]
    options = {
        "ids": ids, "scores": np.linspace(1, 0, 50).tolist(), "labels": ["cat"] * 50, "domains": ["photo"] * 50,
        "groups": ["a", "b"] * 25, "colours": {"a": "#111111", "b": "#222222"}, "matched": np.arange(50) < 12,
        "chosen": np.ones(50, bool), "urls": {"p0": "data:,"}, "theme": DARK, **more,
    }  # fmt: skip
    return map_data(FOUND, axes, **options)


@pytest.mark.parametrize("size", [(992, 460), (358, 358)])
def test_points_lie_inside_on_one_scale(size):
    axes = MapAxes.of(FOUND, width_px=size[0], height_px=size[1])
    places = axes.place(POINTS)
    assert (places >= 0).all()
    assert (places <= size).all()
    across, up = np.ptp(places, axis=0) / np.ptp(POINTS, axis=0)
    assert across == pytest.approx(up)
    columns = data(axes, picked="p3", query=POINTS[:1])
    assert len(columns["matches"]["col"]) == 12
    assert len(columns["points"]["col"]) == 38
    assert columns["names"]["text"] == ["a", "b"]
    assert columns["picked"]["col"] == pytest.approx(places[3:4, 0])
    patch_map(columns, axes, theme=DARK)


def test_a_lasso_holds_what_it_is_drawn_round():
    places = np.array([[10.0, 10.0], [50.0, 50.0], [90.0, 10.0]])
    assert inside(places, [0, 60, 60, 0], [0, 0, 60, 60]).tolist() == [True, True, False]
    assert not inside(places, [0, 1], [0, 1]).any()


def test_what_is_not_chosen_fades():
    axes = MapAxes.of(FOUND, width_px=600, height_px=400)
    alpha = data(axes, chosen=np.arange(50) < 20)["points"]["fill_alpha"]
    assert sorted(set(np.asarray(alpha).tolist())) == [0.15, 0.75]
