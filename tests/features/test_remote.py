"""Stores behind URLs: the same as in a folder, and what goes wrong with them is said."""

import functools
import http.server
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vfs_panel.cli import run
from vfs_panel.errors import StoreError
from vfs_panel.features import FeatureStore, open_store, store_from_arrays, verify
from vfs_panel.search import RegionSearch
from vfs_panel.settings import settings

pytest.importorskip("aiohttp")
N = 60
# Sockets that client libraries leave to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("remote")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFS_BLOCK_MB", "0.01")
        settings.cache_clear()
        store_from_arrays(
            {"a.layer": np.maximum(rng.normal(size=(N, 16, 5, 5)), 0).astype(np.float32)}, out=root / "f.zarr",
            image=[f"p{i:02d}" for i in range(N)], domain=[f"d{i // 20}" for i in range(N)],
            label=[f"l{i % 3}" for i in range(N)],
        )  # fmt: skip
    settings.cache_clear()
    return root


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with ranges, as every web server gives them; no listing of folders."""

    ranges = True
    asked: list[str]
    wrong: dict[str, str]

    def log_message(self, *_: object) -> None:
        pass

    def list_directory(self, path: str) -> None:  # type: ignore[override]
        self.send_error(403)

    def send_head(self) -> None:
        """Send headers and body; HEAD requests get the headers."""
        self.asked.append(self.path)
        for part, what in self.wrong.items():
            if part in self.path:
                if what == "cut":
                    self.send_response(200)
                    self.send_header("Content-Length", "100000")
                    self.end_headers()
                    self.wfile.write(b"x" * 500)
                    self.wfile.flush()
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_error(int(what))
                return
        file = Path(self.translate_path(self.path))
        if not file.is_file():
            self.send_error(404)
            return
        data = file.read_bytes()
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if self.ranges else None
        if wanted:
            start = int(wanted[1])
            end = min(int(wanted[2]) + 1 if wanted[2] else len(data), len(data))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
            data = data[start:end]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self) -> None:
        """Everything is done with the headers."""
        self.send_head()

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls


Serve = Callable[..., tuple[str, type[Handler]]]


@pytest.fixture
def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setenv("no_proxy", "*")
    servers = []

    def start(root: Path = folder, **options: object) -> tuple[str, type[Handler]]:
        handler = type("Own", (Handler,), {"asked": [], "wrong": {}, **options})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(root)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", handler

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def equal(remote: FeatureStore, local: FeatureStore) -> None:
    assert remote.index.equals(local.index)
    assert (remote.layers, remote.name) == (local.layers, local.name)
    layer = local.layers[0]
    assert remote.spec(layer) == local.spec(layer)
    assert remote.blocks(layer) == local.blocks(layer)
    assert len(local.blocks(layer)) > 2
    np.testing.assert_array_equal(remote.read(layer, slice(3, 50)), local.read(layer, slice(3, 50)))
    rows = np.array([40, 2, 3, 59, 3, 17])
    np.testing.assert_array_equal(remote.read_rows(layer, rows), local.read_rows(layer, rows))
    np.testing.assert_array_equal(remote.norm2(layer), local.norm2(layer))


def found(store: FeatureStore, **options: object) -> list[str]:
    engine = RegionSearch(store, device="cpu", **options)
    mask = np.zeros((5, 5), np.float32)
    mask[1:3, 1:4] = 1
    return engine.search(engine.query("p07", mask), k=8)["image_id"].values.tolist()


@pytest.mark.parametrize("ranges", [True, False])
def test_over_http(folder: Path, serve: Serve, ranges: bool) -> None:
    url, handler = serve(ranges=ranges)
    local, remote = open_store(folder / "f.zarr"), open_store(f"{url}/f.zarr/")
    opened = len(handler.asked)
    assert opened <= 4  # round trips of a far server
    equal(remote, local)
    assert repr(remote).startswith(f"FeatureStore('{url}/f.zarr', 60 pictures")
    for scan in ("int8", "float32", "stored"):
        assert found(remote, scan=scan) == found(local, scan=scan)
    assert verify(f"{url}/f.zarr").ok


def test_over_s3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("no_proxy", "*")
        options = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": f"http://{host}:{port}"}}
        fs = pytest.importorskip("s3fs").S3FileSystem(**options)
        fs.mkdir("bucket")
        fs.put(str(folder / "f.zarr"), "bucket/sets/f.zarr", recursive=True)
        local, remote = open_store(folder / "f.zarr"), open_store("s3://bucket/sets/f.zarr", options)
        equal(remote, local)
        assert found(remote, scan="int8") == found(local, scan="int8")
        with pytest.raises(StoreError, match=r"no store at s3://bucket/none\.zarr"):
            open_store("s3://bucket/none.zarr", options)
        with pytest.raises(StoreError, match=r"s3://nobucket/f\.zarr"):
            open_store("s3://nobucket/f.zarr", options)
    finally:
        server.stop()


def test_damage_on_the_server_is_named(folder: Path, tmp_path: Path, serve: Serve) -> None:
    shutil.copytree(folder / "f.zarr", tmp_path / "f.zarr")
    files = sorted(p for p in (tmp_path / "f.zarr" / "a.layer" / "features" / "c").rglob("*") if p.is_file())
    data = bytearray(files[1].read_bytes())
    data[77] ^= 1
    files[1].write_bytes(data)
    files[2].unlink()
    url, _ = serve(tmp_path)
    store = open_store(f"{url}/f.zarr")
    spans = store.blocks("a.layer")
    with pytest.raises(StoreError, match=r"block 1 .* is damaged"):
        store.read("a.layer", spans[1])
    with pytest.raises(StoreError, match=r"block 1 .* is damaged"):
        store.read_rows("a.layer", np.array([spans[1].start + 1]))
    with pytest.raises(StoreError, match=r"block 2 .* is missing"):
        store.read("a.layer", spans[2])
    assert len(store.read("a.layer", spans[0])) == spans[0].stop
    report = verify(f"{url}/f.zarr")
    assert len(report.bad) == 2


def test_a_connection_that_breaks(folder: Path, serve: Serve) -> None:
    url, handler = serve()
    store = open_store(f"{url}/f.zarr")
    block = store.blocks("a.layer")[0]
    handler.wrong["features/c/0/"] = "cut"
    with pytest.raises(StoreError, match=r"block 0 .*cannot be read"):
        store.read("a.layer", block)
    handler.wrong["features/c/0/"] = "503"
    with pytest.raises(StoreError, match=r"block 0 .*cannot be read"):
        store.read("a.layer", block)
    handler.wrong.clear()
    assert len(store.read("a.layer", block)) == block.stop


def test_what_cannot_be_reached(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    url, handler = serve()
    with pytest.raises(StoreError, match=r"There is no store at http.*/none\.zarr"):
        open_store(f"{url}/none.zarr")
    handler.wrong["zarr.json"] = "403"
    with pytest.raises(StoreError, match="may not be read"):
        open_store(f"{url}/f.zarr")
    with pytest.raises(StoreError, match="cannot be reached"):
        open_store("http://127.0.0.1:9/f.zarr")
    with pytest.raises(StoreError, match=r"nonsense://x/f\.zarr"):
        open_store("nonsense://x/f.zarr")
    with pytest.raises(StoreError) as caught:
        open_store("http://me:hunter2@127.0.0.1:9/f.zarr")
    assert "hunter2" not in str(caught.value)
    assert run(["search", "http://127.0.0.1:9/f.zarr", "--image", "a", "--box", "0,0,1,1"]) == 2
    assert "http://127.0.0.1:9/f.zarr cannot be reached" in capsys.readouterr().err


def test_nothing_is_written_to_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="written to a folder of this machine"):
        store_from_arrays({"a": np.ones((2, 3, 2, 2), np.float32)}, out="s3://bucket/f.zarr", image=["a", "b"])
    assert os.listdir(tmp_path) == []
