"""The files of a store: in a folder of this machine, or behind a URL."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr
from numpy.typing import NDArray

from vfs_panel.errors import StoreError

RANGE_BYTES = 4 << 20  # of one request for a part of a file; several are under way at once
GAP_BYTES = 64 << 10  # parts nearer than this are asked for together: a request costs more than these bytes
_URL = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_EXTRA = "pip install 'vfs_panel[remote]'"


class Files(Protocol):
    """Reads the files of one store by their names inside it."""

    path: str
    name: str

    def group(self) -> "zarr.Group":
        """Open the store's root group, read-only."""
        ...

    def folders(self) -> list[str] | None:
        """Return what lies in the root, or None if that cannot be listed."""
        ...

    def missing(self, files: Sequence[str]) -> list[str]:
        """Return those of some files that are not there."""
        ...

    def identity(self, file: str) -> tuple[object, ...]:
        """Return what changes when a file is written anew."""
        ...

    def read(self, file: str) -> bytes:
        """Return a whole file."""
        ...

    def fill(self, file: str, size: int, parts: Sequence[tuple[int, NDArray[np.uint8]]]) -> None:
        """Read parts of a file of a known size into arrays, each from its offset on.

        Raises
        ------
        StoreError
            With what is wrong with the file, as the end of a sentence that begins with its block.
        """
        ...


def is_url(path: object) -> bool:
    """Return whether a store's path is a URL, such as s3://bucket/features.zarr."""
    return isinstance(path, str) and bool(_URL.match(path))


def store_files(path: Path | str, storage_options: dict[str, Any] | None = None) -> Files:
    """Return the files of a store at a path or URL.

    Raises
    ------
    StoreError
        If there is none, or it cannot be reached.
    """
    if is_url(path):
        return RemoteFiles(str(path), storage_options or {})
    return LocalFiles(Path(path))


def folder_to_write(out: Path | str) -> Path:
    """Return the folder that a store is to be written to.

    Raises
    ------
    StoreError
        If it is a URL: a store is written where each block can be made safe at once, and then copied.
    """
    if is_url(out):
        raise StoreError(f"A store is written to a folder of this machine, not to {out}. Copy it there afterwards.")
    return Path(out)


class LocalFiles:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path, self.name = str(folder), folder.name
        if not folder.is_dir():
            raise StoreError(
                f"There is no store at {folder}. Make one: vfs-panel extract PICTURES --model NAME --out {folder}"
            )

    def group(self) -> "zarr.Group":
        """Open the store's root group, read-only."""
        return zarr.open_group(self.path, mode="r", zarr_format=3, use_consolidated=False)

    def folders(self) -> list[str]:
        """Return what lies in the root."""
        return sorted(file.parent.name for file in self._folder.glob("*/zarr.json"))

    def missing(self, files: Sequence[str]) -> list[str]:
        """Return those of some files that are not there."""
        return [file for file in files if not (self._folder / file).exists()]

    def identity(self, file: str) -> tuple[object, ...]:
        """Return what changes when a file is written anew."""
        try:
            found = (self._folder / file).stat()
        except OSError:
            return ()
        return (found.st_ino, found.st_size, found.st_mtime_ns)

    def read(self, file: str) -> bytes:
        """Return a whole file."""
        return (self._folder / file).read_bytes()

    def fill(self, file: str, size: int, parts: Sequence[tuple[int, NDArray[np.uint8]]]) -> None:
        """Read parts of a file of a known size into arrays, each from its offset on."""
        try:
            with open(self._folder / file, "rb", buffering=0) as handle:
                found = os.fstat(handle.fileno()).st_size
                if found != size:
                    raise StoreError(f"has {found} bytes instead of {size}")
                for offset, out in parts:
                    view = memoryview(out)
                    handle.seek(offset)
                    while view:
                        got = handle.readinto(view)
                        if not got:
                            raise StoreError("ends too early")
                        view = view[got:]
        except FileNotFoundError:
            raise StoreError("is missing") from None
        except OSError as error:
            raise StoreError(f"cannot be read ({os.strerror(error.errno or 0)})") from None


class RemoteFiles:
    """A store behind a URL that fsspec knows: s3://, gs://, https:// and others.

    Parameters
    ----------
    url : of the store's folder.
    options : what fsspec's file system takes, such as keys; by default it looks where it always does.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.path = re.sub(r"//[^/@]*@", "//", url).rstrip("/")  # a password in a URL is nobody else's business
        self.name = self.path.rsplit("/", 1)[-1]
        try:
            import fsspec

            self._fs, self._root = fsspec.core.url_to_fs(url.rstrip("/"), **options)
        except ImportError as error:
            raise StoreError(f"{self.path} needs another package: {_EXTRA} ({str(error)[:80]})") from None
        except (ValueError, TypeError) as error:
            raise StoreError(f"{self.path} cannot be opened: {self._plain(error)}") from None
        self._url, self._options = url.rstrip("/"), options
        try:
            self._fs.cat_file(f"{self._root}/zarr.json")
        except Exception as error:  # every file system has its own
            raise self._unreached(error) from None

    def _plain(self, error: BaseException) -> str:
        return re.sub(r"//[^/@\s]*@", "//", str(error).splitlines()[0] if str(error) else type(error).__name__)[:160]

    def _unreached(self, error: BaseException) -> StoreError:
        kind = type(error).__name__
        if isinstance(error, FileNotFoundError) or getattr(error, "status", None) == 404:
            return StoreError(f"There is no store at {self.path}. Check the address.")
        denied = isinstance(error, PermissionError) or getattr(error, "status", None) in (401, 403)
        if denied or "Credentials" in kind:
            return StoreError(
                f"{self.path} may not be read ({self._plain(error)}). Set the credentials that its service looks for, "
                "or give them as storage_options."
            )
        return StoreError(f"{self.path} cannot be reached ({kind}: {self._plain(error)}). Check the network.")

    def group(self) -> "zarr.Group":
        """Open the store's root group, read-only."""
        store = zarr.storage.FsspecStore.from_url(self._url, storage_options=self._options, read_only=True)
        return zarr.open_group(store, mode="r", zarr_format=3, use_consolidated=False)

    def folders(self) -> list[str] | None:
        """Return what lies in the root, or None if that cannot be listed, as on most HTTP servers."""
        try:
            found = [str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in self._fs.ls(self._root, detail=False)]
        except Exception:  # not every server lists
            return None
        return sorted(name for name in found if name != "zarr.json") or None

    def missing(self, files: Sequence[str]) -> list[str]:
        """Return those of some files that are not there; asked for together."""
        found = self._fs.cat_ranges(
            [f"{self._root}/{file}" for file in files], [0] * len(files), [1] * len(files), on_error="return"
        )
        missing = []
        for file, answer in zip(files, found, strict=True):
            if isinstance(answer, FileNotFoundError):
                missing.append(file)
            elif isinstance(answer, BaseException):
                raise self._unreached(answer)
        return missing

    def identity(self, file: str) -> tuple[object, ...]:
        """Return nothing: it would cost a request for each read. Rows of a block once checked are trusted."""
        return ()

    def read(self, file: str) -> bytes:
        """Return a whole file."""
        return bytes(self._fs.cat_file(f"{self._root}/{file}"))

    def fill(self, file: str, size: int, parts: Sequence[tuple[int, NDArray[np.uint8]]]) -> None:
        """Read parts of a file of a known size into arrays: near ones together, large ones by several requests."""
        places = sorted((offset, number) for number, (offset, _) in enumerate(parts))
        spans: list[list[int]] = []
        for offset, number in places:
            end = offset + len(parts[number][1])
            if spans and offset <= spans[-1][1] + GAP_BYTES:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([offset, end])
        pieces = [(a, min(a + RANGE_BYTES, end)) for start, end in spans for a in range(start, end, RANGE_BYTES)]
        name = f"{self._root}/{file}"
        try:
            answers = self._fs.cat_ranges(
                [name] * len(pieces), [a for a, _ in pieces], [b for _, b in pieces], on_error="return"
            )
        except Exception as error:  # every file system has its own
            raise StoreError(f"cannot be read ({self._plain(error)})") from None
        for (a, b), answer in zip(pieces, answers, strict=True):
            if isinstance(answer, FileNotFoundError):
                raise StoreError("is missing")
            if isinstance(answer, BaseException):
                raise StoreError(f"cannot be read ({type(answer).__name__}: {self._plain(answer)})")
            data = answer
            if len(data) == size and (a, b) != (0, size):
                data = data[a:b]  # a server that knows no ranges sends the whole file
            if len(data) != b - a:
                raise StoreError(f"ends too early, or is not {size} bytes long")
            piece = np.frombuffer(data, np.uint8)
            for offset, out in parts:
                low, high = max(offset, a), min(offset + len(out), b)
                if low < high:
                    out[low - offset : high - offset] = piece[low - a : high - a]
