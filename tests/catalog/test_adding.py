"""An entry is checked before it joins the user's catalog, and never takes another's place."""

from pathlib import Path

import pytest

from vfs_panel.catalog import add_entry, folder_entry, open_catalog, user_folder
from vfs_panel.cli import run
from vfs_panel.errors import CatalogError, ImageError


def test_a_folder_of_pictures_becomes_an_entry(picture_folder: Path) -> None:
    text = folder_entry(picture_folder, network="vfs-demo", layers=["stage3"])
    added = add_entry(text, "mine", source=picture_folder)
    assert added.file == user_folder() / "mine.yml"
    entry = open_catalog()["mine"]
    assert len(entry.images()) == 12
    assert set(entry.images().table["domain"]) == {"photo", "sketch"}
    assert entry.network().layers == ["stage3"]


@pytest.mark.parametrize("name", ["photos", "your-folder", "mine"])
def test_names_that_are_taken(picture_folder: Path, name: str) -> None:
    text = folder_entry(picture_folder, network="vfs-demo", layers=["stage3"])
    add_entry(text, "mine", source=picture_folder)
    before = (user_folder() / "mine.yml").read_text()
    with pytest.raises(CatalogError, match="is taken"):
        add_entry(text.replace("stage3", "stage4"), name, source=picture_folder)
    assert [file.name for file in user_folder().iterdir()] == ["mine.yml"]
    assert (user_folder() / "mine.yml").read_text() == before


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_names_that_are_no_file_names(picture_folder: Path, name: str) -> None:
    text = folder_entry(picture_folder, network="vfs-demo", layers=["stage3"])
    with pytest.raises(CatalogError, match="cannot be a file's name"):
        add_entry(text, name, source=picture_folder)


def test_an_entry_that_is_not_sound_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "new.yml"
    for text, says in (
        ("title: New\ntitel: Old\n", "new.yml, line"),
        ("title: N\npictures: {source: folder, path: p}\nnetworks: [{name: n, layers: [a]}]\n", "absolute"),
    ):
        file.write_text(text)
        with pytest.raises(CatalogError, match=says) as caught:
            add_entry(text, "new", source=file)
        assert ".adding" not in str(caught.value)
    assert list(user_folder().iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        folder_entry(tmp_path / "no", network="vfs-demo", layers=["stage3"])


def test_into_another_folder(picture_folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "sets"
    assert run(["catalog", "add", str(picture_folder), "--name", "photos", "--catalog", str(place)]) == 0
    assert list(open_catalog(place)) == ["photos"]
    assert run(["catalog", "add", str(picture_folder), "--name", "photos", "--catalog", str(place)]) == 2
    assert not user_folder().exists()


def test_what_cannot_be_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "new.yml").write_text(
        f"title: N\npictures: {{source: folder, path: {tmp_path / 'p'}}}\nnetworks: [{{name: n, layers: [a]}}]\n"
        "queries: [{title: T, image: i, mask: m.png}]\n"
    )
    assert run(["catalog", "add", str(tmp_path / "new.yml")]) == 2
    assert "its mask m.png lies beside it" in capsys.readouterr().err
    assert run(["catalog", "add", str(tmp_path / "p"), "--catalog", "https://example.org/sets"]) == 2
    assert "Nothing can be added to a catalog on the web" in capsys.readouterr().err
    assert not list(user_folder().glob("*.yml"))
