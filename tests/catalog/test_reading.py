"""Entries are read strictly: every mistake is one line that names file, line and field."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vfs_panel.catalog import CatalogEntry, Problem, check_entry, read_entry
from vfs_panel.errors import CatalogError

SOUND = """\
title: Mine
pictures:
  source: folder
  path: pictures
networks:
  - name: resnet50
    layers: [layer3, layer4]
    default_layer: layer4
queries:
  - title: A corner
    image: a/1.png
    box: [0, 0, 8, 8]
"""


def _check(tmp_path: Path, text: str) -> CatalogEntry | list[Problem]:
    file = tmp_path / "mine.yml"
    file.write_text(text, "utf-8")
    return check_entry(file)


def test_a_sound_entry(tmp_path: Path) -> None:
    entry = _check(tmp_path, SOUND)
    assert isinstance(entry, CatalogEntry)
    assert (entry.name, entry.title, entry.network().layer) == ("mine", "Mine", "layer4")
    assert entry.pictures.path == str(tmp_path / "pictures")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("title: Mine", "titel: Mine", 1, "did you mean 'title'"),
        ("  path: pictures\n", "", 2, "'pictures.path' is missing"),
        ("path: pictures", "path: ../pictures", 4, "leads out of"),
        ("source: folder", "source: web", 2, "`source: demo`, `source: folder` or `source: fetched`"),
        ("  source: folder\n", "", 2, "`source: demo`, `source: folder` or `source: fetched`"),
        ("path: pictures", "path: p\n  domain: camera", 2, "no labels CSV"),
        ("layers: [layer3, layer4]", "layers: []", 7, "at least 1 item"),
        ("layers: [layer3, layer4]", "layers: [layer4, layer4]", 6, "stands twice"),
        ("default_layer: layer4", "default_layer: layer9", 6, "'layer9' is none of"),
        ("layers: [layer3, layer4]", "layers: [layer3, 4]", 7, "'networks.1.layers.2' is 4"),
        ("box: [0, 0, 8, 8]", "box: [8, 0, 8, 8]", 10, "box is empty"),
        ("    box: [0, 0, 8, 8]\n", "", 10, "either strokes or a box"),
        ("title: Mine", "title: Mine\ntitle: Yours", 2, "stands twice"),
        ("title: Mine", "title: [Mine", 2, "no valid YAML"),
        ("title: Mine", "title: !!python/object/apply:os.getcwd []", 1, "no valid YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in SOUND
    found = _check(tmp_path, SOUND.replace(old, new, 1))
    assert isinstance(found, list)
    assert found[0].line == line
    assert says in found[0].text
    assert str(found[0]).startswith(f"{tmp_path / 'mine.yml'}, line {line}: ")
    assert "\n" not in str(found[0])


FETCHED = """\
title: Mine
homepage: https://example.org
access: Ask them
pictures:
  source: fetched
  files:
    - url: https://example.org/pictures.zip
      size: 12
      sha256: {sha256}
      md5: {md5}
    - name: labels.csv
  folder: pictures/all
  labels: labels.csv
  label:
    column: kind
    names: {{1: cat, two: dog}}
  findings: [a, b]
networks:
  - name: resnet50
    weights:
      url: https://example.org/net.pth
    layers: [layer4]
    features:
      source: downloaded
      url: https://example.org/set.zarr.zip
queries:
  - title: A mask
    image: a/1.png
    mask: masks/one.png
""".format(sha256="ab" * 32, md5="cd" * 16)


def test_a_sound_entry_of_a_published_set(tmp_path: Path) -> None:
    entry = _check(tmp_path, FETCHED)
    assert isinstance(entry, CatalogEntry)
    assert entry.pictures.label.names == {"1": "cat", "two": "dog"}  # type: ignore[union-attr]
    assert [file.place for file in entry.pictures.files] == ["pictures", "labels.csv"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("size: 12", "size: 0", 8, "greater than 0"),
        ("size: 12", "size: -3", 8, "greater than 0"),
        ("size: 12", "size: big", 8, "'pictures.files.1.size' is 'big'"),
        ("sha256: abab", "sha256: ab", 9, "expected 64 hexadecimal digits, got 62"),
        ("sha256: abab", "sha256: xyab", 9, "is not a SHA-256"),
        ("md5: cdcd", "md5: cdcdcd", 10, "expected 32 hexadecimal digits, got 34"),
        ("sha256:", "sha265:", 9, "'pictures.files.1.sha265' is not known; did you mean 'sha256'?"),
        ("url: https://example.org/pictures", "url: ftp://example.org/pictures", 7, "no web address"),
        ("url: https://example.org/pictures", "url: file:///etc/pictures", 7, "no web address"),
        ("url: https://example.org/pictures", "url: https:///pictures", 7, "no web address"),
        ("url: https://example.org/pictures", "url: https://me:word@example.org/pictures", 7, "password"),
        ("url: https://example.org/pictures.zip", "url: https://example.org/", 7, "needs a url, or a name"),
        ("size: 12", "size: 12\n      into: ../up", 9, "leads out of"),
        ("size: 12", "size: 12\n      into: /up", 9, "leads out of"),
        ("size: 12", "size: 12\n      into: .", 7, "folder of its own"),
        ("size: 12", "size: 12\n      name: a/b.zip", 9, "no file's name"),
        ("size: 12", "size: 12\n      name: ..", 9, "no file's name"),
        ("- name: labels.csv", "- {name: labels.csv, into: pictures}\n    - {name: pictures.tar}", 4, "end up in"),
        ("access: Ask them\n", "", 1, "labels.csv has no url"),
        ("folder: pictures/all", "folder: ../all", 12, "leads out of"),
        ("labels: labels.csv", "labels: ../labels.csv", 13, "leads out of"),
        ("labels: labels.csv", "labels: {file: l.csv, fromat: table}", 13, "did you mean 'format'"),
        ("labels: labels.csv", "labels: {file: l.csv, path: train}", 13, "names no column"),
        ("labels: labels.csv", "labels: {file: l.json, format: coco, columns: [a]}", 13, "those of a table"),
        ("  labels: labels.csv\n", "", 4, "no labels CSV"),
        ("column: kind", "colum: kind", 15, "did you mean 'column'"),
        ("column: kind", "pattern: '([a'", 15, "no regular expression"),
        ("column: kind", "pattern: 'a(b)(c)'", 15, "has 2 groups"),
        ("column: kind", "pattern: abc", 15, "has 0 groups"),
        ("column: kind", f"pattern: ({'a' * 200})", 15, "at most 200"),
        ("column: kind", "column: kind\n    value: x", 14, "it has 2"),
        ("findings: [a, b]", "findings: []", 17, "at least 1 item"),
        ("findings: [a, b]", "findings: 3", 17, "'pictures.findings' is 3"),
        ("findings: [a, b]", "layout: cifar-10", 4, "brings its own labels"),
        ("url: https://example.org/net.pth", "name: net.pth", 19, "say in `access` how"),
        ("url: https://example.org/set.zarr.zip", "name: set.zarr.zip", 19, "features without a url"),
        ("url: https://example.org/net.pth", "ulr: https://example.org/net.pth", 21, "did you mean 'url'"),
        ("source: downloaded", "source: elsewhere", 23, "`source: downloaded` or `source: remote`"),
        ("set.zarr.zip", "set.zarr", 23, "no zipped store"),
        ("mask: masks/one.png", "mask: ../one.png", 29, "leads out of"),
        ("mask: masks/one.png", "mask: masks/one.jpg", 29, "no PNG"),
        ("mask: masks/one.png", "mask: masks/one.png\n    box: [0, 0, 1, 1]", 27, "only one of them"),
        ("homepage: https://example.org", "homepage: example.org", 2, "no web address"),
    ],
)
def test_what_is_wrong_with_a_published_set(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in FETCHED
    found = _check(tmp_path, FETCHED.replace(old, new, 1))
    assert isinstance(found, list)
    assert says in found[0].text
    assert found[0].line == line, str(found[0])


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "[" * 3000, "a: &a [*a]", "title: 2020-13-45"])
def test_files_that_are_no_entries(tmp_path: Path, text: str) -> None:
    assert isinstance(_check(tmp_path, text), list)


def test_all_problems_of_a_file_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(SOUND.replace("title: Mine", "titel: Mine"), "utf-8")
    with pytest.raises(CatalogError, match=r"mine.yml, line 1: .*\(1 more: vfs-panel catalog validate"):
        read_entry(file)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yml"
    binary.write_bytes(b"\xff\xfe\x00")
    large = tmp_path / "large.yml"
    large.write_text("#" * 1_000_001)
    for path, why in ((binary, "UTF-8"), (large, "larger"), (tmp_path, "folder"), (tmp_path / "no.yml", "not exist")):
        with pytest.raises(CatalogError, match=why):
            read_entry(path)


def test_paths_stay_inside_even_through_links(tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "pictures").symlink_to(tmp_path)
    found = _check(folder, SOUND)
    assert isinstance(found, list)
    assert "leads out of" in found[0].text


def test_absolute_paths_and_home_are_the_users_own(tmp_path: Path) -> None:
    for path in (str(tmp_path.parent), "~/pictures"):
        entry = _check(tmp_path, SOUND.replace("path: pictures", f"path: {path}"))
        assert isinstance(entry, CatalogEntry)
        assert entry.pictures.path == str(Path(path).expanduser())  # type: ignore[union-attr]


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(0, len(SOUND)))
def test_no_text_is_more_than_a_problem(tmp_path_factory: pytest.TempPathFactory, text: str, at: int) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_text(SOUND[:at] + text + SOUND[at:], "utf-8")
    found = check_entry(file)
    assert isinstance(found, CatalogEntry) or all("\n" not in str(problem) for problem in found)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["title", "pictures", "networks", "queries", "template", "order", "homepage", "new"]),
)
def test_any_value_of_any_field_is_judged(tmp_path_factory: pytest.TempPathFactory, value: object, field: str) -> None:
    file = tmp_path_factory.getbasetemp() / "value.yml"
    file.write_text(yaml.safe_dump(yaml.safe_load(SOUND) | {field: value}), "utf-8")
    found = check_entry(file)
    assert isinstance(found, CatalogEntry) or all(problem.line >= 1 for problem in found)
