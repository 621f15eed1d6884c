"""Another program's Zarr comes in whole, in its own order, or it is said why not."""

import json
import logging
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from PIL import Image

from vfs_panel.errors import ImageError, StoreError
from vfs_panel.features import open_store, store_from_arrays, store_from_zarr, verify
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.search import RegionQuery, RegionSearch
from vfs_panel.settings import settings

DATA = Path(__file__).parent / "data"
N, STOPPED_AT = 503, 192  # three batches of 64 were written before make_original_cache.py broke off
SHAPE = (30, 4, 3, 5)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("VFS_BLOCK_MB", "0.004")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches that visualfeaturesearch wrote. Not to be changed."""
    folder = tmp_path_factory.mktemp("original")
    zipfile.ZipFile(DATA / "original_cache.zip").extractall(folder)
    return folder


def ids(n: int) -> list[str]:
    return [f"p{row:03d}" for row in range(n)]


def mixed(n: int) -> dict[str, list[str]]:
    """Ids and columns whose order in a store is not theirs."""
    return {"image": ids(n), "domain": [["b", "a"][i % 2] for i in range(n)], "label": [str(-i % 3) for i in range(n)]}


def values(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) + 0.1


def written(folder: Path, arrays: dict[str, np.ndarray], version: int = 2, **options: Any) -> Path:
    root = zarr.open_group(str(folder), mode="w", zarr_format=version)  # type: ignore[arg-type]
    for name, array in arrays.items():
        chunks = options.pop("chunks", (7, *array.shape[1:]))
        root.create_array(name, shape=array.shape, dtype=array.dtype, chunks=chunks, **options)[:] = array
    return folder


def in_order(store: Any, layer: str) -> np.ndarray:
    """A layer's features in the order of the ids p000, p001, …"""
    found = store.read(layer, slice(0, store.n_images))
    return found[np.argsort(store.index.index.to_numpy(str))].astype(np.float32)


@pytest.mark.parametrize("layer", ["early", "late"])
def test_a_cache_of_visualfeaturesearch_gives_its_scores(original: Path, tmp_path: Path, layer: str) -> None:
    store = store_from_zarr(original / "whole", out=tmp_path / "s.zarr", dtype="float32", **mixed(N))
    assert store.layers == ["early", "late"]
    assert store.index.index[0] == "p003"  # of domain a and label 0
    assert verify(store.path).ok
    scores = np.load(DATA / "original_scores.npz")
    np.testing.assert_array_equal(in_order(store, layer)[::50], scores[f"{layer}/features"].astype(np.float32))
    engine = RegionSearch(store, layer, device="cpu")
    for number in range(4):
        mask, query, score, x, y = (scores[f"{layer}/{number}/{key}"] for key in ("mask", "query", "score", "x", "y"))
        result = engine.search(RegionQuery.from_mask(query, mask), k=N, compatible=True)
        rows = np.array([int(image_id[1:]) for image_id in result["image_id"].values])
        assert sorted(rows) == list(range(N))
        np.testing.assert_allclose(result["score"].values, score[rows], atol=1e-5)
        found = zip(score[rows], result["y"].values, result["x"].values, y[rows], x[rows], strict=True)
        assert all((a, b) == (c, d) for s, a, b, c, d in found if s > 0)


def test_a_cache_that_was_stopped_is_refused_or_taken_as_far_as_it_goes(original: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    words = (
        rf"no features for {N - STOPPED_AT} of {N} pictures, between rows {STOPPED_AT} and {N - 1} \(p192 and p502\)"
    )
    with pytest.raises(StoreError, match=words):
        store_from_zarr(original / "stopped", out=out, **mixed(N))
    assert not out.exists()
    store = store_from_zarr(original / "stopped", out=out, **mixed(N), on_missing="skip")
    assert sorted(store.index.index[store.index["broken"]]) == ids(N)[STOPPED_AT:]
    assert RegionSearch(store, device="cpu").n_images == STOPPED_AT


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "<i2", "|u1"])
def test_every_type_of_number_is_read(tmp_path: Path, version: int, dtype: str) -> None:
    given = np.round(values() * 8).astype(np.dtype(dtype).newbyteorder("="))
    group = written(tmp_path / "z", {"a": given.astype(np.dtype(dtype))}, version)
    store = store_from_zarr(group, out=tmp_path / "s.zarr", layers=["a"], **mixed(30))
    np.testing.assert_array_equal(in_order(store, "a"), given.astype(np.float32))


@pytest.mark.parametrize("chunks", [(1, 4, 3, 5), (7, 4, 3, 5), (30, 1, 3, 5), (4, 3, 2, 2), (30, 4, 3, 5)])
@pytest.mark.parametrize("held_mb", ["1000", "0.003"])
def test_every_chunking_and_little_memory(
    tmp_path: Path, chunks: tuple[int, ...], held_mb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VFS_MEMORY_MB", held_mb)
    settings.cache_clear()
    group = written(tmp_path / "z", {"a": values()}, chunks=chunks)
    store = store_from_zarr(group, out=tmp_path / "s.zarr", dtype="float32", **mixed(30))
    np.testing.assert_array_equal(in_order(store, "a"), values())


def test_shards_and_names_of_axes(tmp_path: Path) -> None:
    given = values()
    root = zarr.open_group(str(tmp_path / "z"), mode="w", zarr_format=3)
    last = given.transpose(0, 2, 3, 1)
    root.create_array(
        "deep/a", shape=last.shape, dtype="f4", chunks=(3, 3, 5, 4), shards=(6, 3, 5, 4),
        dimension_names=("image", "y", "x", "channel"),
    )[:] = last  # fmt: skip
    with pytest.raises(StoreError, match="give axes='image y x channel'"):
        store_from_zarr(tmp_path / "z", out=tmp_path / "s.zarr", **mixed(30))
    store = store_from_zarr(tmp_path / "z", out=tmp_path / "s.zarr", axes="image y x channel", **mixed(30))
    assert store.layers == ["deep/a"]
    np.testing.assert_array_equal(in_order(store, "deep/a"), given.astype(np.float16).astype(np.float32))


def test_channels_last_tokens_and_one_array(tmp_path: Path) -> None:
    given = values((30, 4, 3, 3))
    tokens = given.transpose(0, 2, 3, 1).reshape(30, 9, 4)
    with_class = np.concatenate([np.full((30, 1, 4), 9, np.float32), tokens], 1)
    cases = {
        "image,y,x,channel": given.transpose(0, 2, 3, 1),
        "channel image y x": given.transpose(1, 0, 2, 3),
        "image token channel": with_class,
        "channel image token": with_class.transpose(2, 0, 1),
    }
    for number, (axes, array) in enumerate(cases.items()):
        zarr.create_array(str(tmp_path / f"z{number}.zarr"), data=array, chunks=tuple(-(-s // 2) for s in array.shape))
        store = store_from_zarr(
            tmp_path / f"z{number}.zarr", out=tmp_path / f"{number}", axes=axes, layers=["block4"], **mixed(30)
        )
        assert store.spec("block4").grid == (4, 3, 3)
        assert store.network == f"z{number}"
        np.testing.assert_array_equal(in_order(store, "block4"), given.astype(np.float16).astype(np.float32))
    wide = with_class.reshape(30, 10, 4)[:, 1:9]  # 8 tokens: 2 by 4 of an input of that shape
    zarr.create_array(str(tmp_path / "wide.zarr"), data=wide)
    with pytest.raises(StoreError, match=r"has 8 tokens, which make no grid square\. Give .* input_px"):
        store_from_zarr(tmp_path / "wide.zarr", out=tmp_path / "w", axes="image token channel")
    store = store_from_zarr(tmp_path / "wide.zarr", out=tmp_path / "w", axes="image token channel", input_px=(32, 64))
    assert store.spec("wide").grid == (4, 2, 4)


def test_a_run_that_was_stopped_goes_on_where_it_stopped(tmp_path: Path) -> None:
    group = written(tmp_path / "z", {"a": values()})

    def stop(done: int, total: int) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    monkey: list[tuple[int, int]] = []
    options: dict[str, Any] = {"out": tmp_path / "s.zarr", "dtype": "float32", **mixed(30)}
    with pytest.raises(KeyboardInterrupt):
        store_from_zarr(group, progress=stop, **options)
    half = open_store(tmp_path / "s.zarr")
    assert 0 < sum(span.stop - span.start for span in half.blocks("a")) < 30
    store = store_from_zarr(group, progress=lambda *at: monkey.append(at), **options)
    assert monkey[0] == (sum(s.stop - s.start for s in half.blocks("a")), 30)
    assert monkey[-1] == (30, 30)
    np.testing.assert_array_equal(in_order(store, "a"), values())
    assert verify(store.path).ok


@pytest.mark.parametrize("version", [2, 3])
def test_chunks_that_are_gone_are_not_zeros(tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture) -> None:
    group = written(tmp_path / "z", {"a": values()}, version, chunks=(7, 2, 3, 5))
    chunk = "a/1.{}.0.0" if version == 2 else "a/c/1/{}/0/0"
    (group / chunk.format(1)).unlink()  # half of the channels: a program may have left out what is empty
    with caplog.at_level(logging.WARNING):
        store_from_zarr(group, out=tmp_path / "s.zarr", **mixed(30))
    assert "missing for 7 pictures, rows 7 to 13" in caplog.text
    (group / chunk.format(0)).unlink()
    with pytest.raises(StoreError, match="no features for 7 of 30 pictures, between rows 7 and 13"):
        store_from_zarr(group, out=tmp_path / "t.zarr", **mixed(30))
    store = store_from_zarr(group, out=tmp_path / "t.zarr", on_missing="skip", **mixed(30))
    assert sorted(store.index.index[store.index["broken"]]) == ids(30)[7:14]
    np.testing.assert_array_equal(in_order(store, "a")[14:], values()[14:].astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_what_was_laid_out_and_never_written(tmp_path: Path, fill: float) -> None:
    given = values()
    given[3], given[25:] = 0, fill  # a picture of zeros in the middle is one that the network sees nothing in
    group = written(tmp_path / "z", {"a": given}, fill_value=fill, config={"write_empty_chunks": True})
    with pytest.raises(StoreError, match="no features for 5 of 30 pictures, between rows 25 and 29"):
        store_from_zarr(group, out=tmp_path / "s.zarr", **mixed(30))
    store = store_from_zarr(group, out=tmp_path / "s.zarr", on_missing="skip", **mixed(30))
    assert store.index["broken"].sum() == 5
    (tmp_path / "none").mkdir()
    zarr.create_array(str(tmp_path / "none" / "z"), shape=SHAPE, dtype="f4", fill_value=fill)
    with pytest.raises(StoreError, match="has features for none of its 30 pictures"):
        store_from_zarr(tmp_path / "none" / "z", out=tmp_path / "t.zarr", on_missing="skip")


@pytest.mark.parametrize("codec", ["blosc", "zstd", "zlib", None])
def test_a_chunk_that_was_cut_short_is_named(tmp_path: Path, codec: str | None) -> None:
    compressor = None if codec is None else numcodecs.get_codec({"id": codec})
    group = written(tmp_path / "z", {"a": values()}, compressors=compressor)
    file = group / "a" / "1.0.0.0"
    data = file.read_bytes()
    for length in (0, 7, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(StoreError, match=r"Rows 7 to 13 of array 'a' .* cannot be read|Chunk 1.0.0.0 .* cut short"):
            store_from_zarr(group, out=tmp_path / "s.zarr", image=ids(30))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e5, 1e300])
def test_what_a_store_cannot_hold_is_named(tmp_path: Path, bad: float) -> None:
    given = values().astype(np.float64)
    given[9, 1, 1, 1] = bad
    group = written(tmp_path / "z", {"a": given})
    with pytest.raises(StoreError, match="p009"):
        store_from_zarr(group, out=tmp_path / "s.zarr", **mixed(30))


def pictures(folder: Path) -> Path:
    for domain in ("photo", "art"):
        for number in range(2):
            (folder / domain / "cat").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(folder / domain / "cat" / f"{number}.png")
    return folder


def test_pictures_of_a_folder_a_list_or_a_set_are_those_of_the_rows(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pictures")
    group = written(tmp_path / "z", {"a": values((4, 4, 3, 5))})
    names = ["photo/cat/1.png", "art/cat/0.png", "photo/cat/0.png", "art/cat/1.png"]
    lines = [f"{name},{name.split('/')[0]},{number}" for number, name in enumerate(names)]
    (root / "list.csv").write_text("\n".join(["path,domain,shot", *lines]), "utf-8")
    ways: list[tuple[Any, list[str]]] = [
        (root, sorted(names)),
        (root / "list.csv", names),
        (ImageDataset.from_folder(root).subset(names), names),
    ]
    for number, (images, expected) in enumerate(ways):
        if number == 0:
            (root / "list.csv").rename(tmp_path / "list.csv")
        elif number == 1:
            (tmp_path / "list.csv").rename(root / "list.csv")
        store = store_from_zarr(
            group, out=tmp_path / f"{number}.zarr", images=images, dtype="float32", split=["0", "1", "2", "3"]
        )
        assert store.pictures == root.resolve()
        assert store.index["domain"].tolist() == ["art", "art", "photo", "photo"]
        for row, name in enumerate(expected):
            np.testing.assert_array_equal(store.feature("a", name), values((4, 4, 3, 5))[row])
            assert store.index.loc[name, ["split", "path"]].tolist() == [str(row), name]
    assert store_from_zarr(group, out=tmp_path / "1.zarr", images=root / "list.csv", dtype="float32",
                           split=["0", "1", "2", "3"]).index.loc[names[2], "shot"] == "2"  # fmt: skip
    with pytest.raises(StoreError, match="has 3 pictures"):
        store_from_zarr(group, out=tmp_path / "5.zarr", images=ImageDataset.from_folder(root).subset(names[:3]))
    with pytest.raises(StoreError, match="Both images and image"):
        store_from_zarr(group, out=tmp_path / "5.zarr", images=root, image=names)
    with pytest.raises(ImageError, match="does not exist"):
        store_from_zarr(group, out=tmp_path / "5.zarr", images=tmp_path / "gone")


def pickled(folder: Path) -> Path:
    """A Zarr whose chunk is a pickle that writes a file when it is read."""

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (folder / "ran",)

    (folder / "z" / "a").mkdir(parents=True)
    (folder / "z" / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / "z" / "a" / ".zarray").write_text(json.dumps({
        "zarr_format": 2, "shape": [3, 2, 2, 2], "chunks": [3, 2, 2, 2], "dtype": "<f4", "fill_value": 0,
        "order": "C", "compressor": None, "filters": [{"id": "pickle", "protocol": 5}],
    }))  # fmt: skip
    (folder / "z" / "a" / "0.0.0.0").write_bytes(pickle.dumps(Bomb()))
    return folder / "z"


def of_codes(folder: Path) -> Path:
    group = written(folder / "z", {"a": np.ones((3, 2, 2, 2), np.int16)})
    zarr.open_group(str(group), mode="r+")["a"].attrs["scale_factor"] = 0.1
    return group


def a_store(folder: Path) -> Path:
    store_from_arrays({"a": values()}, out=folder / "z")
    return folder / "z"


def a_file(folder: Path) -> Path:
    (folder / "z.zip").write_bytes(b"PK")
    return folder / "z.zip"


def broken_metadata(folder: Path) -> Path:
    group = written(folder / "z", {"a": values()})
    (group / "a" / ".zarray").write_text('{"zarr')
    return group


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda f: f / "gone", {}, "There is no Zarr at"),
        (a_file, {}, "is a file; expected a Zarr's folder"),
        (lambda f: f, {}, "cannot be opened as Zarr"),
        (broken_metadata, {}, "cannot be opened as Zarr|holds no array|without arrays"),
        (lambda _: "s3://bucket/cache.zarr", {}, "not from a URL"),
        (lambda f: written(f / "z", {}), {}, "is a Zarr group without arrays"),
        (lambda f: written(f / "z", {"n": np.ones((3, 2, 2, 2), int)}), {}, r"no array of 4 axes .* holds n int64"),
        (lambda f: written(f / "z", {"a": values(), "b": values((5, 4, 3, 5))}), {}, "different numbers of pictures"),
        (lambda f: written(f / "z", {"conv1": values()}), {"layers": ["conv"]}, r"Did you mean conv1\?"),
        (lambda f: written(f / "z", {"a": values()}), {"layers": []}, "expected names of arrays"),
        (lambda f: written(f / "z", {"a": values(), "b": values()}), {"layers": {"a": "x", "b": "x"}}, "of its own"),
        (lambda f: written(f / "z", {"a": values((30, 4, 5))}), {"layers": "a"}, r"expected \(image, channel, y, x\)"),
        (lambda f: written(f / "z", {"a": np.ones(SHAPE, bool)}), {"layers": "a"}, "is of type bool"),
        (lambda f: written(f / "z", {"a": np.ones(SHAPE, complex)}), {"layers": "a"}, "is of type complex128"),
        (lambda f: written(f / "z", {"a": values()}), {"axes": "image x y"}, "axes is 'image x y'"),
        (lambda f: written(f / "z", {"a": values()}), {"on_missing": "hope"}, "on_missing is 'hope'"),
        (lambda f: written(f / "z", {"a": values()}), {"dtype": "int4"}, "dtype is 'int4'"),
        (lambda f: written(f / "z", {"a": values()}), {"image": ids(29)}, "image has 29 values for 30 pictures"),
        (lambda f: written(f / "z", {"a": values()}), {"image": ["x"] * 30}, "'x' stands twice"),
        (lambda f: written(f / "z", {"a": values()}), {"label": ["x"]}, "label has 1 values"),
        (of_codes, {"layers": "a"}, "codes with a scale_factor"),
        (pickled, {}, "are Python pickles|pickle.*cannot|cannot be opened as Zarr .*pickle"),
        (a_store, {}, "is a feature store of vfs_panel already"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(
    tmp_path: Path, make: Callable[[Path], Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        store_from_zarr(make(tmp_path), out=tmp_path / "s.zarr", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s.zarr").exists()
    assert not (tmp_path / "ran").exists()


def test_layers_take_the_names_of_the_network(tmp_path: Path) -> None:
    group = written(tmp_path / "z", {"squeezenet_12": values(), "squeezenet_7": values((30, 2, 6, 10))})
    store = store_from_zarr(group, out=tmp_path / "s.zarr", layers={"squeezenet_12": "features.12"}, network="sq")
    assert (store.layers, store.network) == (["features.12"], "sq")
    store = store_from_zarr(group, out=tmp_path / "s.zarr", layers={"squeezenet_7": "features.7"}, network="sq")
    assert store.layers == ["features.12", "features.7"]
