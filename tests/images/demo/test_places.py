"""A place map is exact: what is drawn at a known place is found where the map says, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vfs_panel.images.demo import camera_traps, photos
from vfs_panel.images.demo.build import places_of
from vfs_panel.images.demo.cut_outs import CutOut
from vfs_panel.images.demo.picture import SIZE_PX, Layer, Picture, invert, transform
from vfs_panel.images.demo.places import Places

BLANK = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)


def middle_of_light(pixels):
    """The centre of gravity x, y of what is brighter than the rest, in pixels with edges at whole numbers."""
    light = pixels.astype(float).sum(2)
    light = np.clip(light - np.percentile(light, 90) - 120, 0, None)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] + 0.5
    return np.array([(x * light).sum(), (y * light).sum()]) / light.sum()


def marked(height, width, x, y, radius=7):
    rows, columns = np.mgrid[:height, :width] + 0.5
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[np.hypot(columns - x, rows - y) < radius] = 255
    return picture


finite = st.floats(-100, 100)


@given(arrays(float, (2, 3), elements=finite), arrays(float, (5, 2), elements=finite))
def test_inverse_undoes_a_map(matrix, points):
    matrix = matrix + np.eye(2, 3) * 300  # far from singular
    np.testing.assert_allclose(transform(invert(matrix), transform(matrix, points)), points, atol=1e-6)


@pytest.mark.parametrize("domain", ["photo", "poster"])
def test_mark_on_a_photograph_is_found_in_its_crops(monkeypatch, domain):
    spot = (310.0, 205.0)
    monkeypatch.setattr(photos, "load_sources", lambda: dict.fromkeys(photos.SUBJECTS, marked(400, 600, *spot)))
    pictures = [photos.render(photos.PhotoPlan("cat", domain, k)) for k in range(12)]
    assert any(p.layers[0].matrix[0, 0] < 0 for p in pictures), "no crop is flipped"
    xy, visible = Places.of(pictures, {}).find(0, spot, margin_px=14)
    assert visible.sum() >= 5
    if domain == "photo":
        for i in np.flatnonzero(visible):
            assert np.hypot(*(middle_of_light(pictures[i].pixels) - xy[i])) < 0.6
    else:  # inks are no light: the mark's own ink must differ from the ink beside it
        for i in np.flatnonzero(visible):
            x, y = xy[i].astype(int)
            mark, beside = pictures[i].pixels[y, x], pictures[i].pixels[y, (x + SIZE_PX // 2) % SIZE_PX]
            assert np.abs(mark.astype(int) - beside).max() > 30


def test_mark_on_a_cut_out_is_found_where_it_is_pasted(monkeypatch):
    alpha = np.ones((90, 120))
    cut = CutOut(marked(90, 120, 70, 30, radius=9), alpha, (200, 100), "somewhere", (60, 110))
    monkeypatch.setattr(camera_traps, "cut_outs", lambda: dict.fromkeys(camera_traps.NAMES, cut))
    monkeypatch.setattr(camera_traps, "_day", lambda location: np.full((264, 264, 3), 0.2))
    pictures = [camera_traps.render(camera_traps.TrapPlan("lakeside", "cat", k)) for k in range(12)]
    assert {bool(np.linalg.det(p.layers[0].matrix[:, :2]) < 0) for p in pictures} == {True, False}
    places = Places.of(pictures, {"cat": (alpha > 0.5, (200, 100))})
    xy, visible = places.find(places.names.index("somewhere"), (270.0, 130.0), margin_px=14)
    assert visible.sum() >= 6
    for i in np.flatnonzero(visible):
        if not pictures[i].night:  # the flash is brighter in the middle, which draws the centre of light there
            assert np.hypot(*(middle_of_light(pictures[i].pixels) - xy[i])) < 1.0


def test_box_of_a_pasted_subject_is_tight():
    picture = next(
        p for k in range(12) if not (p := camera_traps.render(camera_traps.TrapPlan("dunes", "coin", k))).night
    )
    x0, y0, x1, y1 = picture.box
    places = places_of([picture])
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] + 0.5
    place, _ = places.at(0, np.stack([x.ravel(), y.ravel()], 1))
    on = (place == places.names.index("coins")).reshape(SIZE_PX, SIZE_PX)
    rows, columns = np.flatnonzero(on.any(1)), np.flatnonzero(on.any(0))
    assert np.abs(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) - (x0, y0, x1, y1)).max() <= 2


@pytest.fixture
def covered():
    """A scene with a square cut-out at 100..140, of which a corner is missing; and the scene alone."""
    mask = np.ones((40, 40), bool)
    mask[:10, :10] = False
    shift = np.array([[1.0, 0, -100], [0, 1.0, -100]])
    scene = Layer("scene", np.eye(2, 3))
    pictures = [
        Picture("a/b/00", BLANK, "b", "a", "val", (Layer("source", shift, "square"), scene)),
        Picture("a/b/01", BLANK, "b", "a", "val", (scene,)),
    ]
    return Places.of(pictures, {"square": (mask, (0, 0))})


def test_cut_out_covers_what_lies_below(covered):
    points = np.array([[120.0, 120.0], [105.0, 105.0], [50.0, 50.0]])
    names = [covered.names[i] for i in covered.at(0, points)[0]]
    assert names == ["source", "scene", "scene"]
    scene = covered.names.index("scene")
    assert covered.find(scene, (120.0, 120.0))[1].tolist() == [False, True]
    assert covered.find(scene, (105.0, 105.0))[1].tolist() == [True, True]
    xy, visible = covered.find(covered.names.index("source"), (20.0, 20.0))
    assert visible.tolist() == [True, False]
    np.testing.assert_allclose(xy[0], (120.0, 120.0))


def test_places_survive_a_file(covered, tmp_path):
    covered.save(tmp_path / "places.npz")
    read = Places.load(tmp_path / "places.npz")
    assert (read.ids, read.names) == (covered.ids, covered.names)
    for name in ("place", "matrix", "mask", "origins"):
        np.testing.assert_array_equal(getattr(read, name), getattr(covered, name))
    np.testing.assert_array_equal(read.masks[0], covered.masks[0])
    assert read.rows(["a/b/01", "a/b/00"]).tolist() == [1, 0]
