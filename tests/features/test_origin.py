"""A store's pictures are found where they lie, and nothing else is read for it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.features import store_from_arrays
from vfs_panel.features.origin import pictures_of


def test_pictures_lie_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (4, 4), "red").save(tmp_path / "pictures" / "a.png")
    Image.new("RGB", (4, 4), "blue").save(tmp_path / "secret.png")
    store = store_from_arrays(
        {"one": np.ones((3, 2, 2, 2), np.float32)}, out=tmp_path / "s.zarr", image=["in", "up", "away"],
        path=["a.png", "../secret.png", str(tmp_path / "secret.png")],
    )  # fmt: skip
    images = pictures_of(store, tmp_path / "pictures")
    assert images.rgb("in")[0, 0].tolist() == [255, 0, 0]
    for image_id in ("up", "away"):
        with pytest.raises(ImageError, match="leads out of its folder"):
            images.rgb(image_id)
    with pytest.raises(ImageError, match="Give the folder"):
        pictures_of(store, tmp_path / "s.zarr").rgb("in")
