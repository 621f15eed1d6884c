"""A disk that is full while a store is written says how to go on."""

import contextlib
import errno
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
