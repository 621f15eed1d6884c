"""Every setting, command, option and catalog field is explained where people look for it."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer
import yaml

from vfs_panel.catalog import bundled_folder, read_entry
from vfs_panel.catalog.describing import LabelFile, NamesFile, Rule
from vfs_panel.catalog.entry import CatalogEntry
from vfs_panel.catalog.parts import Part, SetFile
from vfs_panel.catalog.schema import (
    DemoPictures,
    DownloadedFeatures,
    FetchedPictures,
    FolderPictures,
    NetworkEntry,
    QueryStroke,
    RemoteFeatures,
    SuggestedQuery,
)
from vfs_panel.cli import app
from vfs_panel.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
TEMPLATE = (bundled_folder() / "your-folder.yml").read_text("utf-8")
PARTS = (
    CatalogEntry, DemoPictures, FolderPictures, FetchedPictures, SetFile, LabelFile, NamesFile, Rule, NetworkEntry,
    DownloadedFeatures, RemoteFeatures, SuggestedQuery, QueryStroke,
)  # fmt: skip
ROOT = typer.main.get_command(app)


def _commands(command: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    below = getattr(command, "commands", {})
    found = {} if below else {path: command}
    for name, child in below.items():
        found |= _commands(child, (*path, name))
    return found


COMMANDS = _commands(ROOT)


def test_the_commands_are_those_that_were_promised() -> None:
    assert {path[0] for path in COMMANDS} == {
        "demo", "models", "extract", "verify", "store", "search", "catalog", "serve", "export", "bench",
    }  # fmt: skip
    assert {path[1] for path in COMMANDS if path[0] == "store"} == {"info", "subset", "convert", "import"}
    assert {path[1] for path in COMMANDS if path[0] == "catalog"} == {
        "list", "show", "validate", "build", "add", "fetch",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_settings(name: str) -> None:
    assert Settings.model_fields[name].description
    assert f"`VFS_{name.upper()}`" in README


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_commands(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help  # type: ignore[attr-defined]
    group = f"vfs-panel {path[0]}"
    row = next(line for line in README.splitlines() if line.startswith(f"| `{group}"))
    assert all(f"`{word}`" in row or f" {word}" in row for word in path[1:])
    for parameter in command.params:  # type: ignore[attr-defined]
        assert parameter.help, f"{' '.join(path)}: {parameter.name}"


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_catalog_fields(part: type[Part]) -> None:
    for name, field in part.model_fields.items():
        assert field.description, name
        assert f"{name}:" in TEMPLATE, name


def test_the_template_shows_a_sound_entry() -> None:
    assert yaml.safe_load(TEMPLATE)["template"] is True


@pytest.mark.parametrize("other", ["rendered by vfs_panel", "a published data set"])
def test_the_other_ways_of_the_template_are_sound(other: str, tmp_path: Path) -> None:
    """The commented sources of pictures, put into the place of the folder."""
    start = TEMPLATE.index("# pictures:", TEMPLATE.rindex("\n\n", 0, TEMPLATE.index(other)))
    block = TEMPLATE[start:].split("\n\n", 1)[0].replace("\n# ", "\n").removeprefix("# ")
    head, tail = TEMPLATE.index("\npictures:"), TEMPLATE.index("\nnetworks:")
    text = TEMPLATE[:head] + "\n" + block + "\n" + TEMPLATE[tail:]
    (tmp_path / "other.yml").write_text(text, "utf-8")
    assert read_entry(tmp_path / "other.yml").pictures.source in ("demo", "fetched")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_code_of_the_readme_runs(
    picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(picture_folder, tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    first, second = _blocks("python")
    exec(compile(first, "README.md", "exec"), {})
    assert "photo/cat" in capsys.readouterr().out
    exec(compile(second, "README.md", "exec"), {})  # goes on with the store that the first one made
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= 2
    assert printed[-1].startswith("1.0 ")


def test_the_commands_of_the_readme_exist() -> None:
    lines = [line for block in _blocks("sh") for line in block.splitlines() if line.startswith("vfs-panel ")]
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        path = tuple(words[:2]) if tuple(words[:2]) in COMMANDS else tuple(words[:1])
        known = {option for parameter in COMMANDS[path].params for option in parameter.opts}  # type: ignore[attr-defined]
        assert {word for word in words if word.startswith("-")} <= known, line
