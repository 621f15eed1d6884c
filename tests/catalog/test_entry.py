"""An entry finds its pictures, builds its features once, and says the command where they are missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from vfs_panel.catalog import CatalogEntry, open_catalog, read_entry
from vfs_panel.cli import run
from vfs_panel.errors import CatalogError, StoreError
from vfs_panel.features import layout

TEXT = """\
title: Mine
pictures: {source: folder, path: pictures}
networks:
  - {name: vfs-demo, layers: [stage3, stage4], default_layer: stage4}
  - {name: squeezenet1_1, weights: random, layers: [features], dtype: float32}
"""


@pytest.fixture
def entry(picture_folder: Path, tmp_path: Path) -> CatalogEntry:
    shutil.copytree(picture_folder, tmp_path / "pictures")
    (tmp_path / "mine.yml").write_text(TEXT)
    return read_entry(tmp_path / "mine.yml")


def test_networks_by_name(entry: CatalogEntry) -> None:
    assert entry.network().name == "vfs-demo"
    assert entry.network("squeezenet1_1").layer == "features"
    with pytest.raises(CatalogError, match="it has vfs-demo, squeezenet1_1"):
        entry.network("resnet50")


def test_what_is_not_built_says_the_command(entry: CatalogEntry) -> None:
    assert not entry.is_built()
    with pytest.raises(StoreError, match="vfs-panel catalog build mine --network vfs-demo"):
        entry.store()


def test_it_is_built_once(entry: CatalogEntry) -> None:
    seen: list[tuple[int, int]] = []
    store = entry.build(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (12, 12)
    assert store.layers == ["stage3", "stage4"]
    assert entry.is_built()
    assert not entry.is_built("squeezenet1_1")
    assert entry.store().path == str(entry.store_path())
    seen.clear()
    entry.build(progress=lambda done, total: seen.append((done, total)))
    assert seen == []
    assert entry.build("squeezenet1_1").spec("features").dtype == "float32"


def test_an_interrupted_build_goes_on(entry: CatalogEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = entry.build()
    expected = whole.read("stage4", slice(0, 12))
    layout.chunk_file(entry.store_path(), "stage4", "committed", 0, 1).unlink()
    assert not entry.is_built()
    np.testing.assert_array_equal(entry.build().read("stage4", slice(0, 12)), expected)


def test_other_layers_or_weights_are_another_store(entry: CatalogEntry, tmp_path: Path) -> None:
    paths = {entry.store_path(), entry.store_path("squeezenet1_1")}
    for old, new in (("stage3, stage4", "stage4"), ("weights: random", "weights: IMAGENET1K_V1")):
        (tmp_path / "mine.yml").write_text(TEXT.replace(old, new))
        changed = read_entry(tmp_path / "mine.yml")
        paths |= {changed.store_path(), changed.store_path("squeezenet1_1")}
    assert len(paths) == 4
    (tmp_path / "mine.yml").write_text(TEXT.replace("default_layer: stage4", "default_layer: stage3"))
    assert read_entry(tmp_path / "mine.yml").store_path() in paths


def test_pictures_that_changed(entry: CatalogEntry, tmp_path: Path) -> None:
    entry.build()
    layout.chunk_file(entry.store_path(), "stage4", "committed", 0, 1).unlink()
    (tmp_path / "pictures" / "photo" / "cat" / "1.png").unlink()
    with pytest.raises(StoreError, match="--again"):
        entry.build()
    assert entry.build(again=True).n_images == 11


def test_by_the_command_line(entry: CatalogEntry, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = ("--catalog", str(tmp_path))
    assert run(["catalog", "build", "mine", "--network", "vfs-demo", *catalog]) == 0
    assert capsys.readouterr().out.strip() == str(entry.store_path())
    assert run(["catalog", "list", *catalog]) == 0
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "title", "network", "layers", "needs"]
    assert first.endswith(" nothing")
    assert second.endswith(" build")
    assert run(["catalog", "show", "mine", *catalog]) == 0
    assert str(entry.store_path()) in capsys.readouterr().out


def test_a_folder_is_added_built_and_listed(picture_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "add", str(picture_folder), "--name", "mine", "--layer", "stage4"]) == 0
    assert run(["catalog", "build", "mine"]) == 0
    assert open_catalog()["mine"].is_built()
    assert run(["catalog", "validate"]) == 0
    assert "mine.yml: sound" in capsys.readouterr().out


def test_the_demo_entries_name_pictures_that_exist() -> None:
    from vfs_panel.images.demo import camera_traps, chest_films, photos

    ids = {
        "photos": {plan.image_id for plan in photos.plans()},
        "camera-traps": {plan.image_id for plan in camera_traps.plans()},
        "chest-films": {plan.image_id for plan in chest_films.plans()},
    }
    for name, known in ids.items():
        for query in open_catalog()[name].queries:
            assert query.image in known, query.title


def test_what_an_entry_needs(entry: CatalogEntry, tmp_path: Path) -> None:
    needs = entry.needs("vfs-demo")
    assert (needs.step, needs.download_bytes) == ("build", 0)
    assert needs.command == f"vfs-panel catalog build mine --network vfs-demo --catalog {tmp_path / 'mine.yml'}"
    assert needs.place == entry.store_path("vfs-demo")
    entry.build("vfs-demo")
    assert entry.needs().step == "nothing"
    assert entry.needs("squeezenet1_1").step == "build"
    shutil.rmtree(tmp_path / "pictures")
    assert entry.needs("squeezenet1_1").step == "by hand"
    assert entry.needs("squeezenet1_1").place == tmp_path / "pictures"
