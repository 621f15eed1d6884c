"""The index of a store: ids, metadata and findings of its pictures, written and read."""

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.files import Files, UnreadableError, first_words


def write_index(root: zarr.Group, index: pd.DataFrame, findings: pd.DataFrame | None) -> None:
    """Write one row per picture; `broken` starts as false for all.

    Parameters
    ----------
    index : indexed by picture id, in the store's order.
    findings : bool, indexed alike, a column for each finding.

    Raises
    ------
    StoreError
        If domain, label or split has more than 32,767 values.
    """
    _write_text(root, "image", index.index.to_numpy(object))
    for column in index.columns:
        if column == "broken":
            continue
        values = index[column].to_numpy(object)
        if column in layout.CODED:
            _write_codes(root, column, values)
        else:
            _write_text(root, column, values)
    write_plain(root, "broken", np.zeros(len(index), bool))
    if findings is not None:
        _write_text(root, layout.FINDING, findings.columns.to_numpy(object), dim="finding")
        write_plain(root, layout.FINDINGS, findings.to_numpy(bool), dims=("image", "finding"))


def write_plain(
    group: zarr.Group, name: str, values: NDArray[Any], dims: tuple[str, ...] = ("image",), **attrs: str
) -> None:
    """Write an array as one checked chunk."""
    array = group.create_array(
        name, shape=values.shape, chunks=tuple(max(1, size) for size in values.shape), dtype=values.dtype,
        dimension_names=dims, compressors=[Crc32cCodec()], attributes=dict(attrs),
        config={"write_empty_chunks": True}, overwrite=True,
    )  # fmt: skip
    array[:] = values


def write_broken(root: zarr.Group, broken: NDArray[np.bool_]) -> None:
    """Write which pictures could not be read."""
    # Zarr would leave a chunk out that is all false, and so could not tell it from a lost one.
    root["broken"].with_config({"write_empty_chunks": True})[:] = broken


def _write_codes(group: zarr.Group, name: str, values: NDArray[Any]) -> None:
    codes, meanings = pd.factorize(values, sort=True)
    if len(meanings) > np.iinfo(np.int16).max:
        raise StoreError(f"Column {name} has {len(meanings)} values; at most {np.iinfo(np.int16).max} are stored.")
    write_plain(group, name, codes.astype(np.int16))
    group[name].attrs["flag_meanings"] = [str(m) for m in meanings]


def _write_text(group: zarr.Group, name: str, values: NDArray[Any], dim: str = "image") -> None:
    with warnings.catch_warnings():
        # Zarr warns that variable-length text has no v3 specification yet; it is what xarray reads and writes.
        warnings.simplefilter("ignore")
        array = group.create_array(
            name, shape=values.shape, chunks=(max(1, len(values)),), dtype="string", dimension_names=(dim,),
            # The checksum outside covers every byte of the file, those of the compressed frame's head too.
            compressors=[ZstdCodec(level=1), Crc32cCodec()], config={"write_empty_chunks": True}, overwrite=True,
        )  # fmt: skip
        array[:] = np.array([str(v) for v in values], dtype=object)


class PictureIndex:
    """The index of a store, each column read when it is first asked for: a million ids take a third of a second.

    Parameters
    ----------
    files, root : of the store.
    attrs : of the root, as they were when the store was opened.
    names : of its columns, without `image` and `broken`.

    Raises
    ------
    StoreError
        Whatever is asked for, if it is damaged or cannot be reached.
    """

    def __init__(self, files: Files, root: Any, attrs: Mapping[str, Any], names: Sequence[str]) -> None:
        self.names = list(names)
        self._files, self._root, self._has_findings = files, root, bool(attrs.get("findings"))
        self._made_of = attrs.get("index_sha256")
        self._arrays: dict[str, Any] = {}  # opened, and what is far away loaded
        self._kept: dict[str, NDArray[Any]] = {}

    @classmethod
    def of(cls, index: pd.DataFrame, findings: pd.DataFrame | None) -> "PictureIndex":
        """Return one of what is in memory: a row per picture, with `broken`."""
        made = cls.__new__(cls)
        made.names = [str(name) for name in index if name != "broken"]
        made._kept = {str(name): index[name].to_numpy(bool if name == "broken" else object) for name in index}
        made._kept["image"] = index.index.to_numpy(object)
        made._has_findings = findings is not None
        made.__dict__["findings"] = findings
        return made

    @cached_property
    def n_images(self) -> int:
        """How many pictures there are."""
        if "image" in self._kept:
            return len(self._kept["image"])
        with _saying_damaged(self._files_path, "image"):
            return int(self._root["image"].shape[0])

    def __getitem__(self, row: int) -> str:
        return str(self.text("image")[row])

    def text(self, name: str) -> NDArray[Any]:
        """Return a column, or the ids under "image", as an object array of str."""
        with _saying_damaged(self._files_path, name):
            if name not in self._kept:
                array = self._array(name)
                values = np.asarray(array[:])
                if name in layout.CODED:
                    self._kept[name] = np.array([*array.attrs["flag_meanings"], ""], dtype=object)[values]
                else:
                    self._kept[name] = values.astype(object)
            return self._kept[name]

    def codes(self, name: str) -> tuple[NDArray[np.intp], list[str]]:
        """Return the number of each picture's value of a column, and the values."""
        if name in layout.CODED and name not in self._kept:
            with _saying_damaged(self._files_path, name):
                array = self._array(name)
                return np.asarray(array[:], np.intp), [str(value) for value in array.attrs["flag_meanings"]]
        codes, values = pd.factorize(self.text(name))
        return np.asarray(codes, np.intp), [str(value) for value in values]

    @cached_property
    def broken(self) -> NDArray[np.bool_]:
        """Which pictures could not be read."""
        if "broken" in self._kept:
            return self._kept["broken"]
        with _saying_damaged(self._files_path, "broken"):
            return np.asarray(self._array("broken")[:], bool)

    @cached_property
    def ids(self) -> "pd.Index[Any]":
        """The ids, which know their rows."""
        found: pd.Index[Any] = pd.Index(self.text("image"), dtype=object, name="image")
        return found

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All of it."""
        table = pd.DataFrame({name: self.text(name) for name in sorted(self.names)}, index=self.ids, dtype=object)
        for name in (*layout.CODED, "path"):
            if name not in table:
                table[name] = ""
        table["broken"] = self.broken
        return table

    @cached_property
    def findings(self) -> pd.DataFrame | None:
        """What each picture shows: bool, a column for each finding; None where a picture has just its label."""
        if not self._has_findings:
            return None
        with _saying_damaged(self._files_path, layout.FINDINGS):
            values = np.asarray(self._array(layout.FINDINGS)[:], bool)
            return pd.DataFrame(values, index=self.ids, columns=self.text(layout.FINDING))

    @property
    def _files_path(self) -> str:
        return self._files.path if "_files" in self.__dict__ else ""

    def _array(self, name: str) -> Any:
        """Return an opened array that can be read now."""
        if name not in self._arrays:
            self._check_unchanged()
            # Each file far away costs a round trip, so all are asked for together.
            extra = [layout.FINDINGS, layout.FINDING] if self._has_findings else []
            names = ["image", "broken", *self.names, *extra] if self._files.far else [name]
            arrays, missing = self._files.loaded([self._root[one] for one in names])
            if missing:  # zarr would read it as zeros or empty text
                raise ValueError(f"{min(missing).split('/')[0]} is missing")
            self._arrays |= dict(zip(names, arrays, strict=True))
        return self._arrays[name]

    def _check_unchanged(self) -> None:
        """Refuse to take ids from another store that was put in this one's place: its rows are other pictures."""
        data = self._files.metadata("zarr.json")
        try:
            now = json.loads(data or b"")["attributes"].get("index_sha256")
        except (ValueError, KeyError, TypeError, AttributeError):
            now = ""
        if now != self._made_of:
            raise StoreError(f"{self._files.path} has changed since it was opened; open it again.")


@contextlib.contextmanager
def _saying_damaged(path: str, name: str) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except UnreadableError as error:
        raise StoreError(f"The index of {path} ({name}) {error.what}. {error.mend}".rstrip()) from None
    except Exception as error:  # zarr raises many kinds for what is damaged
        raise StoreError(
            f"The index of {path} ({name}) is damaged ({first_words(error)}). Run: vfs-panel verify {path} --repair"
        ) from None
