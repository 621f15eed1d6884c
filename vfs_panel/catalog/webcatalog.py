"""A catalog on the web -> YAML files in the cache folder: small texts and pictures, checked for size, never code.

The address is that of one entry (ending in .yml or .yaml), of a list (ending in .txt), or of a folder, whose list is
its `catalog.txt`. A list names one file a line, as they lie beside it: entries, and the masks (.png) and tables of
names (.csv) that they need; # starts a comment.
"""

import hashlib
import logging
import os
import re
import tempfile
import time
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

import requests

from vfs_panel.catalog.parts import web_address
from vfs_panel.errors import CatalogError
from vfs_panel.settings import settings
from vfs_panel.words import shown

logger = logging.getLogger(__name__)

LIST = "catalog.txt"
_ENTRIES, _BESIDE = (".yml", ".yaml"), (".png", ".csv")
_MAX_BYTES = 1_000_000  # of one file
_MAX_FILES = 500
_TIMEOUT_S = 10.0
FRESH_S = 60.0
"""How long a process takes what it has read for the catalog on the web, before it asks again."""

_asked_s: dict[Path, float] = {}
_NAME = re.compile(r"\w[\w.-]*")


def load_catalog(address: str) -> list[Path]:
    """Return the entries' files of a catalog on the web, at most a minute old; where it is out of reach, as they were.

    Raises
    ------
    CatalogError
        If the address is none, or cannot be read and never was before; or a file is too large or too many are listed.
    """
    try:
        web_address(address)
    except ValueError as error:
        raise CatalogError(f"Catalog {shown(address)}: {error}.") from None
    folder = settings().cache_dir / "catalogs" / hashlib.sha256(address.encode()).hexdigest()[:12]
    asked_s = _asked_s.get(folder)
    if asked_s is not None and time.monotonic() - asked_s < FRESH_S and (kept := _entries(folder)):
        return kept  # a server opens its catalog anew for each page
    parts = urlsplit(address)
    base, _, last = parts.path.rpartition("/")
    single = last.lower().endswith(_ENTRIES)
    if not single and not last.lower().endswith(".txt"):
        base, last = parts.path.rstrip("/"), LIST
    if single and not _NAME.fullmatch(last):
        raise CatalogError(f"Catalog {shown(address)}: {last!r} cannot be an entry's name. Rename the file.")
    try:
        with requests.Session() as session:
            at = partial(_beside, parts, base)
            names = [last] if single else _listed(_get(session, at(last)), shown(at(last)))
            held = {name: _get(session, at(name)) for name in names}
    except _UnreachableError as error:
        kept = _entries(folder)
        if not kept:
            raise CatalogError(f"Catalog {shown(address)} cannot be read: {error}.") from None
        _asked_s[folder] = time.monotonic()
        logger.warning(
            "Catalog %s is out of reach (%s); its entries are those of the last time.", shown(address), error
        )
        return kept
    try:
        _put(folder, held)
    except OSError as error:
        raise CatalogError(
            f"Catalog {shown(address)} cannot be kept in {folder}: {error.strerror}. Set VFS_CACHE_DIR to another."
        ) from None
    _asked_s[folder] = time.monotonic()
    return _entries(folder)


def _beside(parts: SplitResult, base: str, name: str) -> str:
    """Return the address of a file in a catalog's folder, with the query (a token, say) that the catalog's own has."""
    return urlunsplit(parts._replace(path=f"{base}/{name}", fragment=""))


class _UnreachableError(Exception):
    """The server does not answer, or not with the file."""


def _get(session: requests.Session, address: str) -> bytes:
    """Return a small file from the web.

    Raises
    ------
    _UnreachableError
        If it cannot be had now.
    CatalogError
        If it is larger than any entry.
    """
    content = b""
    try:
        with session.get(address, timeout=_TIMEOUT_S, stream=True) as response:
            if response.status_code != requests.codes.ok:
                raise _UnreachableError(f"{shown(address)} answers with status {response.status_code}")
            for piece in response.iter_content(1 << 16):
                content += piece
                if len(content) > _MAX_BYTES:
                    raise CatalogError(f"{shown(address)} is larger than 1 MB, and no part of a catalog.")
    except requests.RequestException as error:
        raise _UnreachableError(f"{shown(address)} does not answer ({type(error).__name__})") from None
    return content


def _listed(text: bytes, called: str) -> list[str]:
    """Return the file names of a list."""
    try:
        lines = [line.partition("#")[0].strip() for line in text.decode("utf-8").splitlines()]
    except UnicodeDecodeError:
        raise CatalogError(f"{called} is no UTF-8 text. Expected one file's name a line.") from None
    names = list(dict.fromkeys(line for line in lines if line))
    for name in names:
        if not _NAME.fullmatch(name) or not name.lower().endswith((*_ENTRIES, *_BESIDE)):
            raise CatalogError(
                f"{called} lists {name[:60]!r}. Expected names of files beside it that end in "
                f"{', '.join((*_ENTRIES, *_BESIDE))}."
            )
    if not names or len(names) > _MAX_FILES:
        raise CatalogError(f"{called} lists {len(names)} files; expected 1 to {_MAX_FILES}.")
    return names


def _put(folder: Path, held: dict[str, bytes]) -> None:
    """Make a folder hold exactly these files; each is either the old or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in held.items():
        if (folder / name).is_file() and (folder / name).read_bytes() == content:
            continue
        handle, unfinished = tempfile.mkstemp(prefix=".loading-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.replace(unfinished, folder / name)
        finally:
            Path(unfinished).unlink(missing_ok=True)
    for file in folder.iterdir():
        if file.name not in held and not file.name.startswith("."):
            file.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in _ENTRIES and _NAME.fullmatch(file.name))
