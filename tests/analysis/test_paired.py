"""Drawings searched under several networks: scores by picture, the best of them, and intervals that cover the truth."""

from pathlib import Path

import numpy as np
import pytest

import vfs_panel as vfs
from vfs_panel.analysis.paired import best, scores_of
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
