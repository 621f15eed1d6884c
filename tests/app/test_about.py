"""What is said of a data set is what its catalog entry and its store know."""

from pathlib import Path

from vfs_panel.app.about import about
from vfs_panel.app.columns import columns
from vfs_panel.app.session import Session
from vfs_panel.app.sources import sources_of
from vfs_panel.features import open_store


def test_a_store_says_what_made_it_and_no_path_of_the_machine(session: Session, kept_store: Path) -> None:
    said = dict(about(session.source, session.store, "stage3"))
    assert said["Pictures"] == "12 pictures"
    assert said["Network"].startswith("vfs-demo, weights sha256 ")
    assert "128 channels on 14 × 14 cells" in said["Layer"]
    assert said["Store"].startswith(kept_store.name)
    assert str(kept_store.parent) not in " ".join(said.values())
    assert "Licence" not in said


def test_a_catalog_entry_says_licence_and_citation() -> None:
    source = sources_of(Path(__file__).parents[2] / "data_catalog")["photos"]
    assert "CC0" in source.about["licence"]
    assert "scikit-image" in source.about["citation"]


def test_columns_to_choose_by_have_few_values(kept_store: Path) -> None:
    store = open_store(kept_store)
    found = {column.name: column.values for column in columns(store)}
    assert next(iter(found)) == "domain"
    assert set(found["label"]) == set(store.index["label"])
    assert "path" not in {column.name for column in columns(store, most=3)}


def test_what_is_not_built_still_says_what_it_is(tmp_path: Path) -> None:
    text = "title: T\nhomepage: https://example.org/set\nlicence: CC0\npictures: {source: folder, path: /nowhere}\n"
    (tmp_path / "t.yml").write_text(text + "networks: [{name: vfs-demo, layers: [stage4]}]\n")
    source = sources_of(tmp_path)["t"]
    assert not source.ready
    assert about(source, None, "stage4") == [("Homepage", "https://example.org/set"), ("Licence", "CC0")]
