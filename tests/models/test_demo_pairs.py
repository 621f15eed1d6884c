"""Training pairs share a place: both of a pair's points show the same spot of it."""

import numpy as np
import pytest
import torch

from vfs_panel.images.demo import camera_traps, photos
from vfs_panel.images.demo.picture import transform
from vfs_panel.models.demo_pairs import KINDS, Pairs


@pytest.fixture(scope="module")
def pictures():
    crops = [photos.render(photos.PhotoPlan(s, "photo", k)) for s in ("cat", "coins") for k in range(3)]
    traps = [
        camera_traps.render(camera_traps.TrapPlan(place, subject, 1))
        for place in ("lakeside", "garage")
        for subject in ("cat", "coin")
    ]
    return [*crops, *traps]


def test_both_points_show_the_same_spot(pictures, monkeypatch):
    seen = []
    render = Pairs._render
    monkeypatch.setattr(
        Pairs, "_render", lambda self, rows, maps: seen.append((rows, maps)) or render(self, rows, maps)
    )
    pairs = Pairs(pictures, side_px=96, points=6, seed=3)
    batch = pairs.batch(24)
    rows, maps = seen[0]
    assert set(batch.kind.tolist()) == set(range(len(KINDS)))
    for shift, points in ((0, batch.at_a), (1, batch.at_b)):
        views, at = batch.row.numpy() + shift, points.numpy().astype(float)
        place, where = pairs.places.at(rows[views], transform(maps[views], at))
        np.testing.assert_array_equal(place, batch.place)
        np.testing.assert_allclose(where, batch.where, atol=1e-3)
        assert at.min() >= 4
        assert at.max() <= 92


def test_views_of_a_pair_are_two_pictures_with_their_labels(pictures, monkeypatch):
    seen = []
    monkeypatch.setattr(Pairs, "_render", lambda self, rows, maps: seen.append(rows) or torch.zeros(len(rows)))
    pairs = Pairs(pictures, side_px=96, points=6, seed=3)
    batch = pairs.batch(24)
    assert (seen[0][::2] != seen[0][1::2]).all()
    assert [pairs.labels[i] for i in batch.labels.tolist()] == [pictures[i].label for i in seen[0]]


def test_a_view_without_warp_is_the_picture(pictures):
    """The identity map cut out of the middle must show the middle: no half-pixel shift, no transpose."""
    pairs = Pairs(pictures, side_px=224, points=6, seed=0)
    views = pairs._render(np.arange(len(pictures)), np.tile(np.eye(2, 3), (len(pictures), 1, 1)))
    for view, picture in zip(views.numpy(), pictures, strict=True):
        grey, true = view.mean(0), picture.pixels.mean(2)
        assert np.corrcoef(grey.ravel(), true.ravel())[0, 1] > 0.8
        shifted = np.corrcoef(grey[:, 2:].ravel(), true[:, :-2].ravel())[0, 1]
        assert np.corrcoef(grey.ravel(), true.ravel())[0, 1] > shifted


def test_same_seed_draws_the_same_batches(pictures):
    one, two, other = (Pairs(pictures, side_px=64, points=4, seed=seed) for seed in (1, 1, 2))
    for _ in range(2):
        a, b = one.batch(4), two.batch(4)
        for name in a.__dataclass_fields__:
            assert torch.equal(getattr(a, name), getattr(b, name))
    assert not torch.equal(a.views, other.batch(4).views)
