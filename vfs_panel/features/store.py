"""FeatureStore: a store on disk, opened read-only, as labelled arrays."""

import difflib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from numpy.typing import NDArray

from vfs_panel.errors import LayerError, StoreError
from vfs_panel.features import layout
from vfs_panel.features.files import UnreadableError, first_words, store_files
from vfs_panel.features.index import PictureIndex
from vfs_panel.features.packing import unpack
from vfs_panel.features.reading import BlockReader
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.images.preprocessing import Preprocessing

_PER_CELL_WORDS = {"norm2": "norms", "scale": "scales", "lost": "shares lost"}


def open_store(path: Path | str, storage_options: dict[str, Any] | None = None) -> "FeatureStore":
    """Open a feature store.

    Parameters
    ----------
    path : a folder, or a URL that fsspec knows: s3://, gs://, https:// (install `vfs_panel[remote]`).
    storage_options : what the URL's file system takes, such as keys; by default it looks where it always does.

    Raises
    ------
    StoreError
        If there is none, or one of another schema version.
    """
    return FeatureStore(path, storage_options)


class FeatureStore:
    """Features of one set of pictures under one network: some layers, all of the same pictures.

    It may be read by several threads at once, and pickled: it is opened anew where it arrives.

    Parameters
    ----------
    path, storage_options : as of `open_store`.

    Attributes
    ----------
    path, name : where it is, and the folder's name; of a URL without user, password and query.
    layers : names of its layers.
    pictures_index : its index by columns, for large sets.
    index : DataFrame indexed by picture id, in the store's order, with text columns domain, label, split, path and any
        further metadata, and `broken` (bool) for pictures that could not be read.

    Raises
    ------
    StoreError
        If it is missing, is no store, or has another schema version.
    """

    def __init__(self, path: Path | str, storage_options: dict[str, Any] | None = None) -> None:
        self._address, self._options = path, storage_options
        self._files = store_files(path, storage_options)
        path = self._files.path
        try:
            self._root = self._files.group()
            attrs = dict(self._root.attrs)
        except Exception as error:  # zarr raises many kinds for what is no Zarr group
            text = f"{path} is no feature store ({type(error).__name__})."
            if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
                text += f" If it was one, its zarr.json is damaged. Run: vfs-panel verify {path} --repair"
            raise StoreError(text) from None
        if attrs.get("schema") != layout.SCHEMA:
            raise StoreError(f"{path} is no feature store of vfs_panel: its attributes name no {layout.SCHEMA!r}.")
        if attrs.get("schema_version") not in layout.VERSIONS_READ:
            raise StoreError(
                f"{path} has schema version {attrs.get('schema_version')}; this program reads "
                f"{' and '.join(map(str, layout.VERSIONS_READ))}. Update vfs_panel, or use the program that made it: "
                + str(attrs.get("created_with", "unknown"))
            )
        self._attrs = attrs
        self.path, self.name = path, self._files.name
        self.layers = [str(layer) for layer in attrs.get("layers", [])]
        if not self.layers:
            raise StoreError(f"{path} holds no layer yet. Run the extraction that made it again: it goes on.")
        self._readers: dict[str, BlockReader] = {}
        self._specs: dict[str, FeatureSpec] = {}
        self._scales: dict[tuple[str, int], NDArray[np.float32]] = {}

    def __repr__(self) -> str:
        return f"FeatureStore({self.path!r}, {self.n_images} pictures, layers {', '.join(self.layers)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureStore, self.opened_from

    @property
    def opened_from(self) -> tuple[Any, ...]:
        """What `FeatureStore` was made with, to open it again elsewhere; it may hold secrets."""
        return self._address, self._options

    @property
    def attrs(self) -> dict[str, Any]:
        """What made the store: network, weights, weights_sha256, preprocessing, autocast, created_with and more."""
        return dict(self._attrs)

    @property
    def network(self) -> str:
        """Name of the network."""
        return str(self._attrs["network"])

    @property
    def weights_sha256(self) -> str:
        """Hash of the network's weights; "" where another program made the features."""
        return str(self._attrs["weights_sha256"])

    @property
    def pictures(self) -> Path | None:
        """The folder that the pictures lay in when the store was made, if it is still there."""
        folder = Path(str(self._attrs.get("pictures") or "/nowhere"))
        return folder if folder.is_absolute() and folder.is_dir() else None

    @property
    def preprocessing(self) -> Preprocessing:
        """What was done to the pictures."""
        return Preprocessing.from_json(str(self._attrs["preprocessing"]))

    @cached_property
    def pictures_index(self) -> PictureIndex:
        """Ids and metadata of the pictures, by columns that are read when they are asked for."""
        # What is no array is a layer that a killed run had not finished making.
        others = {"image", "broken", *map(layout.group_name, self.layers)}
        try:
            names = [
                name for name in self._columns() if name not in others and isinstance(self._root[name], zarr.Array)
            ]
        except Exception as error:
            raise StoreError(
                f"The index of {self.path} is damaged ({first_words(error)}). "
                f"Run: vfs-panel verify {self.path} --repair"
            ) from None
        return PictureIndex(self._files, self._root, self._attrs, names)

    @property
    def n_images(self) -> int:
        """How many pictures the store has rows for."""
        return self.pictures_index.n_images

    @property
    def index(self) -> pd.DataFrame:
        """Ids and metadata of the pictures, in the store's order."""
        return self.pictures_index.frame

    @property
    def findings(self) -> pd.DataFrame | None:
        """What each picture shows, for sets where it may be several things: bool, a column for each finding."""
        return self.pictures_index.findings

    def _columns(self) -> list[str]:
        """Names of the index's columns: noted by the writer, as not every server lists folders."""
        noted = self._attrs.get("columns")
        if noted is not None:
            return [str(name) for name in noted]
        return self._files.folders() or [name for name in layout.ROOT_ARRAYS if name in self._root]

    def _group(self, layer: str) -> Any:
        if layer not in self.layers:
            near = difflib.get_close_matches(layer, self.layers, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise LayerError(
                f"Layer {layer!r} is not in the store {self.name}, which holds {', '.join(self.layers)}.{hint} "
                f"To add it: vfs-panel extract … --model {self.network} --layer {layer} --out {self.path}"
            )
        try:
            return self._root[layout.group_name(layer)]
        except Exception as error:  # zarr raises many kinds for metadata that are not what they were
            raise self._damaged(layer, error) from None

    def _array(self, layer: str, name: str) -> Any:
        group = self._group(layer)
        try:
            return group[name]
        except Exception as error:
            raise self._damaged(layer, error) from None

    def _damaged(self, layer: str, error: Exception) -> StoreError:
        return StoreError(
            f"The metadata of layer {layer!r} in {self.path} is damaged or missing "
            f"({type(error).__name__}: {first_words(error)}). Run: vfs-panel verify {self.path} --repair"
        )

    def spec(self, layer: str) -> FeatureSpec:
        """Return what made a layer's features.

        Raises
        ------
        LayerError
            If the store does not hold the layer.
        """
        if layer not in self._specs:
            self._specs[layer] = FeatureSpec.from_attrs(self._attrs, dict(self._group(layer).attrs))
        return self._specs[layer]

    def versions(self, layer: str) -> dict[str, str]:
        """Return the versions of the libraries that made a layer; empty where that is not known."""
        return {str(k): str(v) for k, v in dict(self._group(layer).attrs.get("versions", {})).items()}

    def record(self, layer: str, block: int) -> int:
        """Return the commit record of a block: the CRC32C of its features' bytes, or -1."""
        return int(self._reader(layer).committed[block])

    def _reader(self, layer: str) -> BlockReader:
        if layer not in self._readers:
            features = self._array(layer, "features")
            records = self._array(layer, "committed")
            committed = self._committed(layer, records)
            if features.shape != (self.n_images, *self.spec(layer).grid):
                raise self._damaged(layer, ValueError(f"features are {features.shape}"))
            if committed.shape != (-(-self.n_images // (features.shards or features.chunks)[0]),):
                raise self._damaged(layer, ValueError(f"{committed.shape} commit records"))
            self._readers[layer] = BlockReader(self._files, layer, features, records, committed, self.pictures_index)
        return self._readers[layer]

    def _committed(self, layer: str, records: Any) -> NDArray[np.int64]:
        noted = self._attrs.get(layout.RECORDS, {}).get(layer, ()) if self._files.far else ()
        if len(noted) == records.shape[0]:
            return np.array(noted, np.int64)
        try:
            (array,), _ = self._files.loaded([records])
        except UnreadableError as error:  # a server that does not answer is no store that is half written
            what = f"{self.path}: the list of blocks of layer {layer!r} {error.what}. {error.mend}"
            raise StoreError(what.rstrip()) from None
        return layout.commit_records(array)

    def blocks(self, layer: str) -> list[slice]:
        """Return the rows of every block that was wholly written when the store was opened, in order."""
        reader = self._reader(layer)
        rows = layout.block_slices(self.n_images, reader.block_rows)
        return [span for span, record in zip(rows, reader.committed, strict=True) if record != layout.NOT_COMMITTED]

    def complete(self, layer: str) -> bool:
        """Return whether every block of a layer is written."""
        return not (self._reader(layer).committed == layout.NOT_COMMITTED).any()

    def complete_or_damaged(self, layer: str) -> bool:
        """Return whether a layer was finished once, as far as its metadata tell."""
        return layer in self._attrs.get(layout.RECORDS, {}) or self.complete(layer)

    @property
    def far(self) -> bool:
        """Whether it lies behind a URL."""
        return self._files.far

    def metadata(self, file: str) -> bytes | None:
        """Return one of the store's zarr.json files as it is, or None."""
        return self._files.metadata(file)

    def check_complete(self, layer: str) -> None:
        """Refuse a layer that is only half written.

        Raises
        ------
        StoreError
            Saying how far it is and how to go on.
        """
        if not self.complete(layer):
            done = sum(span.stop - span.start for span in self.blocks(layer))
            raise StoreError(
                f"{self.path} is half written: layer {layer!r} has {done} of {self.n_images} pictures. Run the same "
                "vfs-panel extract command again: it goes on where it stopped."
            )

    def nbytes(self, layer: str) -> int:
        """Return the bytes of a layer's features as stored."""
        spec = self.spec(layer)
        scales = 4 * spec.grid[1] * spec.grid[2] if spec.dtype == "int8" else 0
        return self.n_images * (spec.nbytes + scales)

    def nbytes_on_disk(self, layer: str) -> int | None:
        """Return the bytes of all files of a layer; None where they cannot be counted, as behind most URLs."""
        self._group(layer)
        return self._files.nbytes(layout.group_name(layer))

    def read(self, layer: str, rows: slice) -> NDArray[Any]:
        """Return features (n, channel, y, x) of some rows, every block's checksum checked.

        They have the stored type; int8 codes become the float32 features that they stand for.

        Raises
        ------
        LayerError, StoreError
            If the layer is not here, or a block is missing or damaged (named with its pictures).
        """
        start, stop, _ = rows.indices(self.n_images)
        rows = slice(start, max(start, stop))
        return unpack(self._reader(layer).read(rows), self._scale(layer, np.arange(rows.start, rows.stop)))

    def read_rows(self, layer: str, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return features (n, channel, y, x) of scattered rows; as `read` otherwise.

        Raises
        ------
        LayerError, StoreError
            If the layer is not here, a row does not exist, or its block is missing, damaged or was changed meanwhile.
        """
        rows = np.asarray(rows)
        if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < self.n_images):
            raise StoreError(f"{self.name} has rows 0 to {self.n_images - 1}, not {rows.min()} to {rows.max()}.")
        return unpack(self._reader(layer).read_rows(rows), self._scale(layer, rows))

    def packed(self, layer: str, rows: NDArray[np.integer[Any]]) -> dict[str, NDArray[Any]]:
        """Return a layer's arrays of some rows as they are stored: features, norm2, and for int8 scale and lost.

        Raises
        ------
        LayerError, StoreError
            As `read_rows` does.
        """
        arrays: dict[str, NDArray[Any]] = {"features": self._reader(layer).read_rows(rows)}
        low, high = (int(rows.min()), int(rows.max()) + 1) if len(rows) else (0, 0)
        for name in layout.arrays_of(self.spec(layer).dtype)[1:]:
            arrays[name] = self._per_cell(layer, name, slice(low, high))[rows - low]
        return arrays

    def _scale(self, layer: str, rows: NDArray[np.integer[Any]]) -> NDArray[np.float32] | None:
        """Return the scales of some rows, (n, y, x), kept once read; None where features are stored as numbers."""
        if self.spec(layer).dtype != "int8":
            return None
        spans = layout.block_slices(self.n_images, self._reader(layer).block_rows)
        blocks = rows // self._reader(layer).block_rows
        out = np.empty((len(rows), *self.spec(layer).grid[1:]), np.float32)
        for block in np.unique(blocks).tolist():
            if (layer, block) not in self._scales:
                self._scales[layer, block] = self._per_cell(layer, "scale", spans[block])
            chosen = blocks == block
            out[chosen] = self._scales[layer, block][rows[chosen] - spans[block].start]
        return out

    def lost(self, layer: str) -> NDArray[np.floating[Any]]:
        """Return what int8 took from every cell, (image, y, x), as a share of its length; zeros for other types."""
        if self.spec(layer).dtype != "int8":
            return np.zeros((self.n_images, *self.spec(layer).grid[1:]), np.float16)
        return self._per_cell(layer, "lost", slice(None))

    def rows_alone(self, layer: str) -> bool:
        """Return whether a row can be read without decoding its whole block."""
        return self._reader(layer).rows_alone

    def norm2(self, layer: str, rows: slice = slice(None)) -> NDArray[np.float32]:
        """Return the squared length of every cell, float32 (image, y, x); 0 where a block is not written.

        Raises
        ------
        LayerError, StoreError
            If the layer is not here, or norms are missing or damaged.
        """
        return self._per_cell(layer, "norm2", rows)

    def _per_cell(self, layer: str, name: str, rows: slice) -> NDArray[Any]:
        """Return some rows of an array (image, y, x) that stands beside the features."""
        start, stop, _ = rows.indices(self.n_images)
        reader, array = self._reader(layer), self._array(layer, name)
        what, ids = _PER_CELL_WORDS[name], self.pictures_index

        def span() -> str:
            return f"between pictures {ids[start]} and {ids[stop - 1]}" if start < stop else "of no picture"

        try:
            (found,), missing = self._files.loaded([array], slice(start, max(start, stop)))
            for block in range(start // reader.block_rows, -(-stop // reader.block_rows)):
                lost = layout.chunk_name(layer, name, block, 3) in missing  # zarr would read zeros
                if lost and reader.committed[block] != layout.NOT_COMMITTED:
                    raise reader.error(block, f"has lost its {what}")
            return np.asarray(found[start:stop])
        except UnreadableError as error:
            text = f"{self.path}: what holds the {what} of layer {layer!r}, {span()}, {error.what}. {error.mend}"
            raise StoreError(text.rstrip()) from None
        except (ValueError, OSError, RuntimeError) as error:
            raise StoreError(
                f"{self.path}: {what} of layer {layer!r} are damaged, {span()} ({first_words(error)}). "
                f"Run: vfs-panel verify {self.path}"
            ) from None

    def row(self, image_id: str) -> int:
        """Return the row of a picture.

        Raises
        ------
        StoreError
            If the store has no such picture.
        """
        try:
            return int(self.pictures_index.ids.get_loc(image_id))  # type: ignore[arg-type]
        except KeyError:
            near = difflib.get_close_matches(str(image_id), self.pictures_index.text("image").tolist(), n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else f" It has, for example, {self.pictures_index[0]!r}."
            raise StoreError(f"{self.name} has no picture {image_id!r}.{hint}") from None

    def feature(self, layer: str, image_id: str) -> xr.DataArray:
        """Return one picture's features, DataArray (channel, y, x) float32, with the picture's id as coordinate.

        Raises
        ------
        LayerError, StoreError
            If the layer or the picture is not here, or its block is damaged.
        """
        row = self.row(image_id)
        values = self.read(layer, slice(row, row + 1))[0].astype(np.float32)
        y, x = self.spec(layer).centres_px()
        return xr.DataArray(
            values, dims=("channel", "y", "x"), coords={"y": y, "x": x, "image": image_id}, name="features",
            attrs={"layer": layer},
        )  # fmt: skip

    def _check_centres(self, layer: str) -> None:
        for axis, expected in zip("yx", self.spec(layer).centres_px(), strict=True):
            try:
                (array,), missing = self._files.loaded([self._array(layer, axis)])
                sound = not missing and np.allclose(array[:], expected)
            except UnreadableError as error:
                what = f"{self.path}: coordinate {axis} of layer {layer!r} {error.what}. {error.mend}"
                raise StoreError(what.rstrip()) from None
            except (ValueError, OSError, RuntimeError):
                sound = False
            if not sound:
                raise self._damaged(layer, ValueError(f"coordinate {axis}"))

    def dataset(self, layer: str) -> xr.Dataset:
        """Return a layer as a Dataset, read lazily: features (image, channel, y, x) and norm2 (image, y, x).

        Coordinates: image, domain, label, split, path and further metadata; y and x, the cells' centres in input
        pixels. Blocks that are not written are left out.
        """
        import dask.array as da

        self._group(layer)  # an unknown layer is named before anything is read
        spec, spans = self.spec(layer), self.blocks(layer)
        rows = np.concatenate([np.arange(s.start, s.stop) for s in spans]) if spans else np.arange(0)
        parts = [
            da.map_blocks(
                self._lazy_block, layer, span.start, span.stop,
                chunks=((span.stop - span.start,), *((v,) for v in spec.grid)),
                dtype=np.dtype(spec.read_dtype), meta=np.empty((0, 0, 0, 0), spec.read_dtype),
            )
            for span in spans
        ]  # fmt: skip
        features = da.concatenate(parts) if parts else da.zeros((0, *spec.grid), dtype=spec.read_dtype)
        y, x = self.spec(layer).centres_px()
        index = self.index.iloc[rows]
        return xr.Dataset(
            {
                "features": (("image", "channel", "y", "x"), features, spec.to_attrs()),
                "norm2": (("image", "y", "x"), self.norm2(layer)[rows]),
            },
            coords={
                "image": index.index.to_numpy(object).astype(str),
                "y": y,
                "x": x,
                **{name: ("image", index[name].to_numpy(object).astype(str)) for name in index if name != "broken"},
                "broken": ("image", index["broken"].to_numpy(bool)),
            },
            attrs=spec.source_attrs() | {"store": self.path},
        )

    def _lazy_block(self, layer: str, start: int, stop: int) -> NDArray[Any]:
        return self.read(layer, slice(start, stop))

    def features(self, layer: str) -> xr.DataArray:
        """Return `dataset(layer).features`: lazily read, (image, channel, y, x)."""
        return self.dataset(layer)["features"]
