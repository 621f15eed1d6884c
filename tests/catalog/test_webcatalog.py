"""A catalog on the web: small files that are checked, and are no more than text."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.catalog.conftest import Site
from vfs_panel.catalog import open_catalog, webcatalog
from vfs_panel.cli import run, serving
from vfs_panel.errors import CatalogError
from vfs_panel.settings import settings

ENTRY = "title: {}\npictures: {{source: demo, name: photos}}\nnetworks: [{{name: vfs-demo, layers: [stage3]}}]\n"


@pytest.fixture(autouse=True)
def asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webcatalog, "FRESH_S", 0.0)


@pytest.fixture
def shared(site: Site) -> str:
    """The address of a catalog of two entries, one of them broken."""
    site.put("sets/one.yml", ENTRY.format("One"))
    site.put("sets/two.yaml", ENTRY.format("Two").replace("title", "titel"))
    site.put("sets/unlisted.yml", ENTRY.format("Three"))
    site.put("sets/catalog.txt", "# our sets\none.yml\ntwo.yaml  # broken\n\n")
    return f"{site.url}/sets"


def test_a_folder_with_its_list(shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (shared, f"{shared}/", f"{shared}/catalog.txt"):
        catalog = open_catalog(place)
        assert list(catalog) == ["one"]
        assert "did you mean 'title'" in catalog.problems[0].text
        assert catalog["one"].needs().command == f"vfs-panel catalog build one --catalog {place}"
    assert run(["catalog", "list", "--catalog", shared]) == 0
    assert " One " in capsys.readouterr().out
    assert run(["catalog", "validate", shared]) == 2
    assert "two.yaml, line 1" in capsys.readouterr().err


def test_one_entry(shared: str) -> None:
    assert list(open_catalog(f"{shared}/unlisted.yml")) == ["unlisted"]


def test_it_joins_by_setting(shared: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VFS_CATALOG", shared)
    settings.cache_clear()
    assert {"photos", "one"} <= set(open_catalog())
    assert run(["catalog", "show", "one"]) == 0
    assert "One (one, " in capsys.readouterr().out


def test_serve_takes_it(
    shared: str, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[list[str]] = []
    monkeypatch.setattr(serving, "run_server", lambda find, **_: found.append(list(find())))
    monkeypatch.setattr(webcatalog, "FRESH_S", 60.0)
    assert run(["serve", shared, "--port", "0"]) == 0
    assert found == [["one"]]
    assert "it has one." in capsys.readouterr().err
    assert len(site.asked) == 3  # a page that is opened at once asks nobody


def test_out_of_reach_the_last_one_counts(site: Site, shared: str, caplog: pytest.LogCaptureFixture) -> None:
    assert list(open_catalog(shared)) == ["one"]
    shutil.rmtree(site.root / "sets")
    assert list(open_catalog(shared)) == ["one"]
    assert "out of reach" in caplog.text


def test_what_was_taken_out_is_gone(site: Site, shared: str) -> None:
    open_catalog(shared)
    site.put("sets/catalog.txt", "unlisted.yml\n")
    assert list(open_catalog(shared)) == ["unlisted"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("catalog.txt", "../secret.yml", "Expected names of files beside it"),
        ("catalog.txt", "http://elsewhere.example/x.yml", "Expected names of files beside it"),
        ("catalog.txt", "code.py", "Expected names of files beside it"),
        ("catalog.txt", "", "lists 0 files"),
        ("catalog.txt", "".join(f"{n}.yml\n" for n in range(501)), "lists 501 files"),
        ("catalog.txt", b"\xff\xfe", "no UTF-8 text"),
        ("one.yml", b"#" * 1_000_001, "larger than 1 MB"),
        ("catalog.txt", "missing.yml", "missing.yml answers with status 404"),
    ],
)
def test_what_is_no_catalog(
    site: Site, shared: str, capsys: pytest.CaptureFixture[str], name: str, content: str | bytes, says: str
) -> None:
    site.put(f"sets/{name}", content)
    assert run(["catalog", "list", "--catalog", shared]) == 2
    assert says in capsys.readouterr().err
    assert not list(settings().cache_dir.rglob("*.yml"))


@pytest.mark.parametrize("place", ["http://", "https://me:secret@example.org/sets", "http://127.0.0.1:1/sets"])
def test_addresses_that_are_none(place: str) -> None:
    with pytest.raises(CatalogError) as caught:
        open_catalog(place)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        ("{source: demo, name: photos}", "{source: folder, path: /home}"),
        ("{source: demo, name: photos}", "{source: folder, path: pictures}"),
        ("layers:", "weights: /home/me/net.pt, layers:"),
    ],
)
def test_a_strangers_entry_names_no_place_of_this_machine(site: Site, change: tuple[str, str]) -> None:
    address = site.put("one.yml", ENTRY.format("One").replace(*change))
    catalog = open_catalog(address)
    assert not catalog
    assert "an entry from the web cannot know" in catalog.problems[0].text


def test_masks_come_along(site: Site, tmp_path: Path) -> None:
    Image.new("L", (8, 8), 255).save(tmp_path / "all.png")
    site.put("all.png", (tmp_path / "all.png").read_bytes())
    query = "queries: [{title: All, image: photo/cat/00, mask: all.png}]\n"
    site.put("one.yml", ENTRY.format("One") + query)
    site.put("catalog.txt", "one.yml\nall.png\n")
    (suggested,) = open_catalog(site.url)["one"].suggested()
    assert suggested.strokes is not None
    assert suggested.strokes[0].shape == "fill"
