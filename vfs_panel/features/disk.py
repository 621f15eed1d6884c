"""What is written reaches the disk, in order; and a disk that is full says how to go on."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from vfs_panel.errors import StoreError


@contextlib.contextmanager
def saying_no_space(path: Path) -> Iterator[None]:
    """Turn the system's "no space left" and "read-only" into a StoreError that says how to go on.

    Raises
    ------
    StoreError
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"No space left while writing {path}. What is written is kept: free some space and run the same "
                "command again, it goes on where it stopped."
            ) from None
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise StoreError(f"{path} cannot be written: {error.strerror}. Choose another place with --out.") from None
        raise


def sync(*files: Path) -> None:
    """Bring files and their folder entries to the disk, so that a commit record never outlives its data."""
    for place in dict.fromkeys([*files, *(file.parent for file in files)]):
        if os.name == "nt" and place.is_dir():
            continue  # Windows cannot sync folders, and files only through a handle that may write
        handle = os.open(place, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_all(folder: Path) -> None:
    """Bring all of a new folder to the disk: blocks are worth nothing if the metadata above them is lost."""
    sync(*folder.rglob("*"))


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no such links."""
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
