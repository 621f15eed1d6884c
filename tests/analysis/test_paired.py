"""Drawings searched under several networks: scores by picture, the best of them, and intervals that cover the truth."""

from pathlib import Path

import numpy as np
import pytest

import vfs_panel as vfs
from vfs_panel.analysis.paired import best, mean_interval, scores_of
from vfs_panel.errors import QueryError

DRAWINGS = [("photo/cat/0.png", [vfs.Stroke.box(8, 8, 40, 40)]), ("photo/dog/1.png", [vfs.Stroke(((36, 32),))])]


def test_every_picture_is_scored_for_every_drawing_but_its_own(kept_store: Path, picture_folder: Path) -> None:
    images = vfs.ImageDataset.from_folder(picture_folder)
    engine = vfs.RegionSearch(vfs.open_store(kept_store), layer="stage3")
    scores = scores_of(engine, images, DRAWINGS)
    assert scores.dims == ("drawing", "image")
    assert scores["painted"].values.tolist() == [image for image, _ in DRAWINGS]
    assert scores["painted_label"].values.tolist() == ["cat", "dog"]
    assert dict(zip(scores["image"].values, scores["label"].values, strict=True))["sketch/house/0.png"] == "house"
    for (image, _), row in zip(DRAWINGS, scores, strict=True):
        assert row["image"].values[np.isnan(row.values)].tolist() == [image]
    flags = best(scores, 3)
    assert flags.sum("image").values.tolist() == [3, 3]
    for row, chosen in zip(scores.values, flags.values, strict=True):
        assert row[chosen].min() >= np.nanmax(row[~chosen])
    with pytest.raises(QueryError, match="no drawing"):
        scores_of(engine, images, [])


def test_an_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    samples = [mean_interval(rng.normal(3, 1, 40), resamples=400, seed=i) for i in range(200)]
    assert 0.88 <= np.mean([found.low <= 3 <= found.high for found in samples]) <= 0.99
    assert all(found.low <= found.mean <= found.high for found in samples)


def test_values_of_one_unit_count_as_one() -> None:
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 1, 10)
    values, units = np.repeat(centres, 20), np.repeat(np.arange(10), 20)
    alone, together = mean_interval(values), mean_interval(values, units=units)
    assert together.mean == pytest.approx(alone.mean)
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_what_is_missing_is_left_out_and_too_little_is_said() -> None:
    assert mean_interval([1.0, np.nan, 3.0]).n == 2
    single = mean_interval([-0.25])
    assert (single.mean, np.isnan(single.low)) == (-0.25, True)
    assert str(mean_interval([-0.5, -0.5])) == "−0.50 (−0.50 to −0.50)"
    with pytest.raises(QueryError, match="no value"):
        mean_interval([np.nan])
