"""A painted query is that of the mask, in one call, for pictures of the set and for others."""

from pathlib import Path

import numpy as np
import pytest

import vfs_panel as vfs
from vfs_panel.errors import ImageError, QueryError
from vfs_panel.models import Extractor, load_network
from vfs_panel.search.mask import grid_mask
from vfs_panel.search.painted import box_of_shares, on_grid, painted_query


@pytest.fixture(scope="module")
def engine(kept_store: Path) -> vfs.RegionSearch:
    return vfs.RegionSearch(vfs.open_store(kept_store), layer="stage3")


@pytest.fixture(scope="module")
def images(picture_folder: Path) -> vfs.ImageDataset:
    return vfs.open_images(picture_folder)


def test_it_is_the_query_of_the_mask(engine: vfs.RegionSearch, images: vfs.ImageDataset) -> None:
    box, image = vfs.Stroke.box(10, 12, 40, 50), images.ids[3]
    mask = grid_mask([box], engine.spec.preprocessing.geometry(64, 72), engine.spec.grid[1:])  # 64 high, 72 wide
    found, expected = painted_query(engine, images, image, box), engine.query(image, mask)
    assert (found.image_id, found.box) == (image, expected.box)
    np.testing.assert_array_equal(found.features, expected.features)
    np.testing.assert_array_equal(on_grid(found), mask)


def test_a_picture_from_elsewhere_finds_its_twin(engine: vfs.RegionSearch, images: vfs.ImageDataset) -> None:
    """The same picture, said to be from elsewhere, is searched for without leaving itself out."""
    image, box = images.ids[0], box_of_shares(images, images.ids[0], 0.25, 0.25, 0.75, 0.75)
    with Extractor(load_network("vfs-demo"), ["stage3"]) as extractor:
        query = painted_query(engine, images, image, box, extractor=extractor)
    assert query.image_id is None
    best = engine.search(query, k=1)
    assert best["image_id"].item() == image
    assert best["score"].item() > 0.999
    assert engine.search(painted_query(engine, images, image, box), k=1)["image_id"].item() != image


def test_shares_are_of_width_and_height(images: vfs.ImageDataset) -> None:
    assert box_of_shares(images, images.ids[0], 0.25, 0.5, 0.75, 1.0) == vfs.Stroke.box(18, 32, 54, 64)


def test_nothing_painted_and_no_such_picture(engine: vfs.RegionSearch, images: vfs.ImageDataset) -> None:
    with pytest.raises(QueryError):
        painted_query(engine, images, images.ids[0])
    with pytest.raises(ImageError, match="no picture 'nowhere'"):
        painted_query(engine, images, "nowhere", vfs.Stroke.box(0, 0, 9, 9))
