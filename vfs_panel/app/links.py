"""Links: documents of sessions kept on the server by their hash, so that an address can name a drawing."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from vfs_panel.app.remembered import Remembered, read
from vfs_panel.errors import VFSError
from vfs_panel.settings import settings

MOST_BYTES, MOST_KEPT = 300_000, 5000
_NAME = re.compile(r"[0-9a-f]{20}")


def folder() -> Path:
    """Return where they are kept: the folder `links` of the cache."""
    return settings().cache_dir / "links"


def keep(document: Remembered) -> str:
    """Keep a document and return its name, the same for the same document.

    Raises
    ------
    VFSError
        If it is too large for a link, or cannot be written.
    """
    data = document.model_dump_json(exclude_defaults=True, exclude={"upload", "matches"}).encode()
    if len(data) > MOST_BYTES:
        raise VFSError("The drawing is too large for a link. Save the session as a file instead.")
    name = hashlib.sha256(data).hexdigest()[:20]
    place = folder() / f"{name}.json"
    try:
        if place.exists():
            os.utime(place)
            return name
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(place)
        _drop_oldest()
    except OSError as error:
        raise VFSError(f"The link could not be kept: {error.strerror or error}.") from None
    return name


def find(name: str) -> Remembered:
    """Return the document of a name.

    Raises
    ------
    VFSError
        If there is none, or it is damaged.
    """
    if not _NAME.fullmatch(name):
        raise VFSError("This link names no drawing.")
    try:
        data = (folder() / f"{name}.json").read_bytes()
    except OSError:
        raise VFSError("The drawing of this link is not on this server any more.") from None
    return read(data)


def find_or_read(view: str | Path) -> Remembered:
    """Return the document of a name, or of a file of a saved session.

    Raises
    ------
    VFSError
        If there is none, or it is damaged.
    """
    if isinstance(view, str) and _NAME.fullmatch(view):
        return find(view)
    try:
        return read(Path(view).read_bytes())
    except OSError as error:
        raise VFSError(
            f"There is no view {str(view)!r} ({error.strerror or error}). "
            "Give what Share copied, or the path of a saved session."
        ) from None


def _drop_oldest() -> None:
    kept = sorted(folder().glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in kept[: max(0, len(kept) - MOST_KEPT)]:
        path.unlink(missing_ok=True)
