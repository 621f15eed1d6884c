"""`vfs-panel store`: what it prints, and what it makes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from vfs_panel.cli import run
from vfs_panel.features import extract, open_store, verify
from vfs_panel.features.layout import chunk_file


def ok(*arguments: object) -> None:
    assert run([str(argument) for argument in arguments]) == 0


def test_info_says_what_made_it(tiny_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ok("store", "info", tiny_store)
    out = capsys.readouterr().out
    for words in (
        "schema 2, written by vfs_panel", "network: vfs-demo, weights vfs_demo.pt (sha256 ", '"crop_px": [224, 224]',
        "torch ", "zarr ", "domain: photo 6, sketch 6", "label: cat 4, dog 4, house 4", "pictures: 12",
    ):  # fmt: skip
        assert words in out, words
    rows = [line.split() for line in out.splitlines() if line.startswith("stage")]
    assert [row[:4] for row in rows] == [
        ["stage3", "128×14×14", "16×16", rows[0][3]],
        ["stage4", "160×7×7", "32×32", rows[1][3]],
    ]
    assert rows[0][3:5] == ["-", "float16"]


def test_info_names_broken_pictures_findings_and_losses(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "list.csv"
    names = sorted(f.relative_to(picture_folder).as_posix() for f in picture_folder.rglob("*.png"))
    (tmp_path / "broken.png").write_bytes((picture_folder / names[0]).read_bytes()[:90])
    lines = [f"{picture_folder / name},{'Mass|Nodule' if i % 2 else ''},s{i % 3}" for i, name in enumerate(names)]
    table.write_text("path,Finding Labels,scanner\n" + "\n".join(line.split("/", 1)[1] for line in lines) + "\n")
    # Paths start at the root, which is the list's folder for this once.
    from vfs_panel.images.dataset import ImageDataset

    images = ImageDataset.from_table(table, "/", findings="Finding Labels")
    store = extract("vfs-demo", images, layers=["stage4"], out=tmp_path / "s.zarr", dtype="int8")
    ok("store", "info", store.path)
    out = capsys.readouterr().out
    assert "findings: Mass 6, Nodule 6" in out
    assert "scanner: s0 4, s1 4, s2 4" in out
    assert "int8 takes " in out
    ok("store", "subset", store.path, "--out", tmp_path / "m.zarr", "--where", "findings=Mass", "--where", "scanner=s1")
    half = open_store(tmp_path / "m.zarr")
    assert half.findings is not None
    assert half.findings["Mass"].all()
    assert set(half.index["scanner"]) == {"s1"}


def test_subset_convert_and_zip(tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cats.zarr.zip"
    ok(
        "store",
        "subset",
        tiny_store,
        "--out",
        file,
        "--where",
        "label=cat",
        "--layer",
        "stage4",
        "--dtype",
        "int8",
        "--compress",
    )
    ok("verify", file)
    assert "1 block, sound; 4 pictures." in capsys.readouterr().out
    ok("store", "info", file)
    assert "int8, zstd" in capsys.readouterr().out
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(open_store(tiny_store).index.index[:3]) + "\n\n")
    ok("store", "subset", tiny_store, "--out", tmp_path / "three.zarr", "--images", ids)
    assert open_store(tmp_path / "three.zarr").n_images == 3
    ok("store", "convert", tiny_store, "--out", tmp_path / "f.zarr", "--dtype", "float32", "--no-compress")
    np.testing.assert_array_equal(
        open_store(tmp_path / "f.zarr").read("stage3", slice(0, 12)),
        open_store(tiny_store).read("stage3", slice(0, 12)),
    )


def test_import(tmp_path: Path, picture_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(0).standard_normal((12, 6, 4, 4)).astype(np.float32)
    group = zarr.open_group(str(tmp_path / "old"), mode="w", zarr_format=2)
    group.create_array("conv5", data=values)
    ok(
        "store", "import", tmp_path / "old", "--out", tmp_path / "new.zarr", "--images", picture_folder, "--layer",
        "conv5=features.12", "--model", "squeezenet1_1",
    )  # fmt: skip
    store = open_store(tmp_path / "new.zarr")
    assert (store.layers, store.network) == (["features.12"], "squeezenet1_1")
    assert store.index["domain"].value_counts().to_dict() == {"photo": 6, "sketch": 6}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["store", "subset", "S", "--out", "x.zarr"], "Say what to take"),
        (["store", "subset", "S", "--out", "x.zarr", "--where", "label"], "expected COLUMN=VALUE"),
        (["store", "subset", "S", "--out", "x.zarr", "--where", "label=cow"], "there is, for example, cat, dog, house"),
        (["store", "subset", "S", "--out", "x.zarr", "--images", "none.txt"], "cannot be read as a list of ids"),
        (["store", "convert", "S", "--out", "S"], "the store itself"),
        (["store", "convert", "nothing.zarr", "--out", "x.zarr"], "There is no store"),
        (["store", "import", "nothing", "--out", "x.zarr"], "There is no Zarr"),
        (["extract", "P", "--model", "vfs-demo", "--out", "x.zarr"], "No layer was named"),
        (["extract", "P", "--model", "vfs-demo", "--out", "x.zarr", "--layer", "stag*9"], "No layer fits"),
        (["extract", "P", "--model", "vfs-demo", "--out", "n.zarr", "--append"], "There is no store"),
        (["extract", "P", "--model", "hub/a/b:c", "--out", "x.zarr", "--layer", "a"], "trust"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    words: str,
    tiny_store: Path,
    picture_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"S": str(tiny_store), "P": str(picture_folder)}
    assert run([places.get(argument, argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line
    assert not (tmp_path / "x.zarr").exists()
    assert verify(tiny_store).ok


def test_repair_and_append_by_command(tiny_store: Path, picture_folder: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "pictures"
    shutil.copytree(picture_folder, folder)
    shutil.rmtree(folder / "sketch" / "dog")
    command = [sys.executable, "-m", "vfs_panel.cli"]
    make = [*command, "extract", "pictures", "--model", "vfs-demo", "--layer", "stage[34]", "--out", "s.zarr"]
    subprocess.run(make, cwd=tmp_path, check=True)
    shutil.copytree(picture_folder / "sketch" / "dog", folder / "sketch" / "dog")
    refused = subprocess.run(make, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--append" in refused.stderr
    subprocess.run([*make, "--append"], cwd=tmp_path, check=True)
    store = open_store(tmp_path / "s.zarr")
    assert (store.n_images, store.layers) == (12, ["stage3", "stage4"])
    file = chunk_file(tmp_path / "s.zarr", "stage3", "features", 0, 4)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(bytes(data))
    found = subprocess.run([*command, "verify", "s.zarr"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert found.returncode == 2
    assert "1 problem found" in found.stderr
    assert "--repair" in found.stderr
    subprocess.run([*command, "verify", "s.zarr", "--repair"], cwd=tmp_path, check=True)
    assert verify(tmp_path / "s.zarr").ok
