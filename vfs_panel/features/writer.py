"""StoreWriter: creates a store or goes on with one, block by block, each with its commit record.

One writer per store: Zarr gives no lock, so the store's folder is locked where the system can do so.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from vfs_panel import __version__
from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.spec import FeatureSpec

_DAMAGED = (KeyError, ValueError, RuntimeError)  # what zarr and its codecs raise on damaged metadata or chunks
_NONE = np.zeros(0, bool)


@contextlib.contextmanager
def saying_no_space(path: Path) -> Iterator[None]:
    """Turn the system's "no space left" and "read-only" into a StoreError that says how to go on.

    Raises
    ------
    StoreError
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"No space left while writing {path}. What is written is kept: free some space and run the same "
                "command again, it goes on where it stopped."
            ) from None
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise StoreError(f"{path} cannot be written: {error.strerror}. Choose another place with --out.") from None
        raise


class StoreWriter:
    """Writes the blocks of one store.

    Parameters
    ----------
    path : where the store is, or will be.
    index : one row per picture, indexed by id, in the store's order, with columns domain, label, split, path and
        any further metadata.
    specs : one per layer; their sources must agree.
    block_rows : pictures per block; only used when the store is created.
    pictures : folder of the pictures, for programs that show them; "" where there is none.

    Raises
    ------
    StoreError
        If there is something else at `path`, or a store of another network, preprocessing, storage type or set of
        pictures (named), or another process is writing it.
    """

    def __init__(
        self, path: Path, index: pd.DataFrame, specs: Mapping[str, FeatureSpec], *, block_rows: int, pictures: str = ""
    ) -> None:
        self.path, self.specs = path, dict(specs)
        self._lock: int | None = None
        with saying_no_space(path):
            if path.exists():
                self._check_same(index)
            else:
                self._create(index, block_rows, pictures)
            self._lock = _take_lock(path)
            try:
                self._open(len(index))
            except BaseException as error:
                self.close()  # a writer that was never made must not keep the next one out
                if isinstance(error, _DAMAGED):
                    raise StoreError(
                        f"{path} is damaged ({type(error).__name__}: {str(error)[:80]}). Run: vfs-panel verify {path}"
                    ) from None
                raise

    def _open(self, n_images: int) -> None:
        for leftover in self.path.rglob("*.partial"):  # of a writer that was killed in mid-file
            leftover.unlink(missing_ok=True)
        self._root = zarr.open_group(str(self.path), mode="r+", use_consolidated=False)
        self.block_rows = int(self._root.attrs["block_rows"])
        self.blocks = layout.block_slices(n_images, self.block_rows)
        self._broken = np.asarray(self._root["broken"][:], bool)
        for layer, spec in self.specs.items():
            self._open_layer(layer, spec, n_images)
        self._missing = self._not_committed()
        self._forget_records()

    def _forget_records(self) -> None:
        """Take back what `finish` noted of layers that have lost blocks since: they get new commit records."""
        noted = dict(self._root.attrs.get(layout.RECORDS, {}))
        kept = {layer: records for layer, records in noted.items() if not self._missing.get(layer, _NONE).any()}
        if kept != noted:
            self._root.attrs[layout.RECORDS] = kept
            _sync(self.path / "zarr.json")

    def close(self) -> None:
        """Let others write the store."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _source(self) -> dict[str, str]:
        return next(iter(self.specs.values())).source_attrs()

    def _create(self, index: pd.DataFrame, block_rows: int, pictures: str) -> None:
        """Write root and index beside the final place and move them there whole."""
        creating = self.path.with_name(f".{self.path.name}.creating")
        shutil.rmtree(creating, ignore_errors=True)
        creating.parent.mkdir(parents=True, exist_ok=True)
        root = zarr.open_group(str(creating), mode="w", zarr_format=3)
        root.attrs.update(
            {
                "schema": layout.SCHEMA,
                "schema_version": layout.SCHEMA_VERSION,
                "created_with": f"vfs_panel {__version__}",
                "block_rows": block_rows,
                "layers": [],
                "columns": [str(column) for column in index.columns if column != "broken"],
                "index_sha256": layout.index_hash(index),
                "pictures": pictures,
                **self._source(),
            }
        )
        _write_text(root, "image", index.index.to_numpy(object))
        for column in index.columns:
            if column == "broken":
                continue
            values = index[column].to_numpy(object)
            if column in layout.CODED:
                _write_codes(root, column, values)
            else:
                _write_text(root, column, values)
        _write_plain(root, "broken", np.zeros(len(index), bool))
        _sync_all(creating)
        os.replace(creating, self.path)

    def _check_same(self, index: pd.DataFrame) -> None:
        try:
            attrs = dict(zarr.open_group(str(self.path), mode="r", use_consolidated=False).attrs)
        except (FileNotFoundError, ValueError, KeyError, OSError):
            attrs = {}
        if attrs.get("schema") != layout.SCHEMA:
            raise StoreError(f"{self.path} exists and is no feature store. Choose another place with --out.")
        if attrs.get("schema_version") != layout.SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} has schema version {attrs.get('schema_version')}, this program writes "
                f"{layout.SCHEMA_VERSION}. Choose another place with --out."
            )
        for name, mine in self._source().items():
            if name == "weights" and self._source()["weights_sha256"]:
                continue  # the same weights may come by another way: their hash says whether they are the same
            if attrs.get(name) != mine:
                raise StoreError(
                    f"{self.path} was made with {name.replace('_', ' ')} {str(attrs.get(name))[:60]!r}, this run has "
                    f"{mine[:60]!r}. Two runs are never mixed: choose another place with --out."
                )
        if attrs.get("index_sha256") != layout.index_hash(index):
            raise StoreError(
                f"{self.path} holds other pictures, labels or domains than this run has. "
                "Two sets are never mixed: choose another place with --out."
            )

    def _open_layer(self, layer: str, spec: FeatureSpec, n_images: int) -> None:
        name = layout.group_name(layer)
        if layer not in self._root.attrs["layers"]:
            # A layer counts once it is listed. What stands here is of a writer that was killed while it made the layer.
            shutil.rmtree(self.path / name, ignore_errors=True)
        else:
            stored = dict(self._root[name].attrs)
            if stored.get("dtype") != spec.dtype or tuple(stored.get("grid", ())) != spec.grid:
                raise StoreError(
                    f"{self.path} holds layer {layer!r} as {stored.get('dtype')} {stored.get('grid')}, this run makes "
                    f"{spec.dtype} {list(spec.grid)}. Choose the same type, or another place with --out."
                )
            return
        _, height, width = spec.grid
        rows = self.block_rows
        group = self._root.create_group(name, attributes=spec.to_attrs())
        common = {"compressors": [Crc32cCodec()], "config": {"write_empty_chunks": True}, "fill_value": 0}
        group.create_array(
            "features", shape=(n_images, *spec.grid), chunks=(rows, *spec.grid), dtype=spec.dtype,
            dimension_names=("image", "channel", "y", "x"), **common,
        )  # fmt: skip
        group.create_array(
            "norm2", shape=(n_images, height, width), chunks=(rows, height, width), dtype="float32",
            dimension_names=("image", "y", "x"), attributes={"long_name": "squared length of each cell's features"},
            **common,
        )  # fmt: skip
        for axis, cells, size in (("y", height, spec.input_px[0]), ("x", width, spec.input_px[1])):
            _write_plain(group, axis, (np.arange(cells) + 0.5) * size / cells, dims=(axis,), units="input pixels")
        group.create_array(
            "committed", shape=(len(self.blocks),), chunks=(1,), dtype="int64", fill_value=layout.NOT_COMMITTED,
            dimension_names=("block",), **{k: v for k, v in common.items() if k != "fill_value"},
        )  # fmt: skip
        _sync_all(self.path / name)
        self._root.attrs["layers"] = [*self._root.attrs["layers"], layer]
        _sync(self.path / "zarr.json")

    def _not_committed(self) -> dict[str, NDArray[np.bool_]]:
        found = {}
        for layer in self.specs:
            group = self._layer(layer)
            for name in ("features", "norm2", "committed"):
                group[name]  # KeyError, rather than a failure at the first block
            found[layer] = layout.commit_records(group["committed"]) == layout.NOT_COMMITTED
        return found

    def missing(self) -> list[int]:
        """Return the blocks that some layer still lacks, in order."""
        return [int(i) for i in np.flatnonzero(np.any(list(self._missing.values()), axis=0))]

    def _layer(self, layer: str) -> Any:
        return self._root[layout.group_name(layer)]

    def write_block(
        self, block: int, features: Mapping[str, NDArray[Any]], norm2: Mapping[str, NDArray[np.float32]]
    ) -> None:
        """Write one block of every layer, and its commit records once it is on the disk.

        Parameters
        ----------
        block : which one; rows `blocks[block]`.
        features : layer -> array (n, channel, y, x) in the stored type.
        norm2 : layer -> float32 array (n, y, x), of the features as stored.

        Raises
        ------
        StoreError
            If no space is left.
        """
        rows = self.blocks[block]
        with saying_no_space(self.path):
            for layer, values in features.items():
                group = self._layer(layer)
                if not self._missing[layer][block]:
                    continue  # an added layer fills up a store; blocks of the layers it had stay as they are
                group["features"][rows] = values
                group["norm2"][rows] = norm2[layer]
                _sync(layout.chunk_file(self.path, layer, "features", block, 4))
                _sync(layout.chunk_file(self.path, layer, "norm2", block, 3))
                group["committed"][block] = layout.block_crc(values)
                _sync(layout.chunk_file(self.path, layer, "committed", block, 1))
                self._missing[layer][block] = False

    def mark_broken(self, rows: list[int]) -> None:
        """Note pictures that could not be read; their rows hold zeros and are never searched."""
        if rows and not self._broken[rows].all():
            self._broken[rows] = True
            with saying_no_space(self.path):
                self._root["broken"][:] = self._broken
                _sync(self.path / "broken" / "c" / "0")

    def finish(self) -> None:
        """Consolidate the metadata, so that the store opens with one read, also over plain https."""
        import warnings

        with saying_no_space(self.path), warnings.catch_warnings():
            # Beside the other metadata: a file each would be a request each.
            whole = [layer for layer in self.specs if not self._missing[layer].any()]
            records = {layer: layout.commit_records(self._layer(layer)["committed"]).tolist() for layer in whole}
            self._root.attrs[layout.RECORDS] = {**self._root.attrs.get(layout.RECORDS, {}), **records}
            # Consolidated metadata are not yet in the v3 specification; every reader here works without them too.
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(str(self.path))


def _write_plain(
    group: zarr.Group, name: str, values: NDArray[Any], dims: tuple[str, ...] = ("image",), **attrs: str
) -> None:
    array = group.create_array(
        name, shape=values.shape, chunks=values.shape or (1,), dtype=values.dtype, dimension_names=dims,
        compressors=[Crc32cCodec()], attributes=dict(attrs), config={"write_empty_chunks": True},
    )  # fmt: skip
    array[:] = values


def _write_codes(group: zarr.Group, name: str, values: NDArray[Any]) -> None:
    codes, meanings = pd.factorize(values, sort=True)
    if len(meanings) > np.iinfo(np.int16).max:
        raise StoreError(f"Column {name} has {len(meanings)} values; at most {np.iinfo(np.int16).max} are stored.")
    _write_plain(group, name, codes.astype(np.int16))
    group[name].attrs["flag_meanings"] = [str(m) for m in meanings]


def _write_text(group: zarr.Group, name: str, values: NDArray[Any]) -> None:
    import warnings

    with warnings.catch_warnings():
        # Zarr warns that variable-length text has no v3 specification yet; it is what xarray reads and writes.
        warnings.simplefilter("ignore")
        array = group.create_array(
            name, shape=values.shape, chunks=(max(1, len(values)),), dtype="string", dimension_names=("image",),
            compressors=[ZstdCodec(level=1, checksum=True)], config={"write_empty_chunks": True},
        )  # fmt: skip
        array[:] = np.array([str(v) for v in values], dtype=object)


def _sync(*files: Path) -> None:
    """Bring files and their folder entries to the disk, so that a commit record never outlives its data."""
    for place in dict.fromkeys([*files, *(file.parent for file in files)]):
        if os.name == "nt" and place.is_dir():
            continue  # Windows cannot sync folders, and files only through a handle that may write
        handle = os.open(place, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sync_all(folder: Path) -> None:
    """Bring all of a new folder to the disk: blocks are worth nothing if the metadata above them is lost."""
    _sync(*folder.rglob("*"))


def _take_lock(path: Path) -> int | None:
    """Lock the store's folder until the returned handle is closed, or the process ends however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StoreError(f"{path} is being written by another process. Wait for it, or choose another place.") from None
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle
