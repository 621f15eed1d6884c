"""From a painted pixel to the lit patch of a match: resize and crop are undone everywhere in the same way."""

from pathlib import Path

import numpy as np
import pytest

from vfs_panel.features import extract
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models import load_network
from vfs_panel.search import RegionSearch, Stroke
from vfs_panel.search.mask import grid_mask

HEIGHT, WIDTH, SIDE = 320, 420, 56
PLACES = {"a": (120, 90), "b": (210, 40), "c": (90, 180), "d": (250, 200), "e": (160, 130)}  # x, y of the mark


def marked(place: tuple[int, int], seed: int) -> np.ndarray:
    """A blurred grey picture with one striped, coloured square."""
    rng = np.random.default_rng(seed)
    rgb = np.kron(rng.integers(90, 140, (HEIGHT // 20, WIDTH // 20, 1)), np.ones((20, 20, 3))).astype(np.uint8)
    x, y = place
    stripes = (np.arange(SIDE)[:, None] // 7 + np.arange(SIDE)[None] // 14) % 2
    rgb[y : y + SIDE, x : x + SIDE] = np.where(stripes[..., None], (250, 40, 30), (20, 60, 240))
    return rgb


@pytest.mark.parametrize("layer", ["features.3", "features.7"])
def test_the_lit_patch_of_every_match_covers_the_mark(tmp_path: Path, layer: str) -> None:
    pictures = np.stack([marked(place, seed) for seed, place in enumerate(PLACES.values())])
    images = ImageDataset.from_arrays(pictures, image=PLACES)
    network = load_network("squeezenet1_1", weights="random")  # resizes to 256, crops to 224: the reference's 8/7
    store = extract(network, images, layers=[layer], out=tmp_path / "s.zarr", device="cpu")
    engine = RegionSearch(store, layer, device="cpu")
    geometry, grid = store.preprocessing.geometry(HEIGHT, WIDTH), engine.spec.grid[1:]
    for image, (x, y) in PLACES.items():
        mask = grid_mask([Stroke.box(x, y, x + SIDE, y + SIDE)], geometry, grid)
        found = engine.search(engine.query(image, mask), k=4)
        assert sorted(found["image_id"].values.tolist()) == sorted(set(PLACES) - {image})
        cell_px = geometry.picture_px[0] / 256 * 224 / grid[0]
        for rank in range(4):
            box = geometry.cell_box(
                int(found["y"][rank]),
                int(found["x"][rank]),
                int(found["height"][rank]),
                int(found["width"][rank]),
                grid=grid,
            )
            mark_x, mark_y = PLACES[str(found["image_id"].values[rank])]
            # The window was cut to whole cells, so it may lie off by one cell, never by the 8/7 of a missed crop.
            assert box[0] <= mark_x + cell_px, (image, rank)
            assert box[1] <= mark_y + cell_px
            assert box[2] >= mark_x + SIDE - cell_px
            assert box[3] >= mark_y + SIDE - cell_px
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            assert middle == pytest.approx((mark_x + SIDE / 2, mark_y + SIDE / 2), abs=cell_px)
