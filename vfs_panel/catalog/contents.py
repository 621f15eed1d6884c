"""What an archive holds, member by member, each checked before it is given out.

Names are checked alike for all kinds: relative, without `..`, no two that one disk or another would hold for the same.
"""

import bz2
import gzip
import lzma
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

_LINK_BYTES = 4096  # of a link's target
_HEADER_BYTES = 16 << 20  # of what tarfile reads at once: a header that claims more is meant to fill the memory
_BLOCK = 512
_OTHER = "It is not what the entry says: fetch it anew, or tell those who offer it."
_AGAIN = "Remove it and fetch it again."
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError, ValueError,
)  # fmt: skip

_PACKERS: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item,return-value]
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}  # fmt: skip


class UnsafeArchiveError(Exception):
    """What is the matter with an archive, to follow its name; and what to do about it."""

    def __init__(self, what: str, mend: str = _OTHER) -> None:
        super().__init__(what)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Member:
    """One thing in an archive.

    Attributes
    ----------
    name : as the archive has it.
    parts : its path inside the folder, checked.
    target : of a link, likewise.
    n_bytes : of a file; None where only reading it tells.
    source : what the archive's library knows it by.
    """

    name: str
    parts: tuple[str, ...]
    kind: Literal["file", "folder", "link"]
    n_bytes: int | None = 0
    target: tuple[str, ...] = ()
    source: Any = None


class Contents(ABC):
    """Iterates over an archive's members, in its order.

    Attributes
    ----------
    n_bytes : of all files, where the archive says so before they are read.
    """

    n_bytes: int | None = None

    def __init__(self) -> None:
        # What a path is to the least careful disk -> how it was spelt, and whether it is a folder.
        self._spelt: dict[tuple[str, ...], tuple[tuple[str, ...], bool]] = {}

    @abstractmethod
    def __iter__(self) -> Iterator[Member]: ...

    @abstractmethod
    def pieces(self, member: Member, size: int) -> Iterator[bytes]:
        """Yield the bytes of the file that was given out last."""

    @abstractmethod
    def progress(self) -> tuple[int, int]:
        """Return how much is done, and how much there is."""

    def finish(self) -> None:  # noqa: B027 - most have nothing left to check
        """Check what can be checked only after all members."""

    def _named(self, name: str, kind: Literal["file", "folder", "link"]) -> tuple[str, ...]:
        """Return a member's name as parts of a path.

        Raises
        ------
        UnsafeArchiveError
            If it leads out, is no name for a file on some system, or is taken.
        """
        parts = _parts(name)
        if not parts and kind != "folder":
            raise UnsafeArchiveError(f"holds something without a name ({_short(name)})")
        for depth in range(1, len(parts) + 1):
            part, is_folder = parts[:depth], depth < len(parts) or kind == "folder"
            there = self._spelt.get(_folded(part))
            if there is None:
                self._spelt[_folded(part)] = (part, is_folder)
            elif there != (part, True) or not is_folder:  # only a folder may be met twice, spelt alike
                other = "/".join(there[0])
                raise UnsafeArchiveError(f"holds {_short(other)} and {_short(name)}: one place, on some disks at least")
        return parts


class _Zip(Contents):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._zip = zipfile.ZipFile(file)
        self.n_bytes = sum(info.file_size for info in self._zip.infolist())
        self._done = 0

    def __iter__(self) -> Iterator[Member]:
        for info in self._zip.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & 1:
                raise UnsafeArchiveError("is encrypted", "Unpack it yourself with its password, and give the folder.")
            if info.is_dir() or kind == stat.S_IFDIR:
                yield Member(info.filename, self._named(info.filename, "folder"), "folder")
            elif kind == stat.S_IFLNK:
                with self._zip.open(info) as stream:
                    target = stream.read(_LINK_BYTES).decode("utf-8")
                parts = self._named(info.filename, "link")
                yield Member(info.filename, parts, "link", target=_led_to(target, parts[:-1], info.filename))
            elif kind in (0, stat.S_IFREG):
                yield Member(info.filename, self._named(info.filename, "file"), "file", info.file_size, source=info)
            else:
                raise UnsafeArchiveError(f"holds {_short(info.filename)}, which is no file, folder or link")

    def pieces(self, member: Member, size: int) -> Iterator[bytes]:
        with self._zip.open(member.source) as stream:  # gives no more bytes than were announced, and checks them
            while piece := stream.read(size):
                self._done += len(piece)
                yield piece

    def progress(self) -> tuple[int, int]:
        return self._done, self.n_bytes or 0


class _Bounded:
    """A stream that ends in an error where it gives more than it may, or is asked for too much at once.

    Attributes
    ----------
    last : what was read last.
    """

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most = stream, most
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER_BYTES:
            raise UnsafeArchiveError(f"has a header of {size:,} bytes, as archives do that are meant to fill a memory")
        self.last = self._stream.read(size)
        self._within(self._stream.tell())
        return self.last

    def seek(self, position: int) -> int:
        self._within(position)
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def _within(self, position: int) -> None:
        if position > self._most:
            raise UnsafeArchiveError("unpacks to far more than its size, as archives do that are meant to fill a disk")


class _Tar(Contents):
    def __init__(self, stream: IO[bytes], file: IO[bytes], most: int) -> None:
        super().__init__()
        self._file, self._packed = file, os.fstat(file.fileno()).st_size
        self._stream = _Bounded(stream, most)
        self._tar = tarfile.open(fileobj=self._stream, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115

    def __iter__(self) -> Iterator[Member]:
        while (info := self._tar.next()) is not None:
            self._tar.members.clear()  # a million of them would take a gigabyte
            if info.isreg() and info.size >= 0:
                yield Member(info.name, self._named(info.name, "file"), "file", info.size, source=info)
            elif info.isdir():
                yield Member(info.name, self._named(info.name, "folder"), "folder")
            elif info.issym() or info.islnk():
                parts = self._named(info.name, "link")
                start = parts[:-1] if info.issym() else ()
                yield Member(info.name, parts, "link", target=_led_to(info.linkname, start, info.name))
            else:
                raise UnsafeArchiveError(f"holds {_short(info.name)}, which is no file, folder or link")

    def pieces(self, member: Member, size: int) -> Iterator[bytes]:
        stream = self._tar.extractfile(member.source)
        left = member.n_bytes or 0
        while stream is not None and left > 0:
            piece = stream.read(min(size, left))
            if not piece:
                raise EOFError
            left -= len(piece)
            yield piece

    def progress(self) -> tuple[int, int]:
        return self._file.tell(), self._packed

    def finish(self) -> None:
        # tarfile takes a header that makes no sense for the end.
        if self._stream.last.strip(b"\0"):
            raise EOFError
        while self._stream.read(1 << 20):  # the checksum of what it was packed by comes at the very end
            pass


class _Single(Contents):
    """One file, packed by itself; its name is the archive's, without the ending."""

    def __init__(self, stream: IO[bytes], file: IO[bytes], name: str) -> None:
        super().__init__()
        self._stream, self._file, self._name = stream, file, name
        self._packed = os.fstat(file.fileno()).st_size

    def __iter__(self) -> Iterator[Member]:
        yield Member(self._name, self._named(self._name, "file"), "file", None)

    def pieces(self, member: Member, size: int) -> Iterator[bytes]:
        while piece := self._stream.read(size):
            yield piece

    def progress(self) -> tuple[int, int]:
        return self._file.tell(), self._packed


@contextmanager
def open_archive(archive: Path, most: int) -> Iterator[Contents]:
    """Open an archive of any kind.

    Parameters
    ----------
    archive : Path
    most : int
        How many bytes it may unpack to, where this is seen only by unpacking.

    Raises
    ------
    UnsafeArchiveError
        If it is none, or is damaged, also from what is done with it.
    """
    try:
        with open(archive, "rb") as file, ExitStack() as stack:
            yield _opened(archive, file, most, stack)
    except NotImplementedError as error:  # of zipfile
        raise UnsafeArchiveError(f"is packed in a way that is not known here ({error})") from None
    except _DAMAGED as error:
        why = f": {error}" if str(error) else ", or only part of one"
        raise UnsafeArchiveError(f"is a damaged archive{why}", _AGAIN) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UnsafeArchiveError(f"is a damaged archive: {error}", _AGAIN) from None  # bz2 has no class for it


def _opened(archive: Path, file: IO[bytes], most: int, stack: ExitStack) -> Contents:
    head = file.read(_BLOCK)
    file.seek(0)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _Zip(file)
    if _is_tar(head):
        return _Tar(file, file, most)
    for magic, unpacker in _PACKERS.items():
        if head.startswith(magic):
            with unpacker(file) as stream:
                first = stream.read(_BLOCK)
            file.seek(0)
            stream = stack.enter_context(unpacker(file))
            return _Tar(stream, file, most) if _is_tar(first) else _Single(stream, file, archive.stem)
    seen = "a web page" if head.lstrip()[:1] == b"<" else f"a file that starts with {head[:8]!r}"
    raise UnsafeArchiveError(f"is {seen}, no archive; expected zip, tar, tar.gz, tar.xz, tar.bz2 or gz")


def _is_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _parts(name: str, start: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return a name as parts of a path; `..` only where it is a link's target, which starts somewhere.

    Raises
    ------
    UnsafeArchiveError
        If it is absolute or leads out, or no system would have it.
    """
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise UnsafeArchiveError(f"holds an absolute path, {_short(name)}")
    if "\\" in name or any(ord(letter) < 32 for letter in name):
        raise UnsafeArchiveError(f"holds a name with a backslash or control character, {_short(name)}")
    parts = list(start or ())
    for part in name.split("/"):
        if part == ".." and (start is None or not parts):
            raise UnsafeArchiveError(f"holds a path that leads out of it, {_short(name)}")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def _led_to(target: str, start: tuple[str, ...], name: str) -> tuple[str, ...]:
    try:
        return _parts(target, start)
    except UnsafeArchiveError:
        raise UnsafeArchiveError(f"holds a link that leads out of it, {_short(name)} to {_short(target)}") from None


def _folded(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a path is on a disk that knows no case, composes accents, or drops dots at the end."""
    return tuple(unicodedata.normalize("NFC", part).casefold().rstrip(". ") for part in parts)


def _short(name: str) -> str:
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:60]}…{text[-18:]}"
