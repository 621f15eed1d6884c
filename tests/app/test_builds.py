"""Builds that pages ask for: one at a time, told to all, stopped and going on, failing with a sentence."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vfs_panel.app import builds
from vfs_panel.app.builds import Build, Builds
from vfs_panel.catalog import CatalogEntry, read_entry
from vfs_panel.settings import settings

# Stands where a build's process stands, and says what the file tells it to.
SPEAKER = """
import json, pathlib, sys, time
file = pathlib.Path(sys.argv[1])
for line in file.read_text().splitlines():
    word, _, rest = line.partition(" ")
    if word == "say":
        print(rest, flush=True)
    elif word == "wait":
        while not file.with_name(rest).exists():
            time.sleep(0.01)
    elif word == "end":
        sys.exit(int(rest))
"""


class Watch:
    """Hears every change, and waits for one."""

    def __init__(self, of: Builds) -> None:
        self.of, self.news = of, threading.Condition()
        of.listen(self.heard)

    def heard(self) -> None:
        with self.news:
            self.news.notify_all()

    def until(self, file: Path, true: Callable[[Build], bool]) -> Build:
        def found() -> Build | None:
            build = self.of.of(file)
            return build if build is not None and true(build) else None

        with self.news:
            build = self.news.wait_for(found, timeout=60)
        assert build is not None, self.of.of(file)
        return build


@pytest.fixture
def speaking() -> Iterator[Builds]:
    made = Builds((sys.executable, "-c", SPEAKER))
    yield made
    made.close()


def script(folder: Path, name: str, *lines: str) -> Path:
    file = folder / f"{name}.yml"
    file.write_text("\n".join(lines))
    return file


def test_one_at_a_time_in_the_order_they_were_asked_for(speaking: Builds, tmp_path: Path) -> None:
    watch = Watch(speaking)
    first = script(tmp_path, "first", "wait go", 'say {"built": "a"}')
    second = script(tmp_path, "second", 'say {"built": "b"}')
    speaking.ask(first, "First", ["a"], owner="me")
    speaking.ask(second, "Second", ["b"], owner="me")
    watch.until(first, lambda build: build.phase == "running")
    assert speaking.of(second).phase == "waiting"  # type: ignore[union-attr]
    assert speaking.ask(first, "First", ["a"], owner="you").owner == "me"  # joined, not begun anew
    (tmp_path / "go").touch()
    assert watch.until(second, lambda build: build.phase == "done").built == ("b",)
    assert [build.phase for build in speaking.all()] == ["done", "done"]


def test_progress_has_stage_rate_and_time_left(speaking: Builds, tmp_path: Path) -> None:
    watch = Watch(speaking)
    told = [f'say {{"stage": "features", "network": "a", "done": {done}, "total": 100}}' for done in (40, 41, 60)]
    file = script(tmp_path, "one", "say no JSON", "say [1]", *told, "wait go")
    speaking.ask(file, "One", ["a"], owner="me")
    build = watch.until(file, lambda build: build.done == 60)
    assert (build.stage, build.network, build.total) == ("features", "a", 100)
    assert build.rate > 0
    assert build.left_s == pytest.approx(40 / build.rate)
    (tmp_path / "go").touch()


def test_what_failed_says_why_and_can_be_tried_again(speaking: Builds, tmp_path: Path) -> None:
    watch = Watch(speaking)
    file = script(tmp_path, "one", 'say {"failed": "The disk is full."}', "end 2")
    speaking.ask(file, "One", ["a"], owner="me")
    assert watch.until(file, lambda build: build.phase == "failed").error == "The disk is full."
    script(tmp_path, "one", "end 3")
    speaking.ask(file, "One", ["a"], owner="me")
    assert "with code 3" in watch.until(file, lambda build: build.phase == "failed" and "3" in build.error).error
    script(tmp_path, "one", 'say {"built": "a"}')
    speaking.ask(file, "One", ["a"], owner="me")
    assert watch.until(file, lambda build: build.phase == "done").error == ""
    speaking.forget(file)
    assert speaking.of(file) is None


def test_a_build_is_cancelled_while_it_runs_and_while_it_waits(speaking: Builds, tmp_path: Path) -> None:
    watch = Watch(speaking)
    running, waiting = script(tmp_path, "running", "wait never"), script(tmp_path, "waiting", "wait never")
    speaking.ask(running, "Running", ["a"], owner="me")
    speaking.ask(waiting, "Waiting", ["a"], owner="me")
    watch.until(running, lambda build: build.phase == "running")
    speaking.cancel(waiting)
    assert speaking.of(waiting).phase == "cancelled"  # type: ignore[union-attr]
    speaking.cancel(running)
    assert watch.until(running, lambda build: build.phase == "cancelled").error == ""


def test_a_real_build_is_cancelled_and_goes_on(
    picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_BLOCK_MB", "0.02")
    entry = _entry(picture_folder, tmp_path)
    real = Builds()
    watch = Watch(real)
    real.ask(entry.file, entry.title, ["vfs-demo"], owner="me")
    watch.until(entry.file, lambda build: build.stage == "features")
    real.cancel(entry.file)
    watch.until(entry.file, lambda build: not build.is_active)
    real.ask(entry.file, entry.title, ["vfs-demo"], owner="me")
    assert watch.until(entry.file, lambda build: build.phase == "done").built == ("vfs-demo",)
    assert entry.is_built()


def _entry(pictures: Path, folder: Path) -> CatalogEntry:
    text = f"title: Mine\npictures: {{source: folder, path: {pictures}}}\n"
    (folder / "mine.yml").write_text(text + "networks: [{name: vfs-demo, layers: [stage4]}]\n")
    return read_entry(folder / "mine.yml")


def test_a_listener_that_is_gone_is_not_called(speaking: Builds, tmp_path: Path) -> None:
    gone, stays = Watch(speaking), Watch(speaking)
    del gone
    file = script(tmp_path, "one", "end 0")
    speaking.ask(file, "One", ["a"], owner="me")
    stays.until(file, lambda build: build.phase == "done")
    assert len(speaking._listeners) == 1


def test_builds_are_on_for_this_machine_alone_unless_a_setting_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert builds.allowed()
    builds.listen_outside(True)
    try:
        assert not builds.allowed()
        monkeypatch.setenv("VFS_BUILDS", "on")
        settings.cache_clear()
        assert builds.allowed()
    finally:
        builds.listen_outside(False)
    monkeypatch.setenv("VFS_BUILDS", "off")
    settings.cache_clear()
    assert not builds.allowed()
