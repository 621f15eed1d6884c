"""A hash of files, for weights that are known by their file only."""

import hashlib
from pathlib import Path

_PIECE = 1 << 20


def file_hash(*paths: Path) -> str:
    """Return a sha256 over the bytes of one or several files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()
