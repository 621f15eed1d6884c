"""Right answers: the same spot counts, another spot, another place and the query's own picture do not."""

import numpy as np
import pytest

from vfs_panel.images.demo.answers import Disc, random_discs, right_matches
from vfs_panel.images.demo.picture import SIZE_PX, Layer, Picture
from vfs_panel.images.demo.places import Places

BLANK = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)


def crop(place, x0, y0, scale=1.0):
    layer = Layer(place, np.array([[scale, 0, x0], [0, scale, y0]]))
    return Picture(f"photo/{place}/{x0:02d}", BLANK, place, "photo", "val", (layer,))


@pytest.fixture
def places():
    # Rows 0 and 1 show the same photograph, shifted by 32 px; row 2 another; row 3 a part without the spot.
    return Places.of([crop("cat", 0, 0), crop("cat", 32, 0), crop("dog", 0, 0), crop("cat", 300, 300)], {})


def judge(places, window):
    disc = Disc(0, (120.0, 104.0), 16.0)  # its window on cells of 16 px starts at column 6, row 5
    return right_matches(places, disc, corner=(6, 5), windows=np.array([window] * 4), stride_px=16)


def test_same_spot_is_right_and_known_to_exist(places):
    right, possible = judge(places, (4, 5))  # 32 px further left
    assert right.tolist() == [False, True, False, False]
    assert possible.tolist() == [False, True, False, False]


@pytest.mark.parametrize(("window", "hit"), [((5, 5), True), ((4, 6), True), ((6, 5), False), ((4, 7), False)])
def test_reach_is_the_radius_and_half_a_cell(places, window, hit):
    assert judge(places, window)[0][1] == hit  # 24 px: one cell off is right, two are not


def test_coarser_picture_sets_the_reach():
    places = Places.of([crop("cat", 0, 0), crop("cat", 0, 0, scale=2.0)], {})
    disc = Disc(0, (120.0, 104.0), 16.0)
    windows = np.array([(0, 0), (5, 3)])  # middle at picture (104, 72), place (208, 144): 97 px off, reach 48
    assert not right_matches(places, disc, corner=(6, 5), windows=windows, stride_px=16)[0][1]
    windows = np.array([(0, 0), (3, 2)])  # picture (72, 56), place (144, 112): 25 px off
    assert right_matches(places, disc, corner=(6, 5), windows=windows, stride_px=16)[0][1]


def test_discs_lie_where_they_should():
    mask = np.ones((60, 60), bool)
    scene, at = Layer("scene", np.eye(2, 3)), np.array([[1.0, 0, -80], [0, 1.0, -80]])
    picture = Picture("a/b/00", BLANK, "b", "a", "val", (Layer("source", at, "box"), scene))
    places = Places.of([picture, Picture("a/empty/00", BLANK, "empty", "a", "val", (scene,))], {"box": (mask, (0, 0))})
    boxes = np.array([[80, 80, 140, 140], [np.nan] * 4])
    on = random_discs(places, [0, 1], boxes, count=30, part="subject", seed=1)
    assert {disc.row for disc in on} == {0}
    for disc in on:
        assert 80 <= min(disc.centre) <= max(disc.centre) <= 140
    off = random_discs(places, [0, 1], boxes, count=30, part="background", seed=1)
    assert {disc.row for disc in off} == {0, 1}
    for disc in off:
        gap = np.hypot(*(np.clip(disc.centre, 80, 140) - disc.centre))
        assert disc.row == 1 or gap >= disc.radius_px + 12
    assert on == random_discs(places, [0, 1], boxes, count=30, part="subject", seed=1)
