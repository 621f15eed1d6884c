"""Searches with known answers: the best match of each group, right where it lies on the painted spot."""

import numpy as np
import pandas as pd
import pytest

import vfs_panel as vfs
from vfs_panel.analysis.answered import best_of_groups
from vfs_panel.features import features_in_memory
from vfs_panel.images.demo import photos
from vfs_panel.images.demo.answers import Disc
from vfs_panel.images.demo.build import index_of, places_of


@pytest.fixture(scope="module")
def searched():
    """Crops of two photographs in two domains, by the demo network, with their known answers."""
    plans = [
        photos.PhotoPlan(subject, domain, number)
        for domain in ("night", "photo") for subject in ("cat", "coffee") for number in (0, 1)
    ]  # fmt: skip
    pictures = sorted((photos.render(plan) for plan in plans), key=lambda picture: picture.image_id)
    pixels = {picture.image_id: picture.pixels for picture in pictures}
    images = vfs.ImageDataset(index_of(pictures, boxes=False), pixels.__getitem__, name="some photos")
    store = features_in_memory(vfs.load_network("vfs-demo"), images, ["stage3"])
    return vfs.RegionSearch(store, layer="stage3"), images, places_of(pictures)


def test_every_disc_has_the_best_of_each_group(searched):
    engine, images, places = searched
    row = images.ids.index("photo/cat/00")
    discs = [Disc(row, (112.0, 112.0), 24.0), Disc(images.ids.index("night/coffee/00"), (120.0, 90.0), 20.0)]
    found = best_of_groups(engine, images, places, discs)
    assert found.groupby("disc")["group"].apply(sorted).tolist() == [["night", "photo"]] * 2
    first = found[found["disc"] == 0].set_index("group")
    assert set(first["image"]) == {"photo/cat/00"}
    assert set(first["own"]) == {"photo"}
    assert (first["match"].str.split("/").str[0] == first.index).all()
    assert "photo/cat/00" not in set(first["match"])
    assert (first["same_label"] == first["match"].str.contains("/cat/")).all()
    alone = engine.search(_query(engine, images, discs[0]), k=8)
    best = {domain: alone["score"].values[alone["domain"].values == domain].max() for domain in ("night", "photo")}
    assert first["score"].to_dict() == pytest.approx(best)


def test_the_same_spot_is_right(searched):
    """By night the whole cat is shown again: its eye's best match lies on it, and that is known to exist."""
    engine, images, places = searched
    found = best_of_groups(engine, images, places, [Disc(images.ids.index("photo/cat/00"), (60.0, 83.0), 18.0)])
    night = found.set_index("group").loc["night"]
    assert night["match"] == "night/cat/00"
    assert night["right"] == 1.0


def test_an_answer_that_is_not_searched_does_not_exist(searched):
    engine, images, places = searched
    others = np.array(["coffee" in image_id for image_id in images.ids])
    disc = Disc(images.ids.index("photo/cat/00"), (60.0, 83.0), 18.0)
    found = best_of_groups(engine, images, places, [disc], where=others)
    assert isinstance(found, pd.DataFrame)
    assert found["right"].isna().all()
    assert not found["same_label"].any()


def _query(engine, images, disc):
    from vfs_panel.search.painted import painted_query

    stroke = vfs.Stroke((disc.centre,), radius_px=disc.radius_px)
    return painted_query(engine, images, images.ids[disc.row], stroke)
