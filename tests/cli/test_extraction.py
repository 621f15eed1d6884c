"""`extract` and `verify`: a folder becomes a store, by one command, whether or not it is interrupted."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vfs_panel.cli import run
from vfs_panel.features import open_store


def _arguments(pictures: Path, out: Path, *more: str) -> list[str]:
    return ["extract", str(pictures), "--model", "vfs-demo", "--layer", "stage4", "--out", str(out), *more]


def test_folders_are_domains_and_labels(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "f.zarr"
    assert run([*_arguments(picture_folder, out, "--dtype", "float32", "--layer", "stage3")]) == 0
    store = open_store(out)
    assert store.layers == ["stage4", "stage3"]
    assert store.spec("stage3").dtype == "float32"
    assert list(store.index.groupby(["domain", "label"]).size()) == [2] * 6
    assert "12 pictures" in capsys.readouterr().err
    assert run(["verify", str(out)]) == 0
    assert "all sound" in capsys.readouterr().out


def test_labels_from_a_table(picture_folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label,camera\nphoto/cat/0.png,feline,A\nsketch/dog/1.png,canine,B\n")
    out = tmp_path / "f.zarr"
    assert run(_arguments(picture_folder, out, "--labels", str(labels), "--domain", "camera")) == 0
    index = open_store(out).index
    assert list(index["label"]) == ["feline", "canine"]
    assert list(index["domain"]) == ["A", "B"]


def test_what_is_no_picture_is_named_and_left_out(
    picture_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pictures = Path(shutil.copytree(picture_folder, tmp_path / "pictures"))
    (pictures / "photo" / "cat" / "notes.txt").write_text("no picture")
    whole = (pictures / "photo/cat/0.png").read_bytes()
    (pictures / "photo/cat/0.png").write_bytes(whole[: len(whole) // 2])
    assert run(_arguments(pictures, tmp_path / "f.zarr")) == 0
    printed = capsys.readouterr().err
    assert "photo/cat/notes.txt" in printed
    assert "photo/cat/0.png" in caplog.text
    assert "11 pictures, 1 more could not be read" in printed


def test_killed_and_started_again_it_gives_the_same(picture_folder: Path, tmp_path: Path) -> None:
    out, unbroken = tmp_path / "f.zarr", tmp_path / "unbroken.zarr"
    program = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may have it ignored in the background
        "from vfs_panel.cli import main\n"
        "from vfs_panel.features.writer import StoreWriter\n"
        "write = StoreWriter.write_block\n"
        "def dying(self, block, *rest):\n"
        "    if block == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    write(self, block, *rest)\n"
        "StoreWriter.write_block = dying\n"
        "main()\n"
    )
    arguments = _arguments(picture_folder, out, "--layer", "stage3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFS_BLOCK_MB", "0.16")
        killed = subprocess.run([sys.executable, "-c", program, *arguments], check=False, capture_output=True)
        assert killed.returncode == -signal.SIGKILL
        assert len(open_store(out).blocks("stage3")) == 2  # of four
        for command in (arguments, _arguments(picture_folder, unbroken, "--layer", "stage3")):
            # Both in processes of their own: with as many threads, so the same bits.
            assert subprocess.run([sys.executable, "-m", "vfs_panel.cli", *command], check=False).returncode == 0
    mine, whole = open_store(out), open_store(unbroken)
    for layer in ("stage3", "stage4"):
        np.testing.assert_array_equal(mine.read(layer, slice(0, 12)), whole.read(layer, slice(0, 12)))


def test_ctrl_c_says_how_to_go_on(picture_folder: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may have it ignored in the background
        "from vfs_panel.cli import main\n"
        "from vfs_panel.features.writer import StoreWriter\n"
        "StoreWriter.write_block = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "main()\n"
    )
    arguments = _arguments(picture_folder, tmp_path / "f.zarr")
    stopped = subprocess.run([sys.executable, "-c", program, *arguments], check=False, capture_output=True, text=True)
    assert stopped.returncode == 130
    assert stopped.stderr.splitlines() == ["Stopped. The same command goes on where it was."]
