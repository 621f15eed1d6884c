"""Part of a store, another type, or one file: the same features, bit by bit where the type stays."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vfs_panel.errors import LayerError, QueryError, StoreError
from vfs_panel.features import FeatureStore, open_store, store_from_arrays, verify
from vfs_panel.features.deriving import convert, subset_rows
from vfs_panel.search import RegionQuery, RegionSearch

pytestmark = pytest.mark.usefixtures("small_blocks")
N = 30


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    rng = np.random.default_rng(0)
    return store_from_arrays(
        {"a": rng.standard_normal((N, 16, 4, 5)), "b": np.maximum(rng.standard_normal((N, 6, 2, 2)), 0)},
        out=tmp_path / "s.zarr",
        image=[f"p{i:02d}" for i in range(N)],
        domain=[["night", "day"][i % 2] for i in range(N)],
        label=[["cat", "dog", "owl"][i % 3] for i in range(N)],
    )


def everything(store: FeatureStore, layer: str) -> np.ndarray:
    return store.read(layer, slice(0, store.n_images))


def test_a_subset_has_the_same_features(store: FeatureStore, tmp_path: Path) -> None:
    rows = subset_rows(store, where={"domain": ["day"], "label": ["cat", "owl"]})
    small = convert(store, out=tmp_path / "small.zarr", rows=rows, layers=["a"])
    assert small.layers == ["a"]
    assert small.index["domain"].unique().tolist() == ["day"]
    np.testing.assert_array_equal(everything(small, "a"), everything(store, "a")[rows])
    assert verify(small.path).ok
    named = subset_rows(store, images=["p03", "p01"])
    assert store.index.index[named].tolist() == sorted(["p03", "p01"], key=store.row)


@pytest.mark.parametrize("options", [{"dtype": "int8"}, {"compression": "zstd"}, {"dtype": "float32"}])
def test_other_types(store: FeatureStore, tmp_path: Path, options: dict[str, str]) -> None:
    other = convert(store, out=tmp_path / "o.zarr", **options)  # type: ignore[arg-type]
    for layer in store.layers:
        spec = other.spec(layer)
        assert spec.dtype == options.get("dtype", "float16")
        assert spec.compression == options.get("compression", "none")
        apart = np.abs(everything(other, layer).astype(float) - everything(store, layer))
        assert apart.max() <= (0.02 if spec.dtype == "int8" else 0)
    assert verify(other.path).ok
    if options.get("dtype") == "int8":
        back = convert(other, out=tmp_path / "back.zarr", dtype="float32")
        np.testing.assert_array_equal(everything(back, "a"), everything(other, "a"))
        assert "int8" in back.spec("a").quantisation, "it does not say what was lost on the way"


@pytest.mark.parametrize("inside_folder", [False, True])
def test_one_file_to_share(store: FeatureStore, tmp_path: Path, inside_folder: bool) -> None:
    file = tmp_path / "shared.zarr.zip"
    calls: list[tuple[int, int]] = []
    zipped = convert(store, out=file, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1]
    if inside_folder:  # as people pack it by hand
        file = tmp_path / "by-hand.zip"
        with zipfile.ZipFile(file, "w") as archive:
            for member in Path(store.path).rglob("*"):
                archive.write(member, member.relative_to(tmp_path))
        zipped = open_store(file)
    assert zipped.index.equals(store.index)
    assert verify(file).ok
    query = RegionQuery.from_mask(zipped.feature("a", "p03"), np.ones((4, 5), np.float32), image_id="p03")
    for scan in ("auto", "stored"):
        found, plain = (RegionSearch(one, "a", scan=scan).search(query, k=8) for one in (zipped, store))
        assert found["image_id"].values.tolist() == plain["image_id"].values.tolist()
    rows = np.array([17, 3, 29])
    np.testing.assert_array_equal(zipped.read_rows("b", rows), store.read_rows("b", rows))
    with pytest.raises(StoreError, match="exists already"):
        convert(store, out=tmp_path / "shared.zarr.zip")
    again = convert(zipped, out=tmp_path / "again.zarr")  # and back to a folder
    np.testing.assert_array_equal(everything(again, "a"), everything(store, "a"))


def test_a_damaged_zip_is_found(store: FeatureStore, tmp_path: Path) -> None:
    file = tmp_path / "s.zarr.zip"
    convert(store, out=file)
    with zipfile.ZipFile(file) as archive:
        offset = archive.getinfo("a/features/c/1/0/0/0").header_offset + 200
    data = bytearray(file.read_bytes())
    data[offset] ^= 4
    file.write_bytes(bytes(data))
    (problem,) = verify(file).problems
    assert (problem.layer, problem.block) == ("a", 1)
    file.write_bytes(bytes(data[: len(data) // 2]))
    with pytest.raises(StoreError, match="zip"):
        open_store(file)


def test_a_zip_that_was_compressed_again_says_what_to_do(store: FeatureStore, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for member in Path(store.path).rglob("*"):
            archive.write(member, member.relative_to(store.path))
    with pytest.raises(StoreError, match="store convert"):
        open_store(tmp_path / "d.zip")
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(StoreError, match=r"no zarr\.json"):
        open_store(tmp_path / "e.zip")


def test_findings_and_broken_pictures_stay(tmp_path: Path) -> None:
    from tests.features.small import make_pictures, run

    folder = make_pictures(tmp_path / "pictures", range(12))
    victim = sorted(folder.rglob("*.png"))[4]
    victim.write_bytes(victim.read_bytes()[:600])
    store = run(folder, tmp_path / "s.zarr")
    half = convert(store, out=tmp_path / "h.zarr", rows=np.arange(2, 10), dtype="int8")
    assert verify(half.path).broken == verify(store.path).broken
    assert len(verify(half.path).broken) == 1
    assert half.findings is None
    assert isinstance(half.index, pd.DataFrame)


def test_what_cannot_be_done_is_said(store: FeatureStore, tmp_path: Path) -> None:
    for options, words in (
        ({"where": {"colour": ["red"]}}, "no column 'colour'; it has"),
        ({"where": {"label": ["cow"]}}, "has label 'cow'; there is, for example, cat, dog, owl"),
        ({"where": {"label": "cat"}, "images": ["p01"]}, "is left"),
        ({"where": {"findings": ["x"]}}, "no column 'findings'"),
        ({"images": ["nobody"]}, "no picture 'nobody'"),
    ):
        with pytest.raises((QueryError, StoreError), match=words):
            subset_rows(store, **options)  # type: ignore[arg-type]
    for options, words in (
        ({"out": store.path}, "the store itself"),
        ({"out": tmp_path / "x.zarr", "dtype": "int4"}, "'int4' is not known"),
        ({"out": tmp_path}, "exists and is no feature store"),
    ):
        with pytest.raises(StoreError, match=words):
            convert(store, **options)  # type: ignore[arg-type]
    with pytest.raises(LayerError, match="not in the store"):
        convert(store, out=tmp_path / "x.zarr", layers=["c"])
