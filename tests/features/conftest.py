"""Stores of several blocks, however small they are."""

from collections.abc import Callable, Iterator

import pytest

from vfs_panel.settings import settings


@pytest.fixture
def block_mb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """A way to say how large blocks are."""

    def chosen(size: float) -> None:
        monkeypatch.setenv("VFS_BLOCK_MB", str(size))
        settings.cache_clear()

    yield chosen
    settings.cache_clear()


@pytest.fixture
def small_blocks(block_mb: Callable[[float], None]) -> None:
    """Blocks of a few pictures."""
    block_mb(0.004)
