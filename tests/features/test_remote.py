"""Stores behind URLs: the same as in a folder, with few requests, and what goes wrong with them is said."""

import importlib
import json
import logging
import os
import pickle
import shutil
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.features.servers import GoogleHandler, Servers
from vfs_panel.cli import run
from vfs_panel.errors import StoreError
from vfs_panel.features import FeatureStore, open_store, remote, store_from_arrays, verify
from vfs_panel.features.files import url_of
from vfs_panel.search import RegionSearch
from vfs_panel.settings import settings
from vfs_panel.words import shown

pytest.importorskip("aiohttp")
N = 60
LAYER = "layer4.2/conv"  # its folder's name has a "%"
S3 = {"key": "k", "secret": "s3cr3t", "client_kwargs": {"region_name": "us-east-1"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("remote")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFS_BLOCK_MB", "0.01")
        settings.cache_clear()
        store_from_arrays(
            {LAYER: np.maximum(rng.normal(size=(N, 16, 5, 5)), 0).astype(np.float32)}, out=root / "f.zarr",
            image=[f"p{i:02d}" for i in range(N)], domain=[f"d{i // 20}" for i in range(N)],
            label=[f"l{i % 3}" for i in range(N)],
        )  # fmt: skip
    settings.cache_clear()
    return root


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A copy of the test's own."""
    shutil.copytree(folder / "f.zarr", tmp_path / "own" / "f.zarr")
    return tmp_path / "own"


@pytest.fixture(autouse=True)
def _nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def s3(folder: Path) -> Iterator[str]:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    started = Servers()
    yield started.s3(folder, "bucket")
    started.stop()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests were made at once, one number for every round trip."""
    made: list[int] = []
    ask = remote.RemoteFiles._ask

    def counted(self: remote.RemoteFiles, requests: Any) -> list[Any]:
        made.append(len(requests))
        return ask(self, requests)

    monkeypatch.setattr(remote.RemoteFiles, "_ask", counted)
    return made


def equal(far: FeatureStore, local: FeatureStore) -> None:
    assert far.index.equals(local.index)
    assert (far.layers, far.name) == (local.layers, local.name)
    assert far.spec(LAYER) == local.spec(LAYER)
    assert far.blocks(LAYER) == local.blocks(LAYER)
    assert len(local.blocks(LAYER)) > 2
    rows = np.array([40, 2, 3, 59, 3, 17])
    for _ in range(2):  # the first time blocks are read whole, then rows alone
        np.testing.assert_array_equal(far.read_rows(LAYER, rows), local.read_rows(LAYER, rows))
        np.testing.assert_array_equal(far.read(LAYER, slice(3, 50)), local.read(LAYER, slice(3, 50)))
    np.testing.assert_array_equal(far.norm2(LAYER), local.norm2(LAYER))
    np.testing.assert_array_equal(far.norm2(LAYER, slice(7, 31)), local.norm2(LAYER, slice(7, 31)))
    np.testing.assert_array_equal(far.features(LAYER).sel(image="p07"), local.features(LAYER).sel(image="p07"))


def found(store: FeatureStore, **options: Any) -> list[str]:
    engine = RegionSearch(store, device="cpu", **options)
    mask = np.zeros((5, 5), np.float32)
    mask[1:3, 1:4] = 1
    return [str(i) for i in engine.search(engine.query("p07", mask), k=8)["image_id"].values]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("range_bytes", [1000, remote.RANGE_BYTES])
def test_over_http(
    folder: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch, ranges: bool, range_bytes: int
) -> None:
    monkeypatch.setattr(remote, "RANGE_BYTES", range_bytes)  # blocks as several requests at once
    monkeypatch.setattr(remote, "GAP_BYTES", range_bytes // 4)
    url, _ = servers.http(folder, ranges=ranges)
    local, far = open_store(folder / "f.zarr"), open_store(f"{url}/f.zarr/")
    equal(far, local)
    assert far.rows_alone(LAYER) is ranges
    assert repr(far).startswith(f"FeatureStore('{url}/f.zarr', 60 pictures")
    assert verify(f"{url}/f.zarr").bad == ()


def test_searches_are_the_same(folder: Path, servers: Servers) -> None:
    url, _ = servers.http(folder)
    local, far = open_store(folder / "f.zarr"), open_store(f"{url}/f.zarr")
    for scan in ("int8", "float32", "stored"):
        assert found(far, scan=scan) == found(local, scan=scan)


def test_over_https_with_a_certificate_of_its_own(folder: Path, servers: Servers, tmp_path: Path) -> None:
    authority = pytest.importorskip("trustme").CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    url, _ = servers.http(folder, tls=tls)
    with pytest.raises(StoreError, match=r"certificate is not trusted\. Set SSL_CERT_FILE"):
        open_store(f"{url}/f.zarr")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    equal(open_store(f"{url}/f.zarr", {"ssl": trusting}), open_store(folder / "f.zarr"))


def test_over_s3(folder: Path, s3: str) -> None:
    options = {**S3, "endpoint_url": s3}
    far = open_store("s3://bucket/f.zarr", options)
    equal(far, open_store(folder / "f.zarr"))
    assert far.path == "s3://bucket/f.zarr"
    assert open_store(Path("s3://bucket/f.zarr"), options).path == "s3://bucket/f.zarr"
    assert found(far, scan="int8") == found(open_store(folder / "f.zarr"), scan="int8")
    assert verify("s3://bucket/f.zarr", storage_options=options).ok
    again = pickle.loads(pickle.dumps(far))
    np.testing.assert_array_equal(again.norm2(LAYER), far.norm2(LAYER))


def test_s3_takes_its_keys_from_the_environment(folder: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(StoreError, match=r"s3://bucket/f\.zarr cannot be read: no credentials were found"):
        open_store("s3://bucket/f.zarr", {"skip_instance_cache": True})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    far = open_store("s3://bucket/f.zarr", {"skip_instance_cache": True})
    assert far.index.equals(open_store(folder / "f.zarr").index)


def test_what_is_not_on_s3(s3: str) -> None:
    options = {**S3, "endpoint_url": s3}
    with pytest.raises(StoreError, match=r"There is no store at s3://bucket/none\.zarr: there is no zarr.json"):
        open_store("s3://bucket/none.zarr", options)
    with pytest.raises(StoreError, match=r"There is no store at s3://nobucket/f\.zarr: .*bucket"):
        open_store("s3://nobucket/f.zarr", options)


def test_over_google_storage(folder: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    core = pytest.importorskip("gcsfs.core")
    # By default gcsfs asks what kind of bucket it is by gRPC first, which this server does not speak.
    monkeypatch.setitem(importlib.import_module("fsspec.registry")._registry, "gs", core.GCSFileSystem)
    url, _ = servers.http(folder, handler=GoogleHandler)
    options = {"token": "anon", "endpoint_url": url}
    equal(open_store("gs://bucket/f.zarr", options), open_store(folder / "f.zarr"))
    with pytest.raises(StoreError, match=r"There is no store at gs://bucket/none\.zarr"):
        open_store("gs://bucket/none.zarr", options)


def test_few_requests(folder: Path, servers: Servers, rounds: list[int]) -> None:
    url, handler = servers.http(folder)
    far = open_store(f"{url}/f.zarr")
    assert rounds == [2]  # the metadata of all; and whether ranges are known
    assert len(far.index) == N
    assert rounds == [2, 6]  # image, domain, label, split, path, broken
    blocks = far.blocks(LAYER)
    assert rounds == [2, 6]
    far.norm2(LAYER)
    assert rounds == [2, 6, len(blocks)]
    far.read(LAYER, slice(0, N))
    assert rounds[3:] == [1] * len(blocks)
    before = len(handler.asked)
    far.read_rows(LAYER, np.array([0, 1, 2, 30, 59]))
    assert rounds[3 + len(blocks) :] == [3]
    assert [wanted.split("=")[0] for _, wanted in handler.asked[before:]] == ["bytes"] * 3
    assert len(handler.asked) == sum(rounds)


def test_many_scattered_rows_do_not_overrun_a_server(
    folder: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "GAP_BYTES", -1)  # one request a row
    url, handler = servers.http(folder)
    far = open_store(f"{url}/f.zarr")
    before = far.read(LAYER, slice(0, N))
    rows = np.arange(0, N, 2).repeat(8)
    np.testing.assert_array_equal(far.read_rows(LAYER, rows), before[rows])
    assert handler.most <= 2 * remote.AT_ONCE  # a server counts an answer as done a little after its reader does


def test_a_server_without_ranges_sends_no_block_twice(
    folder: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote, "RANGE_BYTES", 1000)
    url, handler = servers.http(folder, ranges=False)
    with caplog.at_level(logging.WARNING):
        far = open_store(f"{url}/f.zarr")
    assert "does not know ranges" in caplog.text
    far.read(LAYER, slice(0, N))
    blocks = [path for path, _ in handler.asked if "/features/c/" in path]
    assert len(blocks) == len(set(blocks)) == len(far.blocks(LAYER))


def strip(place: Path, *names: str) -> None:
    """Make the store one of an older writer."""
    root = json.loads((place / "zarr.json").read_text())
    for name in names:
        root.pop(name, None)
        root["attributes"].pop(name, None)
    (place / "zarr.json").write_text(json.dumps(root))


@pytest.mark.parametrize(
    "lacking", [["commit_records"], ["columns"], ["consolidated_metadata"], ["columns", "consolidated_metadata"]]
)
def test_older_and_unfinished_stores(folder: Path, own: Path, servers: Servers, lacking: list[str]) -> None:
    strip(own / "f.zarr", *lacking)
    url, _ = servers.http(own)
    equal(open_store(f"{url}/f.zarr"), open_store(folder / "f.zarr"))
    equal(open_store(own / "f.zarr"), open_store(folder / "f.zarr"))


def test_a_half_written_store_is_said_to_be(own: Path, servers: Servers) -> None:
    strip(own / "f.zarr", "commit_records", "consolidated_metadata")
    whole = len(open_store(own / "f.zarr").blocks(LAYER))
    (own / "f.zarr" / "layer4.2%2Fconv" / "committed" / "c" / "1").unlink()
    url, _ = servers.http(own)
    far = open_store(f"{url}/f.zarr")
    assert len(far.blocks(LAYER)) == whole - 1
    with pytest.raises(StoreError, match="half written"):
        far.check_complete(LAYER)


def feature_files(root: Path) -> list[Path]:
    return sorted(f for f in (root / "f.zarr" / "layer4.2%2Fconv" / "features" / "c").rglob("*") if f.is_file())


def flip(file: Path, at: int = 77) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_damage_on_the_server_is_named(own: Path, servers: Servers) -> None:
    files = feature_files(own)
    flip(files[1])
    files[2].unlink()
    files[3].write_bytes(files[3].read_bytes()[:999])
    url, _ = servers.http(own)
    far = open_store(f"{url}/f.zarr")
    spans = far.blocks(LAYER)
    with pytest.raises(StoreError, match=r"block 1 .* is damaged"):
        far.read(LAYER, spans[1])
    with pytest.raises(StoreError, match=r"block 1 .* is damaged"):
        far.read_rows(LAYER, np.array([spans[1].start + 1]))
    with pytest.raises(StoreError, match=r"block 2 .* is missing"):
        far.read(LAYER, spans[2])
    with pytest.raises(StoreError, match=r"block 3 .* ends too early"):
        far.read(LAYER, spans[3])
    assert len(far.read(LAYER, spans[0])) == spans[0].stop
    report = verify(f"{url}/f.zarr")
    assert len(report.bad) == 3


def test_a_flipped_byte_after_the_block_was_checked(own: Path, servers: Servers) -> None:
    url, _ = servers.http(own)
    far = open_store(f"{url}/f.zarr")
    before = far.read(LAYER, slice(0, N))
    start = far.blocks(LAYER)[1].start
    flip(feature_files(own)[1], at=3)
    with pytest.raises(StoreError, match=r"has changed since it was opened; open it again\. Block 1 "):
        far.read_rows(LAYER, np.array([start]))
    np.testing.assert_array_equal(far.read_rows(LAYER, np.array([start + 1]))[0], before[start + 1])
    feature_files(own)[1].unlink()
    with pytest.raises(StoreError, match="has changed since it was opened; open it again"):
        far.read_rows(LAYER, np.array([start]))


def test_a_flipped_byte_on_s3(own: Path, servers: Servers) -> None:
    pytest.importorskip("moto")
    flip(feature_files(own)[1])
    far = open_store("s3://damaged/f.zarr", {**S3, "endpoint_url": servers.s3(own, "damaged")})
    with pytest.raises(StoreError, match=r"s3://damaged/f\.zarr: block 1 .* is damaged"):
        far.read(LAYER, slice(0, N))


Use = Callable[[FeatureStore], object]
USES: dict[str, Use] = {
    "features/c/0/": lambda store: store.read(LAYER, slice(0, 3)),
    "norm2/c/0/": lambda store: store.norm2(LAYER),
    "image/c/": lambda store: store.index,
    "committed/c/": lambda store: store.blocks(LAYER),
}


@pytest.mark.parametrize("part", USES)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [("cut", "the connection was cut"), ("503", r"the server is in trouble \(503\)"), ("403", "may not be read")],
)
def test_a_server_that_fails_now_and_then(own: Path, servers: Servers, part: str, wrong: str, said: str) -> None:
    strip(own / "f.zarr", "commit_records")  # so that the commit records are read too
    url, handler = servers.http(own)
    far = open_store(f"{url}/f.zarr")
    handler.wrong[part] = wrong
    with pytest.raises(StoreError, match=said) as caught:
        USES[part](far)
    assert "damaged" not in str(caught.value)
    assert "verify" not in str(caught.value)
    handler.wrong.clear()
    USES[part](far)


def test_rows_alone_when_the_connection_is_cut(folder: Path, servers: Servers) -> None:
    url, handler = servers.http(folder)
    far = open_store(f"{url}/f.zarr")
    before = far.read(LAYER, slice(0, N))
    handler.wrong["/features/c/"] = "cut"
    with pytest.raises(StoreError, match=r"block 0 .* the connection was cut \(pictures p00 to .*Try again"):
        far.read_rows(LAYER, np.array([1, 50]))
    handler.wrong.clear()
    np.testing.assert_array_equal(far.read_rows(LAYER, np.array([1, 50])), before[[1, 50]])


def test_what_cannot_be_reached(folder: Path, servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    url, handler = servers.http(folder)
    with pytest.raises(StoreError, match=r"There is no store at http.*/none\.zarr: there is no zarr\.json"):
        open_store(f"{url}/none.zarr")
    handler.wrong["zarr.json"] = "403"
    with pytest.raises(StoreError, match="may not be read"):
        open_store(f"{url}/f.zarr")
    for closed in ("http://127.0.0.1:9/f.zarr", "http://no-such-host.invalid/f.zarr"):
        with pytest.raises(StoreError, match=r"cannot be reached\. Check the address and the network"):
            open_store(closed)
    with pytest.raises(StoreError, match=r"nonsense://x/f\.zarr has a scheme that is not known"):
        open_store("nonsense://x/f.zarr")
    assert run(["search", "http://127.0.0.1:9/f.zarr", "--image", "a", "--box", "0,0,1,1"]) == 2
    assert "http://127.0.0.1:9/f.zarr cannot be reached" in capsys.readouterr().err


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, "s3", raising=False)
    with pytest.raises(StoreError, match=r"s3://b/f\.zarr needs .*pip install 'vfs_panel\[remote\]'"):
        open_store("s3://b/f.zarr")


def test_tokens_and_passwords_open_stores_but_are_never_shown(
    folder: Path, servers: Servers, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    url, handler = servers.http(folder, token="hunter2", ranges=False)
    far = open_store(f"{url}/f.zarr?token=hunter2")
    equal(far, open_store(folder / "f.zarr"))
    locked, _ = servers.http(folder, password="hunter2")
    named = open_store(locked.replace("//", "//me:hunter2@") + "/f.zarr")
    said = [repr(far), far.path, far.name, repr(named), named.path, str(far.dataset(LAYER).attrs), caplog.text]
    handler.wrong["/features/c/"] = "500"
    with pytest.raises(StoreError) as caught:
        far.read(LAYER, slice(0, 3))
    said.append(str(caught.value))
    addresses = [f"{url}/f.zarr?token=hunter2x", f"{locked.replace('//', '//me:hunter2x@')}/f.zarr",
                 "http://me:hunter2@127.0.0.1:9/f.zarr?token=hunter2", "s3://me:hunter2@nobucket/f.zarr"]  # fmt: skip
    for address in addresses:
        with pytest.raises(StoreError) as caught:
            open_store(address)
        said.append(str(caught.value))
        with pytest.raises(StoreError, match="written to a folder of this machine") as caught:
            store_from_arrays({"a": np.ones((2, 3, 2, 2), np.float32)}, out=address)
        said.append(str(caught.value))
    handler.wrong.clear()
    assert run(["verify", f"{url}/f.zarr?token=hunter2"]) == 0
    said += capsys.readouterr()
    assert not any("hunter2" in line for line in said), said


def test_keys_are_not_shown(s3: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store("s3://nobucket/f.zarr", {**S3, "endpoint_url": s3})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("s3://b/f.zarr/", "s3://b/f.zarr"),
        (Path("s3://b/f.zarr"), "s3://b/f.zarr"),
        (Path("https://host/sets/f.zarr"), "https://host/sets/f.zarr"),
        ("/tmp/s3:/f.zarr", None),
        ("f.zarr", None),
        ("C:/sets/f.zarr", None),
        ("file:///tmp/f.zarr", None),
    ],
)
def test_which_addresses_are_urls(address: Path | str, url: str | None) -> None:
    assert url_of(address) == url


def test_what_is_shown_of_a_url() -> None:
    assert shown("https://me:pw@host:8/a/f.zarr?token=x#y") == "https://host:8/a/f.zarr"
    assert shown("https://token@host/f.zarr") == "https://host/f.zarr"
    assert shown("abfs://container@account.dfs.core.windows.net/f") == "abfs://container@account.dfs.core.windows.net/f"


def test_a_file_url_is_a_folder(folder: Path) -> None:
    assert open_store(f"file://{folder}/f.zarr").path == str(folder / "f.zarr")


@pytest.mark.parametrize("out", ["s3://bucket/f.zarr", Path("s3://bucket/f.zarr")])
def test_nothing_is_written_to_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: Path | str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="written to a folder of this machine"):
        store_from_arrays({"a": np.ones((2, 3, 2, 2), np.float32)}, out=out, image=["a", "b"])
    assert os.listdir(tmp_path) == []
