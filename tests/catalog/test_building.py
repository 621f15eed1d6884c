"""A build beside a server: lines of progress, one sentence for an error, and going on after it was killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vfs_panel.catalog import CatalogEntry, read_entry
from vfs_panel.catalog.building import build, main
from vfs_panel.catalog.earlier import why_anew

TEXT = """\
title: Mine
pictures: {{source: folder, path: {folder}}}
networks:
  - {{name: vfs-demo, layers: [stage4]}}
  - {{name: vfs-demo-class, layers: [stage4]}}
"""


@pytest.fixture
def entry(picture_folder: Path, tmp_path: Path) -> CatalogEntry:
    (tmp_path / "mine.yml").write_text(TEXT.format(folder=picture_folder))
    return read_entry(tmp_path / "mine.yml")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_network_is_built_in_order(entry: CatalogEntry) -> None:
    said: list[dict[str, Any]] = []
    build(entry, ["vfs-demo", "vfs-demo-class"], said.append)
    assert [line["built"] for line in said if "built" in line] == ["vfs-demo", "vfs-demo-class"]
    last = [line for line in said if line.get("network") == "vfs-demo"][-1]
    assert last == {"stage": "features", "network": "vfs-demo", "done": 12, "total": 12}
    assert entry.is_built("vfs-demo-class")
    said.clear()
    build(entry, ["vfs-demo"], said.append)
    assert said == [{"built": "vfs-demo"}]


def test_an_error_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(TEXT.format(folder=tmp_path / "nowhere"))
    done = subprocess.run(
        [sys.executable, "-m", "vfs_panel.catalog.building", str(tmp_path / "mine.yml"), "--network", "vfs-demo"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Put the pictures into" in lines(done.stdout)[-1]["failed"]


def test_a_killed_build_goes_on(picture_folder: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for copy in range(8):  # so that it takes long enough to be killed
        shutil.copytree(picture_folder / "photo", pictures / "photo" / str(copy))
    (tmp_path / "mine.yml").write_text(TEXT.format(folder=pictures))
    command = [sys.executable, "-m", "vfs_panel.catalog.building", str(tmp_path / "mine.yml"), "--network", "vfs-demo"]
    small = os.environ | {"VFS_BLOCK_MB": "0.02", "VFS_BATCH_SIZE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=small) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if json.loads(line).get("done", 0) > 8:
                program.send_signal(signal.SIGKILL)
                break
    again = subprocess.run(command, capture_output=True, text=True, env=small, check=True)
    done = [line["done"] for line in lines(again.stdout) if line.get("stage") == "features" and line["total"]]
    assert done[0] > 4  # what was whole is not made again
    assert lines(again.stdout)[-1] == {"built": "vfs-demo"}
    assert read_entry(tmp_path / "mine.yml").is_built("vfs-demo")


def test_what_another_list_of_layers_built_is_told(entry: CatalogEntry) -> None:
    assert why_anew(entry) == ""
    entry.build("vfs-demo")
    assert why_anew(entry) == ""
    entry.file.write_text(entry.file.read_text().replace("vfs-demo, layers: [stage4]", "vfs-demo, layers: [stage3]"))
    changed = read_entry(entry.file)
    assert "asks for stage3 too" in why_anew(changed, "vfs-demo")
    assert why_anew(changed, "vfs-demo-class") == ""
    entry.store_path("vfs-demo").rename(entry.store_path("vfs-demo").with_name("mine-vfs-demo-00000000.zarr"))
    assert "another version of vfs-demo" in why_anew(entry, "vfs-demo")


def test_arguments_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "file" in capsys.readouterr().err
