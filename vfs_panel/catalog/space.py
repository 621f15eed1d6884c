"""Whether a disk has room for what is to be written to it, and what is said when it has not."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from vfs_panel.errors import CatalogError
from vfs_panel.words import size_words


class NoSpaceError(CatalogError):
    """A disk that is full, or would be."""


_MEND = "Free some space, or set VFS_CACHE_DIR to a folder on a larger disk."


def require_space(folder: Path, bytes_needed: int, *, what: str) -> None:
    """Refuse to begin what cannot fit.

    Parameters
    ----------
    folder : Path
        Where it is to be written; need not be there yet, as the disk is that of its nearest parent.
    bytes_needed : int
        What is still to be written.
    what : str
        What needs the space, as a sentence begins: "COCO val2014".

    Raises
    ------
    NoSpaceError
        If less is free than needed, with both sizes.
    """
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if bytes_needed > free:
        raise NoSpaceError(
            f"{what} needs {size_words(bytes_needed)} on the disk of {there}, and "
            f"{f'{size_words(free)} are' if free >= 1e6 else 'less than 1 MB is'} free. {_MEND}"
        )


@contextlib.contextmanager
def full_disk_said(path: Path, *, kept: str) -> Iterator[None]:
    """Turn the system's "no space left" and "not permitted" into sentences.

    Parameters
    ----------
    path : Path
        What is written.
    kept : str
        What becomes of what is written so far, as a sentence.

    Raises
    ------
    CatalogError
        With what to do.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpaceError(f"No space left while writing {path}. {kept} {_MEND}") from None
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
            raise CatalogError(
                f"{path} cannot be written: {error.strerror}. {kept} Mend that, or set VFS_CACHE_DIR to another folder."
            ) from None
        raise
