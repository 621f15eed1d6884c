"""A store holds what was given, labelled, and says when it does not."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from vfs_panel.errors import LayerError, QueryError, StoreError
from vfs_panel.features import FeatureStore, open_store, store_from_arrays, verify
from vfs_panel.features.layout import chunk_file, group_name
from vfs_panel.settings import settings

N = 30


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("VFS_BLOCK_MB", "0.004")
    settings.cache_clear()
    yield
    settings.cache_clear()


def features() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "layer4.2/conv": rng.standard_normal((N, 8, 4, 5)).astype(np.float32),
        "label": rng.standard_normal((N, 3, 2, 2)).astype(np.float32),
    }


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return store_from_arrays(
        features(),
        out=tmp_path / "s.zarr",
        image=[f"p{i}" for i in range(N)],
        domain=[["night", "day"][i % 2] for i in range(N)],
        label=[["<b>cat</b>", "dog", "ünïcode"][i % 3] for i in range(N)],
    )


def test_it_holds_what_was_given(store: FeatureStore) -> None:
    assert store.layers == ["layer4.2/conv", "label"]
    assert len(store.blocks("label")) > 2
    assert store.complete("label")
    for layer, values in features().items():
        for i in (0, 7, N - 1):
            found = store.feature(layer, f"p{i}")
            np.testing.assert_array_equal(found, values[i].astype(np.float16).astype(np.float32))
            np.testing.assert_allclose(
                store.norm2(layer)[store.row(f"p{i}")], np.square(found).sum("channel"), rtol=1e-5
            )


def test_pictures_are_sorted_by_domain_then_label(store: FeatureStore) -> None:
    keys = list(zip(store.index["domain"], store.index["label"], strict=True))
    assert keys == sorted(keys)
    assert store.index.loc["p4", ["domain", "label"]].tolist() == ["night", "dog"]


def test_any_slice_reads_the_same_as_zarr(store: FeatureStore) -> None:
    plain = zarr.open_group(store.path, mode="r")[group_name("layer4.2/conv")]["features"][:]
    for rows in (slice(0, N), slice(3, 4), slice(5, 23), slice(N - 2, N), slice(9, 9)):
        np.testing.assert_array_equal(store.read("layer4.2/conv", rows), plain[rows])


def test_a_lazy_dataset_is_labelled(store: FeatureStore) -> None:
    data = store.dataset("layer4.2/conv")
    assert data["features"].dims == ("image", "channel", "y", "x")
    assert data["features"].chunks is not None
    night = data.where(data["domain"] == "night", drop=True)
    assert night.sizes["image"] == N // 2
    np.testing.assert_array_equal(
        store.features("layer4.2/conv").sel(image="p5"), store.read("layer4.2/conv", slice(0, N))[store.row("p5")]
    )
    assert data["x"].values.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::RuntimeWarning")
def test_xarray_opens_it_as_a_tree(store: FeatureStore) -> None:
    with xr.open_datatree(store.path, engine="zarr", chunks=None) as tree:
        node = tree[group_name("label")]
        assert node["features"].shape == (N, 3, 2, 2)
        assert node["image"].values[0] == str(store.index.index[0])


def test_every_flipped_bit_is_found_and_named(store: FeatureStore, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    blocks = len(store.blocks("layer4.2/conv"))
    for turn in range(10):
        copy = tmp_path / f"copy{turn}.zarr"
        shutil.copytree(store.path, copy)
        block = int(rng.integers(blocks))
        file = chunk_file(copy, "layer4.2/conv", "features", block, 4)
        data = bytearray(file.read_bytes())
        used = store.blocks("layer4.2/conv")[block]
        at = int(rng.integers((used.stop - used.start) * 8 * 4 * 5 * 2))
        data[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(bytes(data))
        found = verify(copy).bad
        assert any(f"block {block} of layer 'layer4.2/conv'" in line for line in found)
        with pytest.raises(StoreError, match=f"block {block} .*damaged"):
            open_store(copy).feature("layer4.2/conv", str(store.index.index[used.start]))


def test_a_flipped_bit_anywhere_is_found(store: FeatureStore) -> None:
    rng = np.random.default_rng(2)
    files = sorted(f for f in Path(store.path).rglob("c/**/*") if f.is_file())
    for turn in range(30):
        file = files[turn % len(files)]  # index, coordinates, norms, commit records, and padding and checksums too
        sound = file.read_bytes()
        data = bytearray(sound)
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        file.write_bytes(bytes(data))
        with suppress(StoreError):  # where the index cannot be read at all
            assert not verify(store.path).ok, file
        file.write_bytes(sound)
    assert verify(store.path).ok


def use(path: str) -> None:
    store = open_store(path)
    store.read("label", slice(0, 3))
    store.norm2("label")
    assert len(store.index) == N


@pytest.mark.parametrize(
    "file",
    ["zarr.json", "label/zarr.json", "label/features/zarr.json", "label/norm2/zarr.json", "label/committed/zarr.json",
     "image/c/0", "domain/c/0", "broken/c/0", "broken/zarr.json"],
)  # fmt: skip
@pytest.mark.parametrize("content", [None, b'{"zarr_format"'])
def test_damaged_metadata_is_one_clear_line(store: FeatureStore, file: str, content: bytes | None) -> None:
    place = Path(store.path) / ("%6C" + file[1:] if file.startswith("label") else file)
    if content is None:
        place.unlink()
    else:
        place.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        use(store.path)
    assert "\n" not in str(caught.value)
    with suppress(StoreError):
        assert not verify(store.path).ok
    with suppress(StoreError):  # nothing else may come out
        store_from_arrays(
            features(), out=store.path, image=[f"p{i}" for i in range(N)],
            domain=[["night", "day"][i % 2] for i in range(N)],
            label=[["<b>cat</b>", "dog", "ünïcode"][i % 3] for i in range(N)],
        )  # fmt: skip


def test_norms_that_are_gone_are_not_zeros(store: FeatureStore) -> None:
    chunk_file(Path(store.path), "label", "norm2", 0, 3).unlink()
    again = open_store(store.path)
    with pytest.raises(StoreError, match=f"block 0 of layer 'label' has lost its norms .*{store.index.index[0]}"):
        again.norm2("label")


@pytest.mark.parametrize("damage", ["delete", "truncate", "norms"])
def test_missing_short_and_foreign_chunks_are_found(store: FeatureStore, damage: str) -> None:
    file = chunk_file(
        Path(store.path), "label", "norm2" if damage == "norms" else "features", 0, 3 if damage == "norms" else 4
    )
    if damage == "delete":
        file.unlink()
    elif damage == "truncate":
        file.write_bytes(file.read_bytes()[:-3])
    else:
        data = bytearray(file.read_bytes())
        data[1] ^= 255
        file.write_bytes(bytes(data))
    report = verify(store.path)
    assert not report.ok
    assert "'label'" in report.bad[0]


def test_a_sound_store_verifies(store: FeatureStore) -> None:
    calls: list[tuple[int, int]] = []
    report = verify(store.path, progress=lambda done, total: calls.append((done, total)))
    assert report.ok
    assert calls[-1] == (report.n_blocks, report.n_blocks)


@given(cells=st.integers(1, 40), input_px=st.integers(40, 600))
@settings_of_hypothesis(max_examples=12, deadline=None)
def test_every_grid_and_input_size_verifies(
    tmp_path_factory: pytest.TempPathFactory, cells: int, input_px: int
) -> None:
    out = tmp_path_factory.mktemp("grids") / "s.zarr"
    store = store_from_arrays({"a": np.ones((2, 1, cells, 13))}, out=out, input_px=(input_px, 224))
    assert verify(store.path).bad == ()


def test_half_written_blocks_are_left_out(store: FeatureStore) -> None:
    before = len(store.blocks("label"))
    chunk_file(Path(store.path), "label", "committed", 1, 1).unlink()
    again = open_store(store.path)
    assert not again.complete("label")
    assert len(again.blocks("label")) == before - 1
    with pytest.raises(StoreError, match="half written"):
        again.check_complete("label")
    with pytest.raises(StoreError, match="never written"):
        again.read("label", slice(0, N))
    assert not verify(store.path).ok


def test_layers_and_pictures_that_are_not_there(store: FeatureStore) -> None:
    with pytest.raises(LayerError, match=r"Did you mean layer4.2/conv\?"):
        store.read("layer4.2/con", slice(0, 1))
    with pytest.raises(StoreError, match="has no picture 'p99'"):
        store.feature("label", "p99")


def test_what_is_no_store_is_named(tmp_path: Path, store: FeatureStore) -> None:
    with pytest.raises(StoreError, match="There is no store"):
        open_store(tmp_path / "gone.zarr")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="no feature store"):
        open_store(tmp_path / "empty")
    zarr.open_group(str(tmp_path / "other.zarr"), mode="w")
    with pytest.raises(StoreError, match="no feature store"):
        open_store(tmp_path / "other.zarr")
    meta = Path(store.path) / "zarr.json"
    content = json.loads(meta.read_text())
    content["attributes"]["schema_version"] = 99
    content.pop("consolidated_metadata", None)
    meta.write_text(json.dumps(content))
    with pytest.raises(StoreError, match="schema version 99"):
        open_store(store.path)


def test_two_runs_are_never_mixed(store: FeatureStore) -> None:
    others = [
        {"image": [f"q{i}" for i in range(N)]},
        {"image": [f"p{i}" for i in range(N)], "network": "another"},
    ]
    for options in others:
        with pytest.raises(StoreError, match="never mixed"):
            store_from_arrays({"more": np.ones((N, 2, 2, 2))}, out=store.path, **options)  # type: ignore[arg-type]


def test_a_layer_can_be_added_to_the_same_pictures(store: FeatureStore) -> None:
    before = {file: file.read_bytes() for file in (Path(store.path) / "label").rglob("c/*") if file.is_file()}
    index = store.index
    again = store_from_arrays(
        {"more": np.ones((N, 2, 2, 2))}, out=store.path, image=[f"p{i}" for i in range(N)],
        domain=[index.loc[f"p{i}", "domain"] for i in range(N)], label=[index.loc[f"p{i}", "label"] for i in range(N)],
    )  # fmt: skip
    assert again.layers == ["layer4.2/conv", "label", "more"]
    assert verify(store.path).ok
    assert all(file.read_bytes() == content for file, content in before.items())


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.full((3, 2, 2, 2), np.nan), {}, "NaN or infinite features for 0"),
        (np.full((3, 2, 2, 2), 1e6), {}, "float16 ends at 65504"),
        (np.ones((3, 2, 2)), {}, r"expected \(image, channel, y, x\)"),
        (np.ones((3, 2, 2, 2)), {"image": ["a", "a", "b"]}, "stands twice"),
        (np.ones((3, 2, 2, 2)), {"label": ["x"]}, "label has 1 values"),
        (np.ones((3, 2, 2, 2)), {"dtype": "int4"}, "dtype is 'int4'"),
    ],
)
def test_features_that_cannot_be_kept(
    tmp_path: Path, values: np.ndarray, options: dict[str, object], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        store_from_arrays({"layer": values}, out=tmp_path / "s.zarr", **options)  # type: ignore[arg-type]


def test_float32_keeps_large_values(tmp_path: Path) -> None:
    store = store_from_arrays({"layer": np.full((3, 2, 2, 2), 1e6)}, out=tmp_path / "s.zarr", dtype="float32")
    assert float(store.feature("layer", "0").max()) == 1e6


def test_a_query_of_another_network_is_refused(store: FeatureStore) -> None:
    from dataclasses import replace

    spec = store.spec("label")
    for change in ({"weights_sha256": "ab"}, {"layer": "other"}):
        with pytest.raises(QueryError):
            spec.check_same_source(replace(spec, **change))  # type: ignore[arg-type]
    spec.check_same_source(replace(spec, dtype="float32"))
