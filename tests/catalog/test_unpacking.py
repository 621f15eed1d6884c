"""Honest archives come out whole; hostile ones leave nothing, neither inside nor outside their folder."""

import gzip
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.catalog.archives import FILES, KINDS, member, tar_bytes, write, zip_bytes
from vfs_panel.catalog import contents, space, unpacking
from vfs_panel.catalog.unpacking import unpack
from vfs_panel.errors import CatalogError

LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE


def found(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def left(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.suffix != ".lock"}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_archive(tmp_path: Path, name: str) -> None:
    archive, seen = write(tmp_path / name, KINDS[name]()), []
    folder = unpack(archive, tmp_path / "deep" / "set", progress=lambda *n: seen.append(n))
    assert folder == tmp_path / "deep" / "set"
    assert found(folder) == FILES  # and the zip inside is a zip still
    assert seen[-1][0] > 0
    assert all(done <= total for done, total in seen)
    assert left(folder.parent) == {"set"}


@pytest.mark.parametrize("name", ["set.zip", "set.tar"])
def test_rights_and_owners_are_ours(tmp_path: Path, name: str) -> None:
    folder = unpack(write(tmp_path / name, KINDS[name]()), tmp_path / "set")
    was = os.umask(0)
    os.umask(was)
    for file in [folder, *folder.rglob("*")]:
        expected = (0o777 if file.is_dir() else 0o666) & ~was
        assert stat.S_IMODE(file.stat().st_mode) == expected
        assert file.stat().st_uid == os.getuid()


def test_a_single_packed_file(tmp_path: Path) -> None:
    folder = unpack(write(tmp_path / "boxes.csv.gz", gzip.compress(b"a,b\n")), tmp_path / "boxes")
    assert found(folder) == {"boxes.csv": b"a,b\n"}


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    archive = write(tmp_path / "set.zip", KINDS["set.zip"]())
    folder = unpack(archive, tmp_path / "set")
    (folder / "labels.csv").write_text("mine")
    unpack(archive, folder)
    assert (folder / "labels.csv").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert found(unpack(write(tmp_path / "set.zip", KINDS["set.zip"]()), tmp_path / "set")) == FILES


def test_links_within_become_files(tmp_path: Path) -> None:
    links = [
        member("a/again.jpg", LINK, "../photo/cat/1.jpg"),
        member("third.jpg", LINK, "a/again.jpg"),
        member("fourth.jpg", HARD, "photo/cat/1.jpg"),
    ]
    folder = unpack(write(tmp_path / "set.tar", tar_bytes(*links, data=FILES)), tmp_path / "set")
    for name in ("a/again.jpg", "third.jpg", "fourth.jpg"):
        assert not (folder / name).is_symlink()
        assert (folder / name).read_bytes() == FILES["photo/cat/1.jpg"]
    data, modes = {**FILES, "again.jpg": b"photo/cat/1.jpg"}, {"again.jpg": stat.S_IFLNK | 0o777}
    other = unpack(write(tmp_path / "set.zip", zip_bytes(data, modes)), tmp_path / "other")
    assert (other / "again.jpg").read_bytes() == FILES["photo/cat/1.jpg"]


HOSTILE_NAMES = [
    ("../out.txt", "leads out"), ("a/../../out.txt", "leads out"), ("a/../b.txt", "leads out"),
    ("/tmp/out.txt", "absolute path"), ("C:/out.txt", "absolute path"), ("c:out.txt", "absolute path"),
    ("..\\out.txt", "backslash"), ("a\nb.txt", "control character"), ("PHOTO/cat/3.jpg", "one place"),
    ("photo/cat/1.JPG", "one place"), ("photo/cat/1.jpg", "one place"), ("photo/cat/1.jpg.", "one place"),
    ("photo/cat/1.jpg/x", "one place"), ("photo/cat", "one place"), ("labels.csv/", "one place"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(("name", "words"), HOSTILE_NAMES)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_names(tmp_path: Path, kind: str, name: str, words: str) -> None:
    if kind == "zip":
        stream = io.BytesIO(zip_bytes(FILES))
        with zipfile.ZipFile(stream, "a") as file:
            file.writestr(name, b"")
        archive = write(tmp_path / "set.zip", stream.getvalue())
    else:
        extra = member(name, tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE)
        archive = write(tmp_path / "set.tar", tar_bytes(extra, data=FILES))
    with pytest.raises(CatalogError, match=rf"{words}.*Nothing was installed. It is not what the entry says"):
        unpack(archive, tmp_path / "inner" / "set")
    assert left(tmp_path) == {archive.name, "inner"}
    assert left(tmp_path / "inner") == set()


def test_accents_composed_in_two_ways_are_one_name(tmp_path: Path) -> None:
    archive = write(tmp_path / "set.zip", zip_bytes({"caf\u00e9.jpg": b"1", "cafe\u0301.jpg": b"2"}))
    with pytest.raises(CatalogError, match="one place"):
        unpack(archive, tmp_path / "set")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([member("out", LINK, "/etc")], "link that leads out"),
        ([member("out", LINK, "../../etc/passwd")], "link that leads out"),
        ([member("a/out", LINK, "../../x")], "link that leads out"),
        ([member("out", HARD, "../x")], "link that leads out"),
        ([member("out", LINK, "photo"), member("out/3.jpg", tarfile.REGTYPE)], "one place"),
        ([member("out", LINK, "photo")], "to what is no file of it"),
        ([member("one", LINK, "two"), member("two", LINK, "one")], "to what is no file of it"),
        ([member("null", tarfile.CHRTYPE)], "no file, folder or link"),
        ([member("disk", tarfile.BLKTYPE)], "no file, folder or link"),
        ([member("pipe", tarfile.FIFOTYPE)], "no file, folder or link"),
    ],
)
def test_hostile_links_and_devices(tmp_path: Path, members: list[tarfile.TarInfo], words: str) -> None:
    archive = write(tmp_path / "set.tar", tar_bytes(*members, data=FILES))
    with pytest.raises(CatalogError, match=words):
        unpack(archive, tmp_path / "set")
    assert left(tmp_path) == {"set.tar"}


@pytest.mark.parametrize(
    ("mode", "target", "words"),
    [(stat.S_IFLNK, b"../../etc/passwd", "leads out"), (stat.S_IFCHR, b"", "no file, folder or link")],
)
def test_hostile_modes_in_a_zip(tmp_path: Path, mode: int, target: bytes, words: str) -> None:
    archive = write(tmp_path / "set.zip", zip_bytes({"a": b"1", "x": target}, {"x": mode | 0o777}))
    with pytest.raises(CatalogError, match=words):
        unpack(archive, tmp_path / "set")
    assert left(tmp_path) == {"set.zip"}


def _many_empty() -> bytes:
    info = [tarfile.TarInfo(f"{number:06}") for number in range(2000)]
    return gzip.compress(tar_bytes(*info))


def _huge_header() -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("set.zip", lambda: zip_bytes({"zeros": bytes(4_000_000)})),
        ("set.tar.gz", lambda: gzip.compress(tar_bytes(data={"zeros": bytes(4_000_000)}))),
        ("zeros.gz", lambda: gzip.compress(bytes(4_000_000))),
        ("empty.tgz", _many_empty),
        ("header.tar", _huge_header),
    ],
)
def test_bombs(tmp_path: Path, name: str, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_SMALL_BYTES", 1 << 20)
    archive = write(tmp_path / name, make())  # type: ignore[operator]
    with pytest.raises(CatalogError, match="are meant to fill a"):
        unpack(archive, tmp_path / "set")
    assert left(tmp_path) == {name}


def test_what_is_well_packed_is_no_bomb(tmp_path: Path) -> None:
    archive = write(tmp_path / "masks.gz", gzip.compress(bytes(10_000_000)))
    assert (unpack(archive, tmp_path / "set") / "masks").stat().st_size == 10_000_000


def test_a_zip_that_lies_about_its_sizes(tmp_path: Path) -> None:
    honest = zip_bytes({"a": bytes(5000)})
    size = (5000).to_bytes(4, "little")
    archive = write(tmp_path / "set.zip", honest.replace(size, (50).to_bytes(4, "little")))
    with pytest.raises(CatalogError, match="damaged"):
        unpack(archive, tmp_path / "set")


@pytest.mark.parametrize("name", [*KINDS, "boxes.gz"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_half_an_archive(tmp_path: Path, name: str, share: float) -> None:
    noise = {"a/1.jpg": np.random.default_rng(0).bytes(30_000), "a/2.jpg": np.random.default_rng(1).bytes(30_000)}
    make = {"set.zip": zip_bytes, "boxes.gz": lambda data: gzip.compress(data["a/1.jpg"])}
    whole = make[name](noise) if name in make else _packed(name, noise)
    # A tar of itself ends in zeros that may well be missing.
    cut = write(tmp_path / name, whole[: int(len(whole.rstrip(b"\0") if name == "set.tar" else whole) * share)])
    with pytest.raises(CatalogError, match=r"damaged archive.*Nothing was installed. Remove it and fetch it again"):
        unpack(cut, tmp_path / "set")
    assert left(tmp_path) == {name}


def _packed(name: str, data: dict[str, bytes]) -> bytes:
    import bz2
    import lzma

    pack = {"set.tar": bytes, "set.tar.xz": lzma.compress, "set.tar.bz2": bz2.compress}.get(name, gzip.compress)
    return pack(tar_bytes(data=data))


def test_damaged_archives_never_end_in_anything_but_words(tmp_path: Path) -> None:
    """Bytes are changed at random; either it is seen, or the bytes did not matter."""
    rng = np.random.default_rng(3)
    for name, make in KINDS.items():
        whole = make()
        for trial in range(12):
            bad = bytearray(whole)
            for place in rng.integers(0, min(len(bad), 3000), 4):
                bad[place] = rng.integers(256)
            archive, folder = write(tmp_path / name, bytes(bad)), tmp_path / f"{name}-{trial}"
            try:
                unpack(archive, folder)
            except CatalogError as error:
                assert "Nothing was installed" in str(error)  # noqa: PT017
                assert not folder.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"<!doctype html>", "is a web page, no archive"), (b"hello", "starts with b'hello', no archive"), (b"", "b''")],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(CatalogError, match=words):
        unpack(write(tmp_path / "set.zip", content), tmp_path / "set")


def test_archives_that_cannot_be_used(tmp_path: Path) -> None:
    locked = bytearray(zip_bytes({"a": b"1"}))
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        locked[locked.index(mark) + place] |= 1
    with pytest.raises(CatalogError, match=r"is encrypted.*with its password"):
        unpack(write(tmp_path / "locked.zip", bytes(locked)), tmp_path / "set")
    with pytest.raises(CatalogError, match="holds no file"):
        unpack(write(tmp_path / "none.zip", zip_bytes({})), tmp_path / "set")
    with pytest.raises(CatalogError, match="does not exist"):
        unpack(tmp_path / "missing.zip", tmp_path / "set")
    (tmp_path / "file").touch()
    with pytest.raises(CatalogError, match="Move it away"):
        unpack(write(tmp_path / "set.zip", KINDS["set.zip"]()), tmp_path / "file")


@pytest.mark.parametrize("name", ["set.zip", "set.tgz"])
def test_the_disk_is_looked_at_first(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write(tmp_path / name, KINDS[name]())
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 100_000))
    with pytest.raises(CatalogError, match=rf"What {name} holds needs 1 MB .*less than 1 MB is free"):
        unpack(archive, tmp_path / "set")
    assert left(tmp_path) == {name}


SLOW = """
import os, sys, time
from pathlib import Path
from vfs_panel.catalog.unpacking import unpack
def wait(done, total):
    print("begun", flush=True)
    time.sleep(30)
unpack(Path(sys.argv[1]), Path(sys.argv[2]), progress=wait)
"""


def test_a_killed_process_leaves_nothing_for_long(tmp_path: Path) -> None:
    archive, folder = write(tmp_path / "set.zip", KINDS["set.zip"]()), tmp_path / "out" / "set"
    process = subprocess.Popen([sys.executable, "-c", SLOW, archive, folder], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    second = threading.Thread(target=unpack, args=(archive, folder))
    second.start()
    time.sleep(0.1)
    assert second.is_alive()  # it waits for its turn
    assert left(folder.parent) == {".set.unpacking"}
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    second.join(20)
    assert found(folder) == FILES
    assert left(folder.parent) == {"set"}


def test_limits_are_those_that_are_described() -> None:
    assert unpacking._MAX_RATIO == 100
    assert contents._HEADER_BYTES <= 16 << 20
