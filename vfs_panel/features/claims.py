"""Who writes what, where several processes share one extraction: locks that a killed process cannot keep."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from vfs_panel.errors import StoreError

_WAIT_S = 60.0  # for what takes a moment: making a store, or adding a layer to it


class Claims:
    """Locks on a store and on its blocks, as files in a hidden folder beside it.

    The system gives a lock back when its process ends, however it ends. Where the file system is shared by several
    machines its locks must be too (NFS 4 does that).

    Parameters
    ----------
    store : the store's folder, which need not be there yet.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store.with_name(f".{store.name}.claims")
        self._held: dict[int, FileLock] = {}

    def _locked(self, name: str, **how: float | bool) -> FileLock:
        """Return a lock that is held now.

        Raises
        ------
        Timeout
        """
        while True:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._folder / name, thread_local=False)
            try:
                lock.acquire(**how)  # type: ignore[arg-type]
            except FileNotFoundError:
                continue  # another process was done, and has removed the folder just now
            return lock

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Hold the store itself, for as long as it is made or its metadata change.

        Raises
        ------
        StoreError
            If another process holds it for a minute.
        """
        try:
            lock = self._locked("store", timeout=_WAIT_S)
        except Timeout:
            raise StoreError(
                f"{self._store} is being changed by another process. Wait for it, or choose another place."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def take(self, block: int) -> bool:
        """Claim a block for this process; False if another one has it."""
        try:
            self._held[block] = self._locked(f"block-{block}", blocking=False)
        except Timeout:
            return False
        return True

    def drop(self, block: int) -> None:
        """Give a block back."""
        lock = self._held.pop(block, None)
        if lock is not None:
            lock.release()

    def close(self) -> None:
        """Give everything back."""
        for block in list(self._held):
            self.drop(block)

    def clear(self) -> None:
        """Remove the locks of a store that is finished, while holding the store itself."""
        for file in self._folder.glob("block-*"):
            file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove what is left of the folder, unless somebody works on the store just now."""
        with contextlib.suppress(Timeout, OSError):
            lock = self._locked("store", blocking=False)
            try:
                if any(self._folder.glob("block-*")):
                    return
                os.unlink(self._folder / "store")
            finally:
                lock.release()
            self._folder.rmdir()
