"""A store as one file: a zip whose members are kept as they are, so that a block in it is read at the disk's speed."""

import os
import struct
import zipfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import ZipStore

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.disk import saying_no_space
from vfs_panel.features.files import PIECE_BYTES, Identity, Piece, UnreadableError, read_checked

SUFFIX = ".zip"
_LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of the name and of the extra field, at the end of a member's header
_ANY_DAY = (1980, 1, 1, 0, 0, 0)  # the same store makes the same file


def is_zip(path: Path) -> bool:
    """Return whether there is a zip file at a path."""
    return path.is_file() and zipfile.is_zipfile(path)


def write_zip(store: Path, out: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write a finished store as one file, whole or not at all.

    Raises
    ------
    StoreError
        If there is something at `out`, or no space is left.
    """
    if out.exists():
        raise StoreError(f"{out} exists already. Choose another place with --out.")
    files = sorted((file for file in store.rglob("*") if file.is_file()), key=lambda f: (f.name != "zarr.json", f))
    partial = out.with_name(f".{out.name}.partial")
    try:
        with saying_no_space(out), zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for done, file in enumerate(files):
                member = zipfile.ZipInfo(file.relative_to(store).as_posix(), _ANY_DAY)
                member.external_attr = 0o644 << 16
                with archive.open(member, "w", force_zip64=True) as into, file.open("rb") as source:
                    while piece := source.read(PIECE_BYTES):
                        into.write(piece)
                if progress is not None:
                    progress(done + 1, len(files))
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)


class ZipFiles:
    """The files of a store inside a zip.

    Parameters
    ----------
    file : the zip; the store lies at its top, or in its only folder.

    Raises
    ------
    StoreError
        If it is no zip, holds no store, or holds blocks that were compressed once more.
    """

    far = False
    ranges = True

    def __init__(self, file: Path) -> None:
        self._file = file
        self.path, self.name = str(file), file.name.removesuffix(SUFFIX)
        try:
            with zipfile.ZipFile(file) as archive:
                found = {member.filename: member for member in archive.infolist() if not member.is_dir()}
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise StoreError(f"{file} cannot be read as a zip: {error}. Copy it again.") from None
        roots = [name for name in found if name.rsplit("/", 1)[-1] == "zarr.json"]
        if not roots:
            raise StoreError(f"{file} holds no feature store: there is no zarr.json in it.")
        self._root = min(roots, key=len).removesuffix("zarr.json")
        self._members = {
            name.removeprefix(self._root): member for name, member in found.items() if name.startswith(self._root)
        }
        squeezed = next((name for name, m in self._members.items() if m.compress_type != zipfile.ZIP_STORED), None)
        if squeezed is not None:
            raise StoreError(
                f"{file} was compressed as a zip ({squeezed}), so its blocks cannot be read alone. Unpack it, or write "
                f"it anew: vfs-panel store convert FOLDER.zarr --out {file.name}"
            )

    def group(self) -> Any:
        """Open the store's root group, read-only."""
        store = ZipStore(self._file, mode="r", read_only=True)
        return zarr.open_group(
            store, path=self._root.rstrip("/"), mode="r", zarr_format=3, use_consolidated=False
        )  # fmt: skip

    def metadata(self, file: str) -> bytes | None:
        """Return a file of metadata, or None if it is not there."""
        try:
            return self.whole(file, 0).tobytes()
        except UnreadableError:
            return None

    def folders(self) -> list[str]:
        """Return what lies in the root."""
        return sorted(name.split("/")[0] for name in self._members if name.count("/") == 1 and name.endswith(".json"))

    def nbytes(self, folder: str) -> int:
        """Return the bytes of all files below a folder."""
        return sum(member.file_size for name, member in self._members.items() if name.startswith(f"{folder}/"))

    def loaded(self, arrays: Sequence[Any], rows: slice | None = None) -> tuple[list[Any], set[str]]:
        """Return the arrays as they are, and those of their files that are not there."""
        names = [name for array in arrays for name in layout.chunk_names(array, rows)]
        bare = [name.removeprefix(self._root) for name in names]
        return list(arrays), {name for name in bare if name not in self._members}

    def _opened(self, handle: BinaryIO, file: str) -> tuple[int, int, Identity]:
        """Return where a member's bytes start, how many there are, and what tells the zip from others."""
        member = self._members.get(file)
        if member is None:
            raise UnreadableError("is missing")
        handle.seek(member.header_offset)
        header = handle.read(30)
        if header[:4] != b"PK\x03\x04" or len(header) < 30:
            raise UnreadableError("is damaged: its head in the zip is not one")
        name, extra = _LOCAL_HEADER.unpack(header)
        found = os.fstat(handle.fileno())
        return (
            member.header_offset + 30 + name + extra,
            member.file_size,
            (found.st_ino, found.st_size, found.st_mtime_ns),
        )

    def block(self, file: str, size: int, into: memoryview) -> tuple[int, Identity | None]:
        """Read the first bytes of a file, at the disk's speed."""
        try:
            with open(self._file, "rb", buffering=0) as handle:
                start, held, identity = self._opened(handle, file)
                if held != size:
                    raise UnreadableError(f"has {held} bytes instead of {size}")
                handle.seek(start)
                return read_checked(handle, into), identity
        except OSError as error:
            raise UnreadableError(f"cannot be read ({os.strerror(error.errno or 0)})") from None

    def pieces(self, pieces: Sequence[Piece]) -> list[Identity | None]:
        """Read parts of files."""
        found: list[Identity | None] = []
        try:
            with open(self._file, "rb") as handle:
                for file, parts in groupby(pieces, key=lambda piece: piece.file):
                    start, _, identity = self._opened(handle, file)
                    for part in parts:
                        handle.seek(start + part.start)
                        handle.readinto(part.into)
                        found.append(identity)
        except OSError as error:
            raise UnreadableError(f"cannot be read ({os.strerror(error.errno or 0)})") from None
        return found

    def whole(self, file: str, size: int) -> NDArray[np.uint8]:
        """Return all bytes of a file."""
        del size
        try:
            with open(self._file, "rb") as handle:
                start, held, _ = self._opened(handle, file)
                handle.seek(start)
                return np.frombuffer(handle.read(held), np.uint8)
        except OSError as error:
            raise UnreadableError(f"cannot be read ({os.strerror(error.errno or 0)})") from None
