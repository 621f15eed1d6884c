"""A demo set is rendered once, the same each time, and is whole or absent."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vfs_panel.errors import CatalogError, StoreError
from vfs_panel.images.demo import PLACED_NAMES, build_demo, camera_traps, chest_films, demo_folder, open_places, photos
from vfs_panel.images.demo.build import RECIPES, index_of
from vfs_panel.settings import settings

PLANS = {
    "photos": list(islice(photos.plans(), 0, None, 131)),
    "camera-traps": list(islice(camera_traps.plans(), 120, None, 130)),
    "chest-films": list(islice(chest_films.plans(), 0, None, 34)),
}
MODULES = {"photos": photos, "camera-traps": camera_traps, "chest-films": chest_films}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own, and sets of about ten pictures."""
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path))
    settings.cache_clear()
    for name, module in MODULES.items():
        monkeypatch.setattr(module, "plans", lambda name=name: iter(PLANS[name]))
    yield tmp_path
    settings.cache_clear()


@pytest.mark.parametrize("name", PLANS)
def test_set_is_rendered_once_with_progress(cache, name):
    seen = []
    images = build_demo(name, lambda done, total: seen.append((done, total)))
    total = len(PLANS[name])
    assert seen == [(i + 1, total) for i in range(total)]
    assert images.ids == sorted(plan.image_id for plan in PLANS[name])
    build_demo(name, lambda done, total: pytest.fail("rendered again"))
    assert [path.name for path in (cache / "demo").iterdir()] == [demo_folder(name).name]


@pytest.mark.parametrize("name", PLACED_NAMES)
def test_pictures_files_and_places_agree_with_a_second_rendering(cache, name):
    images, places = build_demo(name), open_places(name)
    assert places.ids == tuple(images.ids)
    for plan in reversed(PLANS[name]):  # in another order and one by one: each picture stands alone
        picture = MODULES[name].render(plan)
        row = images.table.loc[plan.image_id]
        np.testing.assert_array_equal(images.rgb(plan.image_id), picture.pixels)
        np.testing.assert_array_equal(np.asarray(Image.open(row["path"])), picture.pixels)
        assert (row["label"], row["domain"], row["split"]) == (picture.label, picture.domain, picture.split)
        layers = places.matrix[places.rows([plan.image_id])[0], : len(picture.layers)]
        np.testing.assert_array_equal(layers, [layer.matrix for layer in picture.layers])


def test_index_of_camera_traps_has_boxes_and_nights(cache):
    table = build_demo("camera-traps").table
    empty = table["label"] == "empty"
    assert empty.any()
    assert (table.loc[empty, ["x0", "y0", "x1", "y1"]] == "").all(axis=None)
    boxes = table.loc[~empty, ["x0", "y0", "x1", "y1"]].astype(int)
    assert ((boxes["x0"] < boxes["x1"]) & (boxes["y0"] < boxes["y1"])).all()
    assert set(table["night"]) == {"yes", "no"}


def test_interrupted_rendering_leaves_nothing(cache, monkeypatch):
    monkeypatch.setattr(photos, "render", lambda plan: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        build_demo("photos")
    assert list((cache / "demo").iterdir()) == []


def test_full_disk_is_told_in_one_line(cache, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(StoreError, match=r"No space left on device\. Free some space"):
        build_demo("photos")
    assert list((cache / "demo").iterdir()) == []


def test_unknown_set(cache):
    with pytest.raises(CatalogError, match="photos, camera-traps, chest-films"):
        build_demo("cats")


def test_drawings_show_no_known_places(cache):
    with pytest.raises(CatalogError, match="photos and camera-traps do"):
        open_places("chest-films")


def test_a_recipe_names_all_modules_of_its_own_that_it_needs():
    """Else a change to one of them would leave old pictures in the cache."""
    import ast

    folder = Path(chest_films.__file__).parent
    for name, modules in RECIPES.items():
        for module in set(modules) - {"build"}:
            tree = ast.parse((folder / f"{module}.py").read_text("utf-8"))
            needed = {
                node.module.removeprefix("vfs_panel.images.demo.")
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vfs_panel.images.demo.")
            }
            assert needed <= set(modules), (name, module)


def test_full_sets_have_the_promised_make_up():
    sizes = {}
    for module in (photos, camera_traps, chest_films):
        ids = [plan.image_id for plan in module.plans()]
        assert len(ids) == len(set(ids))
        sizes[module] = len(ids)
    assert sizes == {photos: 1232, camera_traps: 1500, chest_films: 272}


def test_splits_leave_domains_out_of_training():
    crops = [photos.render(photos.PhotoPlan("coins", domain, k)) for domain in photos.CROPS for k in (0, 1)]
    assert [p.split for p in crops] == ["val", "train", "val", "train", "ood", "ood", "ood", "ood"]
    seen, held_out = (camera_traps.TrapPlan(place, "empty", 1) for place in ("lakeside", "campus"))
    assert camera_traps.render(seen).split == "train"
    assert camera_traps.render(held_out).split == "ood"
    assert list(index_of(crops, boxes=False).columns) == ["label", "domain", "split", "path"]
