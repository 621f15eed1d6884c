"""Data sets are fetched by the command line: resumed, checked, unpacked; and nothing is half installed."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.catalog.archives import tar_bytes, zip_bytes
from tests.catalog.conftest import Site
from vfs_panel.catalog import CatalogEntry, read_entry
from vfs_panel.catalog.places import set_folder, weights_file
from vfs_panel.cli import run
from vfs_panel.errors import CatalogError, StoreError
from vfs_panel.features.zipped import write_zip
from vfs_panel.models.bundled_networks import WEIGHTS_FOLDER
from vfs_panel.settings import settings

NETWORK = {"name": "vfs-demo", "layers": ["stage4"]}


@pytest.fixture
def archive(picture_folder: Path) -> bytes:
    """The small pictures as a zip, below a folder `all`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for picture in sorted(picture_folder.rglob("*.png")):
            file.write(picture, f"all/{picture.relative_to(picture_folder)}")
    return stream.getvalue()


def facts(content: bytes) -> dict[str, object]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def entry_of(folder: Path, *files: dict[str, object], networks: list[dict[str, object]] | None = None, **fields: object
             ) -> CatalogEntry:  # fmt: skip
    pictures = fields.pop("pictures", None) or {"source": "fetched", "files": list(files), "folder": "set/all"}
    text = yaml.safe_dump({"title": "My set", "pictures": pictures, "networks": networks or [NETWORK], **fields})
    (folder / "mine.yml").write_text(text)
    return read_entry(folder / "mine.yml")


def command(verb: str, entry: CatalogEntry, *more: str) -> int:
    return run(["catalog", verb, entry.name, *more, "--catalog", str(entry.file)])


def installed() -> list[str]:
    """All files in the cache folder, but for downloads that will go on, and locks."""
    found = (file for file in settings().cache_dir.rglob("*") if file.is_file())
    return [file.name for file in found if not file.name.endswith((".part", ".json", ".lock"))]


def test_a_download_that_is_cut_goes_on_and_the_set_is_built(
    site: Site, archive: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = entry_of(tmp_path, {"url": site.put("set.zip", archive), **facts(archive)})
    needs = entry.needs()
    assert (needs.step, needs.download_bytes, needs.place) == ("fetch", len(archive), set_folder(entry))
    assert needs.text == "Download 1 MB (My set), then extract the features."
    assert needs.command == f"vfs-panel catalog fetch mine --catalog {entry.file}"
    assert command("build", entry) == 2  # it fetches nothing by itself, and says the command
    assert needs.command in capsys.readouterr().err

    site.cuts.append("set.zip")
    assert command("fetch", entry) == 2
    assert "the connection was cut" in capsys.readouterr().err
    assert installed() == []
    assert 0 < (entry.needs().download_bytes or 0) < len(archive)
    with pytest.raises(CatalogError, match="not there yet"):
        entry.images()

    assert command("fetch", entry) == 0
    assert site.ranges("set.zip") == ["", f"bytes={len(archive) // 2}-"]
    assert "Next: vfs-panel catalog build mine" in capsys.readouterr().err
    assert not (set_folder(entry) / ".downloads").exists()
    images = entry.images()
    assert (len(images), set(images.table["domain"])) == (12, {"photo", "sketch"})
    assert (entry.needs().step, entry.needs().download_bytes) == ("build", 0)
    assert command("fetch", entry) == 0  # nothing left to do
    assert len(site.asked) == 2

    assert command("build", entry) == 0
    assert entry.needs().step == "nothing"
    assert entry.store().n_images == 12
    assert run(["catalog", "list", "--catalog", str(entry.file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(" nothing")
    assert command("show", entry) == 0
    shown = capsys.readouterr().out
    assert "set.zip: http://127.0.0.1" in shown
    assert "checked by SHA-256; there" in shown


def test_progress_in_one_number(site: Site, archive: bytes, tmp_path: Path) -> None:
    entry = entry_of(tmp_path, {"url": site.put("set.zip", archive), **facts(archive)})
    seen: list[tuple[int, int]] = []
    entry.fetch(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 * len(archive), 2 * len(archive))
    assert seen == sorted(seen)


def spoiled_sha256(site: Site, archive: bytes) -> tuple[dict[str, object], str]:
    return {"url": site.put("set.zip", archive), "sha256": "0" * 64}, "its sha256 is"


def spoiled_md5(site: Site, archive: bytes) -> tuple[dict[str, object], str]:
    return {"url": site.put("set.zip", archive), "md5": "0" * 32}, "its md5 is"


def spoiled_size(site: Site, archive: bytes) -> tuple[dict[str, object], str]:
    return {"url": site.put("set.zip", archive), "size": 7}, "expected 7"


def missing_file(site: Site, archive: bytes) -> tuple[dict[str, object], str]:
    return {"url": f"{site.url}/set.zip"}, "404"


def page_instead_of_an_archive(site: Site, archive: bytes) -> tuple[dict[str, object], str]:
    return {"url": site.put("set.zip", "<html>Please sign in</html>")}, "archive"


def zip_that_leads_out(site: Site, archive: bytes) -> tuple[dict[str, object], str]:
    return {"url": site.put("set.zip", zip_bytes({"all/1.png": b"1", "../../../out.txt": b"2"}))}, "out"


def tar_that_leads_out(site: Site, archive: bytes) -> tuple[dict[str, object], str]:
    return {"url": site.put("set.tar", tar_bytes(data={"all/1.png": b"1", "/tmp/out.txt": b"2"}))}, "out"


def damaged_archive(site: Site, archive: bytes) -> tuple[dict[str, object], str]:
    return {"url": site.put("set.zip", archive[:1000] + bytes(500) + archive[1500:])}, "set.zip"


@pytest.mark.parametrize(
    "spoil",
    [
        spoiled_sha256, spoiled_md5, spoiled_size, missing_file, page_instead_of_an_archive, zip_that_leads_out,
        tar_that_leads_out, damaged_archive,
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_not_installed(
    site: Site, archive: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: object
) -> None:
    file, says = spoil(site, archive)  # type: ignore[operator]
    entry = entry_of(tmp_path, {"into": "set", **file})
    assert command("fetch", entry) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.endswith(": done.")]
    assert says in line
    assert not (set_folder(entry) / "set").exists()
    assert not list(tmp_path.rglob("out.txt"))
    assert installed() == []
    assert entry.needs().step == "fetch"


def test_a_disk_without_room_is_told_before_anything_is_loaded(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = entry_of(tmp_path, {"url": f"{site.url}/set.zip", "size": 10**15})
    assert command("fetch", entry) == 2
    assert "My set needs 2000000.0 GB on the disk of" in capsys.readouterr().err
    assert site.asked == []
    assert installed() == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_disk_that_is_really_full(site: Site, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", disk], check=False).returncode:
        pytest.skip("may not mount a small disk here")
    content = tar_bytes(data={"all/1.png": os.urandom(300_000)})
    entry = entry_of(tmp_path, {"url": site.put("set.tar", content)})  # no size: nothing can be known beforehand
    fetch = [sys.executable, "-m", "vfs_panel.cli", "catalog", "fetch", "mine", "--catalog", str(entry.file)]
    script = f'mount -t tmpfs -o size=450k none {disk}; "$@"; echo $?; find {disk} -name "*.png"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *fetch],
        capture_output=True, text=True, check=False, env=os.environ | {"VFS_CACHE_DIR": str(disk)},
    )  # fmt: skip
    assert done.stdout == "2\n", done.stderr
    assert "free" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_what_only_a_person_can_get(
    site: Site, archive: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = b"path,label\nphoto/cat/0.png,tabby\n"
    entry = entry_of(
        tmp_path, {"name": "set.zip", **facts(archive)}, {"url": site.put("l.csv", labels)},
        access="Sign in at https://example.org, and get both files.",
    )  # fmt: skip
    needs = entry.needs()
    assert (needs.step, needs.place) == ("by hand", set_folder(entry))
    assert needs.text.startswith("Sign in at https://example.org, and get both files. Put set.zip into ")
    assert needs.command in needs.text
    assert command("fetch", entry) == 2
    assert f"Put set.zip into {set_folder(entry)}" in capsys.readouterr().err
    assert (set_folder(entry) / "l.csv").read_bytes() == labels  # what can be had is there

    place = needs.place
    assert place is not None
    (place / "set.zip").write_bytes(archive[:-1])
    assert (entry.needs().step, entry.needs().download_bytes) == ("fetch", 0)
    assert command("fetch", entry) == 2
    assert "expected" in capsys.readouterr().err
    assert not (place / "set").exists()
    (place / "set.zip").write_bytes(archive)
    assert command("fetch", entry) == 0
    assert len(entry.images()) == 12
    assert (place / "set.zip").exists()  # a person's file stays

    again = entry_of(tmp_path, {"name": "set.zip", "md5": hashlib.md5(archive).hexdigest()}, access="Ask.")
    elsewhere = tmp_path / "downloads"
    elsewhere.mkdir()
    assert command("fetch", again, "--from", str(elsewhere)) == 2
    (elsewhere / "set.zip").write_bytes(archive)
    assert command("fetch", again, "--from", str(elsewhere)) == 0
    assert len(again.images()) == 12
    assert command("fetch", again, "--from", str(elsewhere / "no")) == 2


def test_a_checkpoint_is_fetched_and_used(
    site: Site, picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (WEIGHTS_FOLDER / "vfs_demo.pt").read_bytes()
    networks: list[dict[str, object]] = [
        {**NETWORK, "weights": {"url": site.put("net.pt", content), **facts(content)}},
        {"name": "squeezenet1_1", "layers": ["features"], "weights": {"name": "own.pt"}, "access": "Train it"},
    ]
    entry = entry_of(tmp_path, networks=networks, pictures={"source": "folder", "path": str(picture_folder)})
    assert entry.needs("vfs-demo").text == "Download 2 MB (weights of vfs-demo), then extract the features."
    assert entry.needs("squeezenet1_1").step == "by hand"
    assert command("build", entry) == 2
    capsys.readouterr()
    assert command("fetch", entry) == 0
    said = capsys.readouterr().err
    place = weights_file(entry.network("squeezenet1_1"))
    assert place is not None
    assert f"To see the pictures with squeezenet1_1: Train it. Put own.pt into {place.parent}" in said
    assert command("fetch", entry, "--network", "squeezenet1_1") == 2
    capsys.readouterr()
    assert command("build", entry) == 0  # what can be built
    assert "cannot be built with squeezenet1_1 yet" in capsys.readouterr().err
    assert entry.store("vfs-demo").spec("stage4").weights == "net.pt"
    assert Path(str(entry.weights("vfs-demo"))).read_bytes() == content


def features(site: Site, kept_store: Path, name: str = "set.zarr.zip") -> dict[str, object]:
    zipped = site.root / name
    write_zip(kept_store, zipped)
    return {"source": "downloaded", "url": f"{site.url}/{name}", **facts(zipped.read_bytes())}


def test_ready_made_features_are_downloaded(site: Site, kept_store: Path, picture_folder: Path, tmp_path: Path) -> None:
    network = {**NETWORK, "features": features(site, kept_store)}
    entry = entry_of(tmp_path, networks=[network], pictures={"source": "folder", "path": str(picture_folder)})
    needs = entry.needs()
    assert needs.step == "fetch"
    assert needs.text.startswith("Download ")
    assert needs.text.endswith(" (features by vfs-demo).")
    with pytest.raises(StoreError, match="catalog fetch mine"):
        entry.store()
    assert command("fetch", entry) == 0
    assert entry.needs().step == "nothing"
    assert entry.store().n_images == 12


def other_network(tmp_path: Path) -> dict[str, object]:
    return {"name": "vfs-demo-class", "layers": ["stage4"]}


def other_weights(tmp_path: Path) -> dict[str, object]:
    """The same network, retrained, in a file of the same name."""
    import torch

    state = torch.load(WEIGHTS_FOLDER / "vfs_demo.pt", weights_only=True)
    held = state.get("state_dict", state)
    next(value for value in held.values() if value.is_floating_point()).mul_(2)
    torch.save(state, tmp_path / "vfs_demo.pt")
    return {**NETWORK, "weights": str(tmp_path / "vfs_demo.pt")}


def other_layers(tmp_path: Path) -> dict[str, object]:
    return {"name": "vfs-demo", "layers": ["stage2"]}


@pytest.mark.parametrize("other", [other_network, other_weights, other_layers])
def test_features_of_another_network_or_version_are_refused(
    site: Site,
    kept_store: Path,
    picture_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    other: object,
) -> None:
    network = {**other(tmp_path), "features": features(site, kept_store)}  # type: ignore[operator]
    entry = entry_of(tmp_path, networks=[network], pictures={"source": "folder", "path": str(picture_folder)})
    assert command("fetch", entry) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "was made by" in line or "holds layers" in line
    assert "The store was removed." in line
    assert not entry.store_path().exists()
    # The same store in the place of one that was built here is not taken for it either.
    del network["features"]
    here = entry_of(tmp_path, networks=[network], pictures={"source": "folder", "path": str(picture_folder)})
    shutil.copytree(kept_store, here.store_path())
    if other is not other_weights:
        with pytest.raises(StoreError, match=r"was made by|not built yet"):
            here.store()


def test_features_on_the_web_are_read_in_their_place(
    site: Site, kept_store: Path, picture_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(kept_store, site.root / "set.zarr")
    network = {**NETWORK, "features": {"source": "remote", "url": f"{site.url}/set.zarr"}}
    entry = entry_of(tmp_path, networks=[network], pictures={"source": "folder", "path": str(picture_folder)})
    assert entry.needs().step == "nothing"
    assert entry.store().n_images == 12
    assert installed() == []
