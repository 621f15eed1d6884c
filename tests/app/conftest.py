"""A session on the small store of the tests, without browser or server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vfs_panel.app import shared
from vfs_panel.app.session import Session
from vfs_panel.app.sources import sources_of


@pytest.fixture
def session(kept_store: Path, picture_folder: Path) -> Iterator[Session]:
    """A session on twelve pictures of coarse noise, opened and not yet painted on."""
    shared.forget()
    opened = Session(sources_of(kept_store, images=picture_folder), layer="stage3")
    opened.search_now()
    yield opened
    shared.forget()
