"""The files of a store: in a folder of this machine, or behind a URL."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr
from google_crc32c import extend
from numpy.typing import NDArray

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.words import shown

PIECE_BYTES = 1 << 20  # checked while in the processor's cache
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # two letters at least: "C:" is a drive
_FOLDED = re.compile(r"([a-z][a-z0-9+.-]+):[/\\](?![/\\])", re.IGNORECASE)

Identity = tuple[int, int, int]
_NO_FILE: Identity = (-1, -1, -1)


class UnreadableError(Exception):
    """A file of a store that could not be read; the reader makes a StoreError of it, which names the pictures.

    Parameters
    ----------
    what : what is the matter with it, to follow its name: "is missing".
    mend : how to mend it; "" where only `vfs-panel verify` can tell.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what)
        self.what, self.mend = what, mend


def first_words(error: BaseException) -> str:
    """Return what a library said of damaged bytes, without the bytes, short enough for one line."""
    first = (str(error).splitlines() or [""])[0]
    return first.split(". Stored: b")[0][:80]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a file, and the memory that they are read into.

    Attributes
    ----------
    file : its name inside the store, as in "layer4/features/c/0/0/0/0".
    start : the first byte.
    into : as long as what is read.
    """

    file: str
    start: int
    into: memoryview


class Files(Protocol):
    """Reads the files of one store by their names inside it. Several threads may do so at once."""

    path: str
    name: str
    far: bool  # whether each file costs a round trip

    @property
    def ranges(self) -> bool:
        """Whether a part of a file can be read without the rest."""
        ...

    def group(self) -> Any:
        """Open the store's root group, read-only; its arrays know their shapes, `loaded` gives what they hold.

        Raises
        ------
        StoreError
            If it cannot be reached.
        """
        ...

    def metadata(self, file: str) -> bytes | None:
        """Return a file of metadata, such as "image/zarr.json", as it is; None where it is not there or only a copy."""
        ...

    def folders(self) -> list[str] | None:
        """Return what lies in the root, or None if that cannot be listed."""
        ...

    def nbytes(self, folder: str) -> int | None:
        """Return the bytes of all files below a folder of the store, or None if they cannot be counted."""
        ...

    def loaded(self, arrays: Sequence[Any], rows: slice | None = None) -> tuple[list[Any], set[str]]:
        """Return arrays whose rows can be taken now, and those of their files that are not there.

        Raises
        ------
        UnreadableError
        """
        ...

    def block(self, file: str, size: int, into: memoryview) -> tuple[int, Identity | None]:
        """Read the first bytes of a file of `size` bytes; return their CRC32C, and what tells the file from others.

        Raises
        ------
        UnreadableError
        """
        ...

    def pieces(self, pieces: Sequence[Piece]) -> list[Identity | None]:
        """Read parts of files; return what tells each file from others, where that is known.

        A file that is gone or too short gives rubbish, and another identity or none: the reader checks either.

        Raises
        ------
        UnreadableError
            If the place cannot be reached.
        """
        ...

    def whole(self, file: str, size: int) -> NDArray[np.uint8]:
        """Return all bytes of a file that should have `size`.

        Raises
        ------
        UnreadableError
        """
        ...


def url_of(path: object) -> str | None:
    """Return the URL that a store's path is, such as s3://bucket/features.zarr, or None for a folder."""
    text = str(path)
    if isinstance(path, Path) and _FOLDED.match(text) and not path.exists():
        text = _FOLDED.sub(r"\1://", text, count=1).replace("\\", "/")  # Path("s3://bucket") folds the two slashes
    return text.rstrip("/") if _URL.match(text) and not text.lower().startswith("file://") else None


def is_url(path: object) -> bool:
    """Return whether a store's path is a URL, such as s3://bucket/features.zarr."""
    return url_of(path) is not None


def _folder(path: Path | str) -> Path:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    text = str(path)
    return Path(url2pathname(urlsplit(text).path)) if text.lower().startswith("file://") else Path(path)


def store_files(path: Path | str, storage_options: dict[str, Any] | None = None) -> Files:
    """Return the files of a store at a path or URL.

    Raises
    ------
    StoreError
        If there is none, or it cannot be reached.
    """
    url = url_of(path)
    if url is None:
        folder = _folder(path)
        from vfs_panel.features.zipped import ZipFiles, is_zip

        return ZipFiles(folder) if is_zip(folder) else LocalFiles(folder)
    from vfs_panel.features.remote import RemoteFiles

    return RemoteFiles(url, storage_options or {})


def folder_to_write(out: Path | str) -> Path:
    """Return the folder that a store is to be written to.

    Raises
    ------
    StoreError
        If it is a URL: a store is written where each block can be made safe at once, and then copied.
    """
    url = url_of(out)
    if url is not None:
        raise StoreError(
            f"A store is written to a folder of this machine, not to {shown(url)}. Copy it there afterwards."
        )
    return _folder(out)


class LocalFiles:
    """A folder of this machine."""

    far = False
    ranges = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path, self.name = str(folder), folder.name
        if not folder.is_dir():
            raise StoreError(
                f"There is no store at {folder}. Make one: vfs-panel extract PICTURES --model NAME --out {folder}"
            )

    def group(self) -> Any:
        """Open the store's root group, read-only."""
        return zarr.open_group(self.path, mode="r", zarr_format=3, use_consolidated=False)

    def metadata(self, file: str) -> bytes | None:
        """Return a file of metadata, or None if it is not there."""
        try:
            return (self._folder / file).read_bytes()
        except OSError:
            return None

    def folders(self) -> list[str]:
        """Return what lies in the root."""
        return sorted(file.parent.name for file in self._folder.glob("*/zarr.json"))

    def nbytes(self, folder: str) -> int:
        """Return the bytes of all files below a folder."""
        return sum(file.stat().st_size for file in (self._folder / folder).rglob("*") if file.is_file())

    def loaded(self, arrays: Sequence[Any], rows: slice | None = None) -> tuple[list[Any], set[str]]:
        """Return the arrays as they are, and those of their files that are not there: zarr would read zeros."""
        names = [name for array in arrays for name in layout.chunk_names(array, rows)]
        return list(arrays), {name for name in names if not os.path.exists(self._at(name))}

    def _at(self, file: str) -> str:
        return os.path.join(self.path, file)

    def block(self, file: str, size: int, into: memoryview) -> tuple[int, Identity | None]:
        """Read the first bytes of a file, at the disk's speed."""
        try:
            with open(self._at(file), "rb", buffering=0) as handle:
                identity = _identity(handle)
                if identity[1] != size:
                    raise UnreadableError(f"has {identity[1]} bytes instead of {size}")
                return read_checked(handle, into), identity
        except OSError as error:
            raise _unreadable(error) from None

    def pieces(self, pieces: Sequence[Piece]) -> list[Identity | None]:
        """Read parts of files, each file opened once for neighbouring parts."""
        found: list[Identity | None] = []
        for file, parts in groupby(pieces, key=lambda piece: piece.file):
            of_file = list(parts)
            identity = _NO_FILE
            try:
                with open(self._at(file), "rb", buffering=0) as handle:
                    if all(_filled(handle, piece) for piece in of_file):
                        # Asked after reading: a file that was written meanwhile is not the one that was checked.
                        identity = _identity(handle)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise _unreadable(error) from None
            found += [identity] * len(of_file)
        return found

    def whole(self, file: str, size: int) -> NDArray[np.uint8]:
        """Return all bytes of a file."""
        try:
            return np.fromfile(self._at(file), np.uint8)
        except OSError as error:
            raise _unreadable(error) from None


def read_checked(handle: Any, into: memoryview) -> int:
    """Fill memory from an open file, and return the CRC32C of what was read.

    Raises
    ------
    UnreadableError
        If the file ends too early.
    """
    done = checksum = 0
    while done < len(into):
        # Piece by piece, checked while in the processor's cache; other threads run on between the pieces.
        piece = into[done : done + PIECE_BYTES]
        got = handle.readinto(piece)
        if not got:
            raise UnreadableError("ends too early")
        checksum = extend(checksum, np.frombuffer(piece[:got], np.uint8))
        done += got
    return checksum


def _identity(handle: Any) -> Identity:
    """What changes when a file is written anew."""
    found = os.fstat(handle.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def _filled(handle: Any, piece: Piece) -> bool:
    handle.seek(piece.start)
    done = 0
    while done < len(piece.into):
        got = handle.readinto(piece.into[done:])
        if not got:
            return False
        done += got
    return True


def _unreadable(error: OSError) -> UnreadableError:
    if isinstance(error, FileNotFoundError):
        return UnreadableError("is missing")
    return UnreadableError(f"cannot be read ({os.strerror(error.errno or 0)})")
