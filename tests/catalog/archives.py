"""Archives made for a test: honest ones of every kind, and what strangers put into theirs."""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

FILES = {"photo/cat/1.jpg": b"one" * 50_000, "photo/cat/2.jpg": b"", "labels.csv": b"path,label\n", "more.zip": b"PK"}


def tar_bytes(*members: tarfile.TarInfo, data: dict[str, bytes] | None = None) -> bytes:
    """A tar of files, and of members that are just as given."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in (data or {}).items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid = len(content), 0o4777, 12345
            tar.addfile(info, io.BytesIO(content))
        for member in members:
            tar.addfile(member)
    return stream.getvalue()


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_bytes(data: dict[str, bytes], modes: dict[str, int] | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in data.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o4777) << 16
            file.writestr(info, content)
    return stream.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "set.zip": lambda: zip_bytes(FILES),
    "set.tar": lambda: tar_bytes(data=FILES),
    "set.tgz": lambda: gzip.compress(tar_bytes(data=FILES)),
    "set.tar.xz": lambda: lzma.compress(tar_bytes(data=FILES)),
    "set.tar.bz2": lambda: bz2.compress(tar_bytes(data=FILES)),
    "misnamed.bin": lambda: gzip.compress(tar_bytes(data=FILES)),
}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
