"""A catalog is a dict of its sound entries; broken ones are named and take no others down."""

import logging
from pathlib import Path

import pytest

from vfs_panel.catalog import Catalog, bundled_folder, open_catalog, user_folder
from vfs_panel.cli import run
from vfs_panel.errors import CatalogError
from vfs_panel.images.demo.sources import CREDITS
from vfs_panel.settings import settings

ENTRY = "title: {}\npictures: {{source: demo, name: photos}}\nnetworks: [{{name: n, layers: [a]}}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.yml").write_text(ENTRY.format("B"))
    (tmp_path / "a.yaml").write_text(ENTRY.format("A"))
    (tmp_path / "first.yml").write_text(ENTRY.format("First") + "order: 1\n")
    (tmp_path / "broken.yml").write_text("title: [")
    (tmp_path / "pattern.yml").write_text(ENTRY.format("Pattern") + "template: true\n")
    (tmp_path / "notes.txt").write_text("no entry")
    return tmp_path


def test_the_bundled_entries_are_sound_and_credit_their_pictures() -> None:
    catalog = Catalog.open(bundled_folder())
    assert catalog.problems == []
    assert list(catalog)[:3] == ["photos", "camera-traps", "chest-films"]
    assert "no medical images" in catalog["chest-films"].description
    assert {
        "coco-val2014", "imagenet-val", "imagenet-a", "imagenet-sketch", "iwildcam", "chestx-ray14", "imagenette",
        "cifar-10", "oxford-pets",
    } < set(catalog)  # fmt: skip
    assert list(catalog.templates) == ["your-folder"]
    for entry in catalog.values():
        for field in ("title", "description", "licence", "attribution", "citation"):
            assert getattr(entry, field), (entry.name, field)
    for name in ("photos", "camera-traps"):
        entry = catalog[name]
        for photograph in CREDITS:
            assert photograph in entry.licence, photograph
        for credit in ("china.jpg): danielbuechele, CC BY 2.0", "flower.jpg): danielbuechele / vultilion, CC BY 2.0"):
            assert credit in entry.attribution
        assert [network.name for network in entry.networks] == ["vfs-demo", "vfs-demo-class"]
        assert {network.layer for network in entry.networks} == {"stage3"}


def test_it_is_a_dict_of_the_sound_entries(folder: Path) -> None:
    catalog = Catalog.open(folder)
    assert list(catalog) == ["first", "a", "b"]
    assert len(catalog) == 3
    assert catalog["a"].title == "A"
    assert "a" in catalog
    assert "broken" not in catalog
    assert catalog.get("nothing") is None


def test_broken_entries_are_named_in_the_log(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        catalog = open_catalog(folder)
    assert [problem.file.name for problem in catalog.problems] == ["broken.yml"]
    assert "broken.yml, line 1" in caplog.text


@pytest.mark.parametrize(
    ("name", "says"), [("frist", "did you mean 'first'"), ("broken", "line 1"), ("pattern", "is a template")]
)
def test_an_entry_that_is_not_there(folder: Path, name: str, says: str) -> None:
    with pytest.raises(CatalogError, match=says) as caught:
        Catalog.open(folder)[name]
    assert not str(caught.value).startswith('"')  # as a KeyError's message would


def test_a_name_that_stands_twice(folder: Path) -> None:
    (folder / "a.yml").write_text(ENTRY.format("Another"))
    catalog = Catalog.open(folder)
    assert catalog["a"].title == "A"
    assert any("is taken by" in problem.text for problem in catalog.problems)


def test_names_that_stand_twice_are_told_by_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.yml").unlink()
    (folder / "a.yml").write_text(ENTRY.format("Another"))
    assert run(["catalog", "validate", str(folder)]) == 2
    told = capsys.readouterr()
    assert (
        told.err.strip() == (f"{folder / 'a.yml'}: the name 'a' is taken by {folder / 'a.yaml'}; rename this file")
        or told.err.strip() == f"{folder / 'a.yaml'}: the name 'a' is taken by {folder / 'a.yml'}; rename this file"
    )
    assert f"{folder / 'first.yml'}: sound" in told.out


def test_a_single_file_is_a_catalog(folder: Path) -> None:
    assert list(Catalog.open(folder / "b.yml")) == ["b"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="does not exist"):
        open_catalog(tmp_path / "nowhere")


def test_the_users_own_folder_joins_the_bundled_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"photos", "camera-traps", "chest-films"} <= set(open_catalog())
    assert "first" not in open_catalog()
    monkeypatch.setenv("VFS_CATALOG", str(folder))
    settings.cache_clear()
    assert user_folder() == folder
    assert {"photos", "first"} < set(open_catalog())
