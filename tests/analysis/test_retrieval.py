"""The retrieval benchmark tells a trained network from raw pixels, and its arithmetic is right."""

import numpy as np
import pandas as pd
import pytest

from vfs_panel.analysis import retrieval
from vfs_panel.analysis.baselines import raw_pixels
from vfs_panel.errors import LayerError, QueryError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.demo import camera_traps, photos
from vfs_panel.images.demo.build import index_of, places_of

SUBJECTS = ("astronaut", "cat", "coffee", "gecko", "motorcycle", "print")
LOCATIONS = ("lakeside", "garage", "campus")


def as_dataset(pictures, *, boxes):
    pixels = {p.image_id: p.pixels for p in pictures}
    return ImageDataset(index_of(pictures, boxes=boxes), pixels.__getitem__, name="part"), places_of(pictures)


@pytest.fixture(scope="module")
def some_photos():
    """Six subjects: validation crops by day, and the first crops of the other domains."""
    pictures = [
        photos.render(photos.PhotoPlan(subject, domain, number))
        for subject in SUBJECTS
        for domain in photos.CROPS
        for number in (range(0, 20, 4) if domain == "photo" else range(3))
    ]
    return as_dataset(pictures, boxes=False)


@pytest.fixture(scope="module")
def some_traps():
    """Three locations, one of them held out; two subjects at each, and the empty scene."""
    pictures = [
        camera_traps.render(camera_traps.TrapPlan(place, subject, number))
        for place in LOCATIONS
        for subject in ("cat", "coffee", "empty")
        for number in (0, 1, 4)
    ]
    return as_dataset(pictures, boxes=True)


def measured(network, part, layers, queries=16):
    images, places = part
    tasks = retrieval.make_tasks(images, places, queries)
    rows = pd.DataFrame(retrieval.measure(network, images, places, tasks, layers))
    return rows.set_index(["layer", "query", "pool"])


def test_trained_network_beats_raw_pixels_across_domains(some_photos):
    trained = measured("vfs-demo", some_photos, ["stage3"]).loc[("stage3", "photo")]
    raw = measured(retrieval.RAW, some_photos, ["stage3"]).loc[("stage3", "photo")]
    assert (trained["p1"] >= raw["p1"]).all()
    across = ["night", "sketch", "poster"]
    assert trained.loc[across, "p1"].mean() > raw.loc[across, "p1"].mean() + 0.25
    assert trained["p1"].between(0, 1).all()
    assert trained["best"].between(-1, 1).all()


def test_pools_of_camera_traps(some_traps):
    rows = measured("vfs-demo", some_traps, ["stage4"]).loc["stage4"]
    assert set(rows.index.get_level_values("query")) == {
        "subject",
        "background",
        "held-out subject",
        "held-out background",
    }
    assert rows.loc[("subject", "all"), "p1"] > 0.5
    assert rows.loc[("subject", "all"), "queries"] == 8
    # A background is shown at its own location only, so elsewhere nothing can be right, and that is no failure.
    assert rows.loc[("background", "other"), "queries"] == 0
    assert np.isnan(rows.loc[("background", "other"), "p1"])
    assert rows.loc[("background", "other"), "best"] < 1
    assert 0 <= rows.loc[("subject", "other"), "auroc"] <= 1


def test_a_query_finds_itself_in_an_identical_picture(some_photos):
    """Two equal pictures: raw pixels must score 1 there, at the very same window, and never count the query's own."""
    images, places = some_photos
    first = images.ids[0]
    pixels = np.stack([images.rgb(first)] * 2 + [images.rgb(images.ids[-1])])
    table = images.table.loc[[first, first, images.ids[-1]]].set_axis(["a", "b", "c"])
    twins = ImageDataset(table, dict(zip("abc", pixels, strict=True)).__getitem__, name="twins")
    row = places.rows([first, first, images.ids[-1]])
    answers = type(places)(
        ("a", "b", "c"), places.names, places.place[row], places.matrix[row], places.mask[row], (), places.origins
    )
    scan = retrieval._Scan(twins, answers, raw_pixels(twins, 8))
    disc = retrieval.Disc(0, (100.0, 90.0), 20.0)
    score, windows, corner = scan.best(disc)
    assert score[1] == pytest.approx(1, abs=1e-5)
    assert tuple(windows[1]) == corner
    outcome = scan.outcomes(disc, {"all": np.ones(3, bool)})["all"]
    assert (outcome.at_1, outcome.at_10, outcome.label) == (1, 1, 1)


def test_a_part_of_a_set_keeps_its_answers(some_photos):
    images, places = some_photos
    part, known = retrieval._part(images, places, 3)
    assert part.ids == images.ids[::3] == list(known.ids)
    where = np.array([[100.0, 60.0]])
    for row, image in enumerate(part.ids):
        expected = places.at(places.rows([image]), where)
        found = known.at([row], where)
        assert found[0] == expected[0]
        np.testing.assert_array_equal(found[1], expected[1])


def test_precision_counts_only_answers_that_exist():
    score = np.array([9.0, 0.8, 0.9, 0.7, 0.1], np.float32)
    right = np.array([False, True, False, True, False])
    possible = np.array([False, True, False, True, True])
    label = np.array([True, True, False, False, False])
    pool = np.array([False, True, True, True, True])
    outcome = retrieval._outcome(score, right, possible, label, pool)
    assert outcome == retrieval.Outcome(at_1=0.0, at_10=2 / 3, label=0.0, best=pytest.approx(0.9))
    nowhere = retrieval._outcome(score, right & False, possible & False, label, pool)
    assert np.isnan(nowhere.at_1)
    assert nowhere.label == 0.0


def test_auroc_and_errors():
    assert retrieval.auroc([3, 4], [1, 2]) == 1
    assert retrieval.auroc([1, 2], [1, 2]) == 0.5
    mean, error = retrieval.mean_and_error([0, 1, 1, 0])
    assert mean == 0.5
    assert error == pytest.approx(np.sqrt(1 / 3) / 2)
    assert np.isnan(retrieval.mean_and_error([])[0])


def test_table_has_a_line_per_network_and_layer(some_photos):
    rows = measured(retrieval.RAW, some_photos, ["stage3", "stage4"], queries=8).reset_index()
    text = retrieval.table(rows.assign(dataset="photos", network=retrieval.RAW))
    lines = [line for line in text.splitlines() if line.strip().startswith(retrieval.RAW)]
    assert len(lines) == 2
    p1 = rows.loc[(rows["layer"] == "stage3") & (rows["pool"] == "night"), "p1"].item()
    assert f"{p1:.2f} ±" in lines[0]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [({"layers": ["stage9"]}, LayerError, "stage9"), ({"queries": 3}, QueryError, "at least 8")],
)
def test_bad_options_are_told(options, error, says):
    with pytest.raises(error, match=says):
        retrieval.bench(**options)
