"""A web server for archives and catalogs, which can break off."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.features.servers import Handler, Servers


class BreakingHandler(Handler):
    """Files with ranges; the first answers to the paths in `cuts` break off in the middle."""

    cuts: list[str]

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        breaks = next((part for part in self.cuts if part in self.path), None)
        if breaks is not None:
            self.cuts.remove(breaks)
        super().answer(status, data, headers, cut=cut or breaks is not None)


@dataclass
class Site:
    """A folder that is served at an address.

    Attributes
    ----------
    root : the folder.
    url : its address.
    asked : (path, Range header) of every request.
    cuts : parts of paths whose next answer breaks off.
    """

    root: Path
    url: str
    asked: list[tuple[str, str]]
    cuts: list[str] = field(default_factory=list)

    def put(self, name: str, content: bytes | str) -> str:
        """Serve a file, and return its address."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return f"{self.url}/{name}"

    def ranges(self, name: str) -> list[str]:
        """What parts of a file were asked for."""
        return [wanted for path, wanted in self.asked if path == f"/{name}"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server; downloads do not wait for it to come back."""
    from vfs_panel.catalog import downloading

    monkeypatch.setattr(downloading, "_WAITS_S", ())
    servers, root, cuts = Servers(), tmp_path / "site", []
    root.mkdir()
    url, handler = servers.http(root, handler=BreakingHandler, cuts=cuts)
    yield Site(root, url, handler.asked, cuts)
    servers.stop()
