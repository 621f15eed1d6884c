"""Files come whole and checked, or not at all; and what was loaded before is not loaded again."""

import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.catalog.fileserver import OneFile
from tests.features.servers import Servers
from vfs_panel.catalog import downloading, webfile
from vfs_panel.catalog.downloading import download
from vfs_panel.errors import CatalogError

DATA = np.random.default_rng(0).bytes(300_000)
NEWER = np.random.default_rng(1).bytes(300_000)
SHA, MD5 = hashlib.sha256(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()
HALF = 131_072  # two reads
Serve = Callable[..., tuple[str, type[OneFile]]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a server with options of `OneFile`; return the file's address and the handler."""
    monkeypatch.setattr(downloading, "_WAITS_S", (0.0,) * 5)
    servers = Servers()

    def start(**options: object) -> tuple[str, type[OneFile]]:
        fresh = {"data": DATA, "cuts": [], "statuses": [], "headers_seen": [], "go": threading.Event()}
        url, handler = servers.http(tmp_path, handler=OneFile, **{**fresh, **options})
        return f"{url}/set.zip", handler  # type: ignore[return-value]

    yield start
    servers.stop()


def ranges(handler: type[OneFile]) -> list[str]:
    return [wanted for _, wanted in handler.asked]


def nothing_but(folder: Path, *names: str) -> bool:
    return {file.name for file in folder.iterdir() if file.suffix != ".lock"} == set(names)


def test_a_file_is_loaded_checked_and_not_loaded_twice(serve: Serve, tmp_path: Path) -> None:
    url, handler = serve()
    target, seen = tmp_path / "deep" / "set.zip", []
    for _ in range(2):
        found = download(url, target, size=len(DATA), sha256=SHA.upper(), md5=MD5, progress=lambda *n: seen.append(n))
        assert found == target
    assert target.read_bytes() == DATA
    assert len(handler.asked) == 1
    assert nothing_but(target.parent, "set.zip")
    assert (seen[0], seen[-1]) == ((0, len(DATA)), (len(DATA), len(DATA)))


def test_a_target_that_is_not_the_file_is_replaced(serve: Serve, tmp_path: Path) -> None:
    url, _ = serve()
    target = tmp_path / "set.zip"
    target.write_bytes(NEWER)
    download(url, target, sha256=SHA)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("validator", [{"etag": '"1"'}, {"modified": "Sat, 01 Aug 2026 10:00:00 GMT"}])
def test_a_cut_connection_goes_on(serve: Serve, tmp_path: Path, validator: dict[str, str]) -> None:
    url, handler = serve(cuts=[HALF, 65_536], **validator)
    download(url, tmp_path / "set.zip", sha256=SHA)
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert ranges(handler) == ["", f"bytes={HALF}-", f"bytes={HALF + 65_536}-"]
    assert handler.headers_seen[1]["If-Range"] == next(iter(validator.values()))


def test_a_server_without_ranges_sends_it_all_again(serve: Serve, tmp_path: Path) -> None:
    url, handler = serve(cuts=[HALF, HALF], etag='"1"', ranges=False)
    download(url, tmp_path / "set.zip", sha256=SHA)
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert len(handler.asked) == 3


def test_a_server_that_names_no_version_is_resumed_only_if_a_hash_can_tell(serve: Serve, tmp_path: Path) -> None:
    url, handler = serve(cuts=[HALF, HALF])
    download(url, tmp_path / "a", size=len(DATA))
    download(url, tmp_path / "b", size=len(DATA), sha256=SHA)
    assert ranges(handler) == ["", "", "", ""]
    handler.cuts, handler.asked[:] = [HALF], []
    download(url, tmp_path / "c", size=len(DATA), sha256=SHA)
    assert ranges(handler) == ["", f"bytes={HALF}-"]


@pytest.mark.parametrize("if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_loaded_anew(serve: Serve, tmp_path: Path, if_range: bool) -> None:
    url, handler = serve(cuts=[HALF] * 6, etag='"1"', statuses=[], if_range=if_range)
    handler.cuts, handler.statuses = [HALF], []
    stopped = []

    def stop(done: int, _: int) -> None:
        if done >= HALF:
            stopped.append(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(url, tmp_path / "set.zip", progress=stop)
    assert stopped == [HALF]
    handler.cuts, handler.data, handler.etag = [], NEWER, '"2"'
    download(url, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == NEWER


def test_a_whole_part_is_not_asked_for_again(serve: Serve, tmp_path: Path) -> None:
    url, handler = serve(etag='"1"')
    (tmp_path / "set.zip.part").write_bytes(DATA)
    (tmp_path / "set.zip.part.json").write_text(f'{{"url": "{url}", "etag": "\\"1\\"", "total": null}}')
    download(url, tmp_path / "set.zip")  # only the server knows that this is all: 416
    assert handler.asked[0][1] == f"bytes={len(DATA)}-"
    assert (tmp_path / "set.zip").read_bytes() == DATA
    assert len(handler.asked) == 1


def test_a_broken_note_is_no_reason_to_stop(serve: Serve, tmp_path: Path) -> None:
    url, _ = serve(etag='"1"')
    (tmp_path / "set.zip.part").write_bytes(NEWER[:HALF])
    (tmp_path / "set.zip.part.json").write_text('{"url": 1')
    download(url, tmp_path / "set.zip", sha256=SHA)
    assert (tmp_path / "set.zip").read_bytes() == DATA


def test_tries_are_bounded_and_what_is_loaded_is_kept(serve: Serve, tmp_path: Path) -> None:
    url, handler = serve(cuts=[65_536] + [0] * 9, etag='"1"')
    with pytest.raises(CatalogError, match=r"connection was cut, 6 times in a row.*kept: the same command goes on"):
        download(url, tmp_path / "set.zip", size=len(DATA))
    assert len(handler.asked) == 6
    handler.cuts.clear()
    download(url, tmp_path / "set.zip", sha256=SHA)
    assert ranges(handler)[-1] == "bytes=65536-"


def test_waits_grow(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    waited: list[float] = []
    monkeypatch.setattr(downloading.time, "sleep", waited.append)
    url, _ = serve(statuses=[503, 429, 500, 502, 504, 503])
    monkeypatch.setattr(downloading, "_WAITS_S", (1.0, 2.0, 4.0, 8.0, 16.0))
    with pytest.raises(CatalogError, match=r"is busy \(status 503\), 6 times in a row"):
        download(url, tmp_path / "set.zip")
    assert [wait for wait in waited if wait >= 1] == [1, 2, 4, 8, 16]


def test_a_silent_server_is_not_waited_for_for_ever(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webfile, "_SILENT_S", 0.05)
    monkeypatch.setattr(downloading, "_WAITS_S", (0.0,))
    url, handler = serve(hold=HALF)
    with pytest.raises(CatalogError, match="silent for too long, 2 times in a row"):
        download(url, tmp_path / "set.zip")
    handler.go.set()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": NEWER}, f"its sha256 is {hashlib.sha256(NEWER).hexdigest()}, expected {SHA}. Nothing was installed"),
        ({"data": DATA[:-1]}, "it has 299,999 bytes, expected 300,000. Nothing was installed"),
        ({"data": DATA[:-1], "chunked": True}, "it has 299,999 bytes, expected 300,000. Nothing was installed"),
        ({"data": DATA + b"!", "chunked": True}, "more than the 300,000 bytes come that were announced"),
        ({"data": DATA + b"!"}, "it has 300,001 bytes, expected 300,000"),
    ],
)
def test_another_file_is_refused(serve: Serve, tmp_path: Path, options: dict[str, object], words: str) -> None:
    url, handler = serve(**options)
    with pytest.raises(CatalogError) as raised:
        download(url, tmp_path / "set.zip", size=len(DATA), sha256=SHA)
    assert words in str(raised.value)
    assert nothing_but(tmp_path)
    assert len(handler.asked) == 1


def test_a_login_page_does_not_cost_what_is_loaded(serve: Serve, tmp_path: Path) -> None:
    url, handler = serve(etag='"1"', cuts=[HALF] + [0] * 9)
    with pytest.raises(CatalogError, match="cut"):
        download(url, tmp_path / "set.zip", size=len(DATA), sha256=SHA)
    handler.cuts.clear()
    handler.data, handler.etag = b"<html>Log in to this network</html>", ""
    with pytest.raises(CatalogError, match="it has 35 bytes"):
        download(url, tmp_path / "set.zip", size=len(DATA), sha256=SHA)
    assert (tmp_path / "set.zip.part").stat().st_size == HALF


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/set.zip", "data:text/plain,x"])
def test_no_redirect_leads_off_the_web(serve: Serve, tmp_path: Path, location: str) -> None:
    url, _ = serve(location=location)
    with pytest.raises(CatalogError, match="leads to another kind of address"):
        download(url, tmp_path / "set.zip")
    assert nothing_but(tmp_path)


def test_a_redirect_on_the_web_is_followed_but_not_in_circles(serve: Serve, tmp_path: Path) -> None:
    url, handler = serve(location="/elsewhere.zip")
    download(url, tmp_path / "set.zip", sha256=SHA)
    assert [path for path, _ in handler.asked] == ["/set.zip", "/elsewhere.zip"]
    circle, _ = serve(location="/set.zip", asked=_Never())
    with pytest.raises(CatalogError, match="without end"):
        download(circle, tmp_path / "other.zip")


class _Never(list):  # type: ignore[type-arg]
    """Requests that are all the first one."""

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("status", "words"), [(404, "is not there"), (403, "without an account"), (400, "answered by status 400")]
)
def test_refusals_say_what_to_do(serve: Serve, tmp_path: Path, status: int, words: str) -> None:
    url, handler = serve(statuses=[status])
    with pytest.raises(CatalogError) as raised:
        download(f"{url}?token=s3cr3t", tmp_path / "set.zip")
    assert words in str(raised.value)
    assert f"put it at {tmp_path / 'set.zip'}" in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert len(handler.asked) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/etc/passwd", "ftp://x/y", "https://", "s3://bucket/x"])
def test_only_the_web_is_loaded_from(tmp_path: Path, url: str) -> None:
    with pytest.raises(CatalogError, match="no address of the web"):
        download(url, tmp_path / "set.zip")


def test_nobody_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"http://127.0.0.1:9/x cannot be reached. Check the address"):
        download("http://127.0.0.1:9/x", tmp_path / "x")


def test_a_folder_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(CatalogError, match="is a folder"):
        download("http://127.0.0.1:9/x", tmp_path / "x")


def test_the_disk_is_looked_at_first(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"needs 9000000\.0 GB .* free\. Free some space, or set VFS_CACHE_DIR"):
        download("http://127.0.0.1:9/x", tmp_path / "x", size=9 * 10**15)  # nobody listens there


def test_a_size_that_only_the_server_knows_is_looked_at_too(serve: Serve, tmp_path: Path) -> None:
    url, _ = serve(length=9 * 10**15)
    with pytest.raises(CatalogError, match=r"needs 9000000\.0 GB"):
        download(url, tmp_path / "set.zip")


LOADS = """
import sys
from pathlib import Path
from vfs_panel.catalog.downloading import download
download(sys.argv[1], Path(sys.argv[2]))
"""


def test_a_killed_process_is_taken_over_by_the_one_that_waits(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, handler = serve(etag='"1"', hold=HALF)
    target, part, seen = tmp_path / "set.zip", tmp_path / "set.zip.part", []
    process = subprocess.Popen([sys.executable, "-c", LOADS, url, str(target)])
    _until(lambda: part.is_file() and part.stat().st_size == HALF)
    arguments = {"sha256": SHA, "progress": lambda *n: seen.append(n)}
    second = threading.Thread(target=download, args=(url, target), kwargs=arguments)
    with caplog.at_level(logging.WARNING):
        second.start()
        _until(lambda: bool(seen))
    assert seen[0] == (HALF, 0)
    assert "Another process is making" in caplog.text
    assert len(handler.asked) == 1
    handler.hold = None
    process.send_signal(signal.SIGKILL)
    process.wait()
    second.join(20)
    handler.go.set()
    assert target.read_bytes() == DATA
    assert ranges(handler) == ["", f"bytes={HALF}-"]


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


FULL = """
import sys
from pathlib import Path
from vfs_panel.catalog.downloading import download
from vfs_panel.catalog.unpacking import unpack
from vfs_panel.errors import CatalogError
url, folder, archive = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
def said(what):
    try: what()
    except CatalogError as error: print(error)
    print(sorted(f.name for f in folder.iterdir() if f.suffix != ".lock"))
said(lambda: download(url, folder / "set.zip"))
(folder / "set.zip.part").unlink()
said(lambda: unpack(archive, folder / "set"))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_disk_that_is_really_full(serve: Serve, tmp_path: Path) -> None:
    url, _ = serve(chunked=True)  # no size: nothing can be known beforehand
    disk, archive = tmp_path / "disk", tmp_path / "noise.gz"
    disk.mkdir()
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", disk], check=False).returncode:
        pytest.skip("may not mount a small disk here")
    import gzip

    archive.write_bytes(gzip.compress(DATA))
    script = f'mount -t tmpfs -o size=200k none {disk} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", FULL, url, str(disk), str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": "."})
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stderr
    assert lines[0].startswith(f"No space left while writing {disk / 'set.zip.part'}. What is loaded is kept")
    assert lines[1] == "['set.zip.part', 'set.zip.part.json']"
    assert lines[2].startswith(f"No space left while writing {disk / 'set'}. Nothing was installed.")
    assert "'set'" not in lines[3]
