"""A store behind a URL that fsspec knows: s3://, gs://, https:// and others.

A far server answers each request late and many at once, so files are asked for together: all metadata come with the
root's, the index with one round of requests, a block as several ranges, scattered rows as merged ones. What zarr has
to decode is fetched first and decoded from memory: all requests are made, and all that fails is said, in one place.
"""

import json
import logging
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
import zarr
from google_crc32c import value as crc32c
from numpy.typing import NDArray
from zarr.core.buffer import cpu
from zarr.storage import MemoryStore

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.files import Identity, Piece, UnreadableError
from vfs_panel.features.unreachable import explain
from vfs_panel.words import shown

log = logging.getLogger(__name__)

RANGE_BYTES = 4 << 20  # of one request for a part of a file; several are under way at once
AT_ONCE = 16  # requests under way: a small web server has few places in its queue
GAP_BYTES = 128 << 10  # parts nearer than this are asked for together: a request costs more than these bytes
_CONSOLIDATED = "consolidated_metadata"
_LAYER_ARRAYS = ("features", "norm2", "scale", "lost", "committed", "y", "x")
_CONNECT_S, _SILENT_S = 30, 60  # how long to wait for a web server, and for its next bytes

Request = tuple[str, int | None, int | None]  # file, first byte, the byte after the last; None for the file's ends


class RemoteFiles:
    """The files of a store behind a URL.

    Parameters
    ----------
    url : of the store's folder; a query, such as a token, is added to every file's address.
    options : what fsspec's file system takes, such as keys; by default it looks where it always does.

    Raises
    ------
    StoreError
        If there is no store, it cannot be reached or may not be read, or a package is missing.
    """

    far = True

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.path = shown(url)
        self.name = self.path.rsplit("/", 1)[-1]
        self._is_http = url.lower().startswith(("http://", "https://"))
        bare, question, query = url.partition("?") if self._is_http else (url, "", "")
        self._query = question + query
        try:
            import fsspec

            if self._is_http:
                options = _http_options(options)
            self._fs, root = fsspec.core.url_to_fs(bare.rstrip("/"), **options)
        except Exception as error:  # every file system has its own
            raise self._not_open(error) from None
        self._root = str(root).rstrip("/")
        self._metadata, self._ranges = self._open()

    def _not_open(self, error: BaseException) -> StoreError:
        problem = explain(error)
        return StoreError(f"{self.path} {problem.what}. {problem.mend}".rstrip())

    def _open(self) -> tuple[dict[str, dict[str, Any]], bool]:
        """Read all metadata, by one round of requests if they were consolidated, and see whether ranges are known."""
        requests: list[Request] = [("zarr.json", None, None)]
        if self._is_http:
            requests.append(("zarr.json", 0, 1))  # a web server need not know ranges; asked beside, it costs no time
        answer, *probe = self._ask(requests)
        if isinstance(answer, FileNotFoundError):
            bucket = explain(answer).what
            why = bucket if "bucket" in bucket else "there is no zarr.json"
            raise StoreError(f"There is no store at {self.path}: {why}. Check the address.")
        if isinstance(answer, BaseException):
            raise self._not_open(answer)
        try:
            root = json.loads(answer)
            self._root_file = bytes(answer)
            consolidated = (root.pop(_CONSOLIDATED, None) or {}).get("metadata", {})
            layers = [layout.group_name(str(layer)) for layer in root["attributes"].get("layers", [])]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{self.path} is no feature store ({type(error).__name__}).") from None
        ranges = not probe or (isinstance(probe[0], bytes) and len(probe[0]) == 1)
        if not ranges:
            log.warning(
                "%s: the server does not know ranges, so whole blocks are read where a row is needed", self.path
            )
        # A group's own part is empty there, and zarr would take it for all that the group holds.
        parts = {str(name): {k: v for k, v in one.items() if k != _CONSOLIDATED} for name, one in consolidated.items()}
        found = {"": root, **parts}
        if not all(f"{layer}/features" in found for layer in layers):
            found |= self._scattered_metadata(root, layers)
        return found, ranges

    def _scattered_metadata(self, root: dict[str, Any], layers: list[str]) -> dict[str, dict[str, Any]]:
        """Read the metadata of a store whose writer has not finished."""
        columns = root["attributes"].get("columns")
        if columns is None:
            columns = [name for name in self._listed() or layout.ROOT_ARRAYS if name not in layers]
        known = ["image", "broken", *([layout.FINDINGS, layout.FINDING] if root["attributes"].get("findings") else [])]
        names = list(dict.fromkeys([*known, *map(str, columns)]))
        names += [name for layer in layers for name in (layer, *(f"{layer}/{array}" for array in _LAYER_ARRAYS))]
        found = {}
        for name, data in zip(names, self._fetched([f"{name}/zarr.json" for name in names]), strict=True):
            try:
                if data is not None:
                    found[name] = json.loads(data)
            except ValueError:
                pass  # it is missing, then: the reader says so
        return found

    @property
    def ranges(self) -> bool:
        """Whether a part of a file can be read without the rest."""
        return self._ranges

    def group(self) -> Any:
        """Open the store's root group, its metadata in memory."""
        files = {f"{name}/zarr.json".lstrip("/"): _buffer(_json(value)) for name, value in self._metadata.items()}
        return zarr.open_group(MemoryStore(files), mode="r", zarr_format=3, use_consolidated=False)

    def metadata(self, file: str) -> bytes | None:
        """Return the root's metadata as they came; of the others, only the copy in it is ever read."""
        return self._root_file if file == "zarr.json" else None

    def folders(self) -> list[str] | None:
        """Return the arrays and groups of the root."""
        return sorted(name for name in self._metadata if name and "/" not in name)

    def nbytes(self, folder: str) -> int | None:
        """Return nothing: not every server lists its files, and asking for each would take long."""
        del folder
        return None

    def _listed(self) -> list[str] | None:
        """Return what lies in the root, or None if that cannot be listed, as on most web servers."""
        try:
            found = [re.split(r"[?#]", str(entry))[0].rstrip("/") for entry in self._fs.ls(self._root, detail=False)]
        except Exception:  # not every server lists
            return None
        names = {name.rsplit("/", 1)[-1] for name in found}
        return sorted(name for name in names if name and not name.endswith("zarr.json")) or None

    def _address(self, file: str) -> str:
        # A layer's "/" is "%2F" in its folder's name: a web server wants that "%" quoted once more.
        return f"{self._root}/{quote(file)}{self._query}" if self._is_http else f"{self._root}/{file}"

    def _ask(self, requests: Sequence[Request]) -> list[Any]:
        """Return the bytes of each request, or its error; several are under way at once."""
        if not requests:
            return []
        starts = [start for _, start, _ in requests]
        if not self._is_http:
            starts = [start or 0 for start in starts]  # s3fs asks for the size of a file that is read from no start
        try:
            answers: list[Any] = self._fs.cat_ranges(
                [self._address(file) for file, _, _ in requests], starts, [stop for *_, stop in requests],
                on_error="return", **({"batch_size": AT_ONCE} if self._fs.async_impl else {}),
            )  # fmt: skip
        except Exception as error:
            return [error] * len(requests)
        return answers

    def _asked(self, requests: Sequence[Request]) -> list[bytes | None]:
        """Return the bytes of each request, None for a file that is not there.

        Raises
        ------
        UnreadableError
            If the server cannot be reached, or does not want to.
        """
        found: list[bytes | None] = []
        for answer in self._ask(requests):
            if isinstance(answer, FileNotFoundError):
                found.append(None)
            elif isinstance(answer, BaseException):
                raise explain(answer)
            else:
                found.append(bytes(answer))
        return found

    def _fetched(self, files: Sequence[str]) -> list[bytes | None]:
        return self._asked([(file, None, None) for file in files])

    def loaded(self, arrays: Sequence[Any], rows: slice | None = None) -> tuple[list[Any], set[str]]:
        """Return copies of arrays in memory, with what these rows need, and those of their files that are not there."""
        wanted = {array.path: layout.chunk_names(array, rows) for array in arrays}
        names = [name for of_array in wanted.values() for name in of_array]
        found = dict(zip(names, self._fetched(names), strict=True))
        copies = []
        for array in arrays:
            files = {"zarr.json": _buffer(_json(self._metadata[array.path]))}
            for name in wanted[array.path]:
                data = found[name]
                if data is not None:
                    files[name.removeprefix(f"{array.path}/")] = _buffer(data)
            copies.append(zarr.open_array(MemoryStore(files), mode="r", zarr_format=3))
        return copies, {name for name in names if found[name] is None}

    def block(self, file: str, size: int, into: memoryview) -> tuple[int, Identity | None]:
        """Read the first bytes of a file, by several requests at once."""
        del size  # whether it is longer than that matters to `whole` only
        stop = len(into)
        if self._ranges:
            requests: list[Request] = [(file, a, min(a + RANGE_BYTES, stop)) for a in range(0, stop, RANGE_BYTES)]
        else:
            requests = [(file, None, None)]
        for (_, start, _), answer in zip(requests, self._asked(requests), strict=True):
            if answer is None:
                raise UnreadableError("is missing")
            at = start or 0
            part = into[at : at + RANGE_BYTES] if self._ranges else into
            if len(answer) > len(part):
                answer = answer[at : at + len(part)] if self._ranges else answer[:stop]  # noqa: PLW2901
            if len(answer) < len(part):
                raise UnreadableError("ends too early")
            part[:] = answer
        return int(crc32c(np.frombuffer(into, np.uint8))), None

    def pieces(self, pieces: Sequence[Piece]) -> list[Identity | None]:
        """Read parts of files: near ones together, all at once."""
        order = sorted(range(len(pieces)), key=lambda i: (pieces[i].file, pieces[i].start))
        requests: list[tuple[str, int, int]] = []
        members: list[list[Piece]] = []
        for piece in (pieces[i] for i in order):
            stop = piece.start + len(piece.into)
            if requests:
                file, start, end = requests[-1]
                if file == piece.file and piece.start <= end + GAP_BYTES and stop - start <= RANGE_BYTES:
                    requests[-1] = (file, start, max(end, stop))
                    members[-1].append(piece)
                    continue
            requests.append((piece.file, piece.start, stop))
            members.append([piece])
        for (_, start, _), answer, group in zip(requests, self._asked(requests), members, strict=True):
            for piece in group:
                data = (answer or b"")[piece.start - start : piece.start - start + len(piece.into)]
                piece.into[: len(data)] = data  # what is too short, or not there, fails the check of its row
        return [None] * len(pieces)

    def whole(self, file: str, size: int) -> NDArray[np.uint8]:
        """Return all bytes of a file, by several requests at once."""
        starts = list(range(0, size, RANGE_BYTES)) if self._ranges else [0]
        stops: list[int | None] = [*starts[1:], None]  # the last one to the end: a file that is too long shows
        requests: list[Request] = [(file, a if self._ranges else None, b) for a, b in zip(starts, stops, strict=True)]
        answers = self._asked(requests)
        if any(answer is None for answer in answers):
            raise UnreadableError("is missing")
        return np.frombuffer(b"".join(answer or b"" for answer in answers), np.uint8)


def _http_options(options: dict[str, Any]) -> dict[str, Any]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
    # trust_env: proxies and passwords as every other program takes them from the environment and from .netrc.
    client = {"timeout": timeout, "trust_env": True, **options.get("client_kwargs", {})}
    headers = {"Accept-Encoding": "identity", **options.get("headers", {})}  # ranges are of the file, not of its gzip
    return {**options, "client_kwargs": client, "headers": headers}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _buffer(data: bytes) -> Any:
    return cpu.Buffer.from_bytes(data)
