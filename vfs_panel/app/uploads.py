"""Uploads of one session: pictures and masks from elsewhere, as they come in pieces from the browser."""

from typing import TYPE_CHECKING, Any

from vfs_panel.app import shared
from vfs_panel.app.state import Upload
from vfs_panel.app.turns import Aside
from vfs_panel.errors import ImageError, QueryError
from vfs_panel.images.reading import read_mask, read_rgb
from vfs_panel.search.mask import strokes_from_mask
from vfs_panel.settings import settings

if TYPE_CHECKING:
    from vfs_panel.app.session import Session

SIDE_PX = 1024
"""Longest side that an uploaded picture is kept with."""


class Uploads:
    """What a session does with files that a person brings; one that cannot be taken leaves everything as it was.

    Parameters
    ----------
    session : opens the pictures, and paints the masks.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._reading = Aside(session, shared.LOOKS)
        self._pieces: dict[str, list[bytes]] = {}

    def receive(self, key: str, number: int, total: int, data: bytes, name: str, *, mask: bool = False) -> None:
        """Take one piece of a file; with the last one, open it, as a picture or as a mask of the open picture."""
        limit = settings().max_upload_mb * 1e6
        pieces = self._pieces.setdefault(key, []) if number == 0 else self._pieces.get(key)
        if pieces is None or number != len(pieces):
            return
        pieces.append(data)
        if sum(map(len, pieces)) > limit:
            del self._pieces[key]
            self.refuse(name)
        elif number == total - 1:
            del self._pieces[key]
            (self.paint_mask if mask else self.open)(b"".join(pieces), name)
        while len(self._pieces) > 2:  # what was given up
            self._pieces.pop(next(iter(self._pieces)))

    def open(self, data: bytes, name: str) -> None:
        """Read a picture in another thread, and paint on it; a file that is none is refused with a sentence."""
        self._reading.start(lambda: _read(data, name), lambda found: self._take(found, name))

    def open_now(self, data: bytes, name: str) -> None:
        """Open a picture in this thread, as a saved session brings it."""
        self._take(_read(data, name), name)

    def _take(self, found: Any, name: str) -> None:
        if isinstance(found, ImageError):
            self.refuse(name, str(found) if "pixels" in str(found) else "")
        else:
            self._session.open_own(Upload(name, found))

    def refuse(self, name: str, reason: str = "") -> None:
        """Say that a file cannot be taken, and why."""
        state = self._session.state
        state.upload_error = ""  # so that the same name is news
        state.param.update(upload_error=name, upload_reason=reason)

    def paint_mask(self, data: bytes, name: str) -> None:
        """Paint what a mask picture covers, as one step: white, or what is opaque where it has transparency."""
        session = self._session
        try:
            cover = read_mask(data, name=name)
            strokes = strokes_from_mask(cover, session.picture_px, mode=session.state.polarity)  # type: ignore[arg-type]
        except (ImageError, QueryError) as error:
            session.trouble(str(error))
            return
        session.add(*strokes)


def _read(data: bytes, name: str) -> Any:
    """Return the picture, uint8 (y, x, 3), or the ImageError that says why it is none."""
    try:
        return read_rgb(data, name=name, max_side_px=SIDE_PX)
    except ImageError as error:
        return error
