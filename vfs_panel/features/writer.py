"""StoreWriter: creates a store or goes on with one, block by block, each with its commit record.

Several processes may write one store at once: each claims the blocks that it makes (see `claims`), so that every block
is written once, by one of them, and what a killed process leaves is made by another.
"""

import contextlib
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from vfs_panel import __version__
from vfs_panel.disk import link_or_copy, sync, sync_all
from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.claims import Claims
from vfs_panel.features.disk import saying_no_space
from vfs_panel.features.files import first_words
from vfs_panel.features.index import write_broken, write_index, write_plain
from vfs_panel.features.packing import Packed
from vfs_panel.features.rebuilding import with_copy
from vfs_panel.features.sealing import seal
from vfs_panel.features.spec import FeatureSpec

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

_DAMAGED = (
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
)  # what zarr and its codecs raise on damaged metadata or chunks
_NONE = np.zeros(0, bool)
_LOOK_S = 0.25  # how often to look whether others have done their blocks


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
    findings : bool, indexed as `index`, a column for each finding; None where a picture has just its label.
    versions : library -> version, of those that made the features.

    Raises
    ------
    StoreError
        If there is something else at `path`, or a store of another network, preprocessing, storage type or set of
        pictures (named), or it is damaged.
    """

    def __init__(
        self,
        path: Path,
        index: pd.DataFrame,
        specs: Mapping[str, FeatureSpec],
        *,
        block_rows: int,
        pictures: str = "",
        findings: pd.DataFrame | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.specs, self._versions = path, dict(specs), dict(versions or {})
        self._claims = Claims(path)
        with saying_no_space(path), self._claims.whole():
            if path.exists():
                self._check_same(index, findings)
            else:
                self._create(index, block_rows, pictures, findings)
            with _saying_damaged(path):
                self._open(len(index))

    def _open(self, n_images: int) -> None:
        _sweep(self.path)
        self._root = zarr.open_group(str(self.path), mode="r+", use_consolidated=False)
        self.block_rows = int(self._root.attrs["block_rows"])
        self.blocks = layout.block_slices(n_images, self.block_rows)
        for layer, spec in self.specs.items():
            self._open_layer(layer, spec, n_images)
        self._missing = self._not_committed()
        self._unseal()

    def _unseal(self) -> None:
        """Take back what `finish` noted of layers that have lost blocks since: they get new commit records."""
        noted = dict(self._root.attrs.get(layout.RECORDS, {}))
        kept = {layer: records for layer, records in noted.items() if not self._missing.get(layer, _NONE).any()}
        if kept != noted or self._root.attrs["schema_version"] != layout.SCHEMA_VERSION:
            # Of the first version, all arrays stay as they are: the second only knows more.
            version = {"schema_version": layout.SCHEMA_VERSION, "autocast": self._source()["autocast"]}
            self._root.attrs.update({layout.RECORDS: kept} | version)
            sync(self.path / "zarr.json")

    def close(self) -> None:
        """Let others write what this one has not."""
        self._claims.close()
        self._claims.remove()

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _source(self) -> dict[str, str]:
        return next(iter(self.specs.values())).source_attrs()

    def _create(self, index: pd.DataFrame, block_rows: int, pictures: str, findings: pd.DataFrame | None) -> None:
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
                "findings": findings is not None,
                "index_sha256": layout.index_hash(index, findings),
                "pictures": pictures,
                **self._source(),
            }
        )
        write_index(root, index, findings)
        sync_all(creating)
        os.replace(creating, self.path)

    def _check_same(self, index: pd.DataFrame, findings: pd.DataFrame | None) -> None:
        try:
            attrs = dict(zarr.open_group(str(self.path), mode="r", use_consolidated=False).attrs)
        except (FileNotFoundError, ValueError, KeyError, OSError):
            attrs = {}
        if attrs.get("schema") != layout.SCHEMA:
            raise StoreError(f"{self.path} exists and is no feature store. Choose another place with --out.")
        if attrs.get("schema_version") not in layout.VERSIONS_READ:
            raise StoreError(
                f"{self.path} has schema version {attrs.get('schema_version')}, this program writes "
                f"{layout.SCHEMA_VERSION}. Choose another place with --out."
            )
        for name, mine in self._source().items():
            if name == "weights" and self._source()["weights_sha256"]:
                continue  # the same weights may come by another way: their hash says whether they are the same
            if attrs.get(name, "" if name == "autocast" else None) != mine:
                raise StoreError(
                    f"{self.path} was made with {name.replace('_', ' ')} {str(attrs.get(name))[:60]!r}, this run has "
                    f"{mine[:60]!r}. Two runs are never mixed: choose another place with --out."
                )
        if attrs.get("index_sha256") != layout.index_hash(index, findings):
            raise StoreError(
                f"{self.path} holds other pictures, labels or domains than this run has. Two sets are never mixed: "
                "choose another place with --out, or add new pictures with --append."
            )

    def _open_layer(self, layer: str, spec: FeatureSpec, n_images: int) -> None:
        name = layout.group_name(layer)
        if layer not in self._root.attrs["layers"]:
            # A layer counts once it is listed. What stands here is of a writer that was killed while it made the layer.
            shutil.rmtree(self.path / name, ignore_errors=True)
        else:
            stored = dict(self._root[name].attrs)
            held = (stored.get("dtype"), stored.get("compression", "none"), tuple(stored.get("grid", ())))
            if held != (spec.dtype, spec.compression, spec.grid):
                raise StoreError(
                    f"{self.path} holds layer {layer!r} as {held[0]} {list(held[2])}, compression {held[1]}; this run "
                    f"makes {spec.dtype} {list(spec.grid)}, compression {spec.compression}. Choose the same type, or "
                    "another place with --out."
                )
            return
        _, height, width = spec.grid
        rows = self.block_rows
        root = dict(self._root.attrs) | {"schema_version": layout.SCHEMA_VERSION} | self._source()
        root["layers"] = [*root["layers"], layer]
        own = spec.to_attrs() | {"versions": self._versions}
        group = self._root.create_group(name, attributes=with_copy(own, root))
        checked = [Crc32cCodec()]
        common = {"config": {"write_empty_chunks": True}, "fill_value": 0}
        # Byte shuffling would break the runs of zeros that a ReLU leaves: zstd alone makes smaller files.
        group.create_array(
            "features", shape=(n_images, *spec.grid), chunks=(rows, *spec.grid), dtype=spec.dtype,
            dimension_names=("image", "channel", "y", "x"),
            compressors=[ZstdCodec(level=1), *checked] if spec.compression == "zstd" else checked, **common,
        )  # fmt: skip
        for array in layout.arrays_of(spec.dtype)[1:]:
            group.create_array(
                array, shape=(n_images, height, width), chunks=(rows, height, width), dtype=layout.PER_CELL[array],
                dimension_names=("image", "y", "x"), attributes={"long_name": _LONG_NAMES[array]},
                compressors=checked, **common,
            )  # fmt: skip
        for axis, centres in zip("yx", spec.centres_px(), strict=True):
            write_plain(group, axis, centres, dims=(axis,), units="input pixels")
        group.create_array(
            "committed", shape=(len(self.blocks),), chunks=(1,), dtype="int64", dimension_names=("block",),
            compressors=checked, **(common | {"fill_value": layout.NOT_COMMITTED}),
        )  # fmt: skip
        sync_all(self.path / name)
        self._root.attrs["layers"] = root["layers"]
        sync(self.path / "zarr.json")

    def _not_committed(self) -> dict[str, NDArray[np.bool_]]:
        found = {}
        for layer, spec in self.specs.items():
            for name in layout.arrays_of(spec.dtype):
                self._array(layer, name)  # KeyError, rather than a failure at the first block
            found[layer] = layout.commit_records(self._array(layer, "committed")) == layout.NOT_COMMITTED
        return found

    def missing(self) -> list[int]:
        """Return the blocks that some layer still lacks, in order."""
        return [int(i) for i in np.flatnonzero(np.any(list(self._missing.values()), axis=0))]

    def claimed(self, while_waiting: Callable[[], None] | None = None) -> Iterator[int]:
        """Yield the blocks that some layer lacks, each claimed for this process until it is written.

        Blocks that other processes make are waited for at the end; one whose process has died is made here.

        Parameters
        ----------
        while_waiting : called now and then meanwhile; may raise.
        """
        pending: set[int] = set()
        while todo := [block for block in self.missing() if block not in pending]:
            got = False
            for block in todo:
                if not self._claims.take(block):
                    continue
                got = True
                if self._has_become_whole(block):
                    self._claims.drop(block)
                    continue
                self._sweep_block(block)
                pending.add(block)
                yield block
            if not got:
                if while_waiting is not None:
                    while_waiting()
                time.sleep(_LOOK_S)
                for block in todo:
                    self._has_become_whole(block)

    def _has_become_whole(self, block: int) -> bool:
        """Look whether another process has written a block meanwhile."""
        for layer, missing in self._missing.items():
            if missing[block]:
                missing[block] = layout.commit_record(self._array(layer, "committed"), block) == layout.NOT_COMMITTED
        return not any(missing[block] for missing in self._missing.values())

    def _sweep_block(self, block: int) -> None:
        """Remove what a writer that was killed in mid-file has left of a block."""
        for layer, spec in self.specs.items():
            for name in layout.arrays_of(spec.dtype):
                _sweep(layout.chunk_file(self.path, layer, name, block, 4 if name == "features" else 3).parent)
            _sweep(layout.chunk_file(self.path, layer, "committed", block, 1).parent, f"{block}.")

    def _array(self, layer: str, name: str) -> Any:
        # Zarr would leave a chunk out that is all zeros, as one of broken pictures is: it could not be told from a lost
        # one. The array's own metadata do not say so.
        return self._root[layout.group_name(layer)][name].with_config({"write_empty_chunks": True})

    def write_block(self, block: int, packed: Mapping[str, Packed]) -> None:
        """Write one block of every layer, and its commit records once it is on the disk.

        Parameters
        ----------
        block : which one; rows `blocks[block]`.
        packed : layer -> its arrays, as `packing.pack` returns them.

        Raises
        ------
        StoreError
            If no space is left.
        """
        rows = self.blocks[block]
        with saying_no_space(self.path):
            for layer, arrays in packed.items():
                if not self._missing[layer][block]:
                    continue  # an added layer fills up a store; blocks of the layers it had stay as they are
                files = []
                for name, values in arrays.items():
                    self._array(layer, name)[rows] = values
                    files.append(layout.chunk_file(self.path, layer, name, block, values.ndim))
                sync(*files)
                self._commit(layer, block, layout.block_crc(arrays["features"]))
        self._claims.drop(block)

    def _commit(self, layer: str, block: int, record: int) -> None:
        self._array(layer, "committed")[block] = record
        sync(layout.chunk_file(self.path, layer, "committed", block, 1))
        self._missing[layer][block] = record == layout.NOT_COMMITTED

    def take_over(self, store: "FeatureStore") -> None:
        """Take all blocks from a store whose pictures are the first of this one, without a copy where that can be.

        Parameters
        ----------
        store : in a folder of this machine, with the same layers, types and block size. Its last block, if it is not
            full, is left to be made.
        """
        self.mark_broken(np.flatnonzero(store.index["broken"].to_numpy(bool)).tolist())
        with saying_no_space(self.path):
            for block in self.missing():
                full = self.blocks[block].stop - self.blocks[block].start == self.block_rows
                if not full or self.blocks[block].stop > store.n_images or not self._claims.take(block):
                    continue
                if not self._has_become_whole(block):
                    self._sweep_block(block)
                    for layer, spec in self.specs.items():
                        self._adopt(block, layer, spec, store)
                self._claims.drop(block)

    def _adopt(self, block: int, layer: str, spec: FeatureSpec, store: "FeatureStore") -> None:
        files = []
        for name in layout.arrays_of(spec.dtype):
            ndim = 4 if name == "features" else 3
            files.append(layout.chunk_file(self.path, layer, name, block, ndim))
            link_or_copy(layout.chunk_file(Path(store.path), layer, name, block, ndim), files[-1])
        sync(*files)
        self._commit(layer, block, store.record(layer, block))

    def take_back(self, layer: str, block: int) -> None:
        """Mark a block as not written, so that it is made again."""
        with saying_no_space(self.path), self._claims.whole():
            self._commit(layer, block, layout.NOT_COMMITTED)
            self._unseal()

    def mark_broken(self, rows: Iterable[int]) -> None:
        """Note pictures that could not be read; their rows hold zeros and are never searched."""
        chosen = list(rows)
        if not chosen:
            return
        with saying_no_space(self.path), self._claims.whole():
            broken = np.asarray(self._root["broken"][:], bool)
            if not broken[chosen].all():
                broken[chosen] = True
                write_broken(self._root, broken)
                sync(self.path / "broken" / "c" / "0")

    def finish(self) -> None:
        """Consolidate and seal the metadata, so that the store opens with one read, also over plain https."""
        with saying_no_space(self.path), self._claims.whole(), _saying_damaged(self.path), warnings.catch_warnings():
            # Another process may have added a layer, or finished, since this one opened the store.
            self._root = zarr.open_group(str(self.path), mode="r+", use_consolidated=False)
            # Beside the other metadata: a file each would be a request each.
            whole = [layer for layer in self.specs if not self._missing[layer].any()]
            records = {layer: layout.commit_records(self._array(layer, "committed")).tolist() for layer in whole}
            noted = self._root.attrs.get(layout.RECORDS, {}) | records
            self._root.attrs[layout.RECORDS] = {layer: noted[layer] for layer in sorted(noted)}
            # Consolidated metadata are not yet in the v3 specification; every reader here works without them too.
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(str(self.path))
            seal(self.path)
            sync(self.path / "zarr.json")
            self._claims.clear()


@contextlib.contextmanager
def _saying_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise StoreError(
            f"{path} is damaged ({type(error).__name__}: {first_words(error)}). Run: vfs-panel verify {path}"
        ) from None


_LONG_NAMES = {
    "norm2": "squared length of each cell's features, as stored",
    "scale": "a feature is its code times its cell's scale",
    "lost": "length of what rounding took from a cell, as a share of the cell's own",
}


def _sweep(folder: Path, start: str = "") -> None:
    """Remove half-written files of a folder."""
    for leftover in folder.glob(f"{start}*.partial"):
        leftover.unlink(missing_ok=True)
