"""Carrying away: the address of what is seen, files of it, and sessions saved and opened again."""

import base64
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from vfs_panel.app import exports, links, shared
from vfs_panel.app.ink import ink_url
from vfs_panel.app.remembered import Remembered, read, remember, reopen
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.snippets import snippet
from vfs_panel.app.thumbnails import data_url, shrink
from vfs_panel.app.turns import Aside
from vfs_panel.errors import VFSError
from vfs_panel.plots.figure import KINDS, figure_bytes, search_figure
from vfs_panel.search.mask import paint_both

MOST_DOWNLOAD_MB = 60.0
_THUMB_PX = 96
_IN_ADDRESS = ("dataset", "network", "layer", "picture", "k", "tab", "theme")


class Carry:
    """What the header's Share and Export do.

    Parameters
    ----------
    session : what is carried away.
    show : tells the header's part.
    page : whether the browser's address is the explorer's own.
    """

    def __init__(self, session: Session, show: Callable[..., None], *, page: bool) -> None:
        self._session, self._show, self._page = session, show, page
        self._aside, self._keeping = (Aside(session, shared.LOOKS) for _ in range(2))
        self._pieces: dict[str, list[bytes]] = {}
        self._sent = 0
        session.on_publish.append(self._published)
        session.state.param.watch(self._follow, ["tab", "theme", "sort", "result"])
        show(
            formats=[[kind, form.words] for kind, form in exports.FORMATS.items()],
            figures=[[kind, f"Figure as {kind.upper()}"] for kind in KINDS],
        )

    # --- the address --------------------------------------------------------------------------------------------

    def _published(self, outcome: Outcome) -> None:
        if not outcome.job.preview:
            self._follow()

    def _follow(self, *_: Any) -> None:
        """Keep the address in step with what is seen, so that a reload brings it back."""
        state = self._session.state
        self._show(can_export=state.result is not None)
        if not self._page or state.drawing:
            return
        asked, document = self._asked()
        # Files are written beside the searches: the next stroke does not wait for a disk.
        self._keeping.start(lambda: _address(asked, document), lambda search: self._show(search=search))

    def address(self) -> str:
        """Return the address's question: what is short in words, the drawing by its hash."""
        return _address(*self._asked())

    def _asked(self) -> tuple[dict[str, Any], Remembered | None]:
        """Return what the address says in words, and what it names by a hash, if anything is painted."""
        state = self._session.state
        usual = {"k": 12, "tab": "domains", "theme": "light"}
        asked = {name: getattr(state, name) for name in _IN_ADDRESS if getattr(state, name) != usual.get(name)}
        if state.upload is not None:
            asked.pop("picture", None)
            return asked, None
        return asked, remember(self._session) if state.history.strokes else None

    # --- doing --------------------------------------------------------------------------------------------------

    def do(self, msg: dict[str, Any]) -> None:
        """Do what a message of the header asks for."""
        value = str(msg.get("value", ""))
        match msg["do"]:
            case "share":
                self._share()
            case "export" if value in exports.FORMATS:
                self._export(value)
            case "figure" if value in KINDS:
                self._figure(value)
            case "python":
                self._tell("copied", text=snippet(self._session), words="The code is copied.")
            case "save":
                self._save()
            case "collect":
                self._collect()
            case "piece":
                self._piece(msg)
            case "reopen" if isinstance(msg.get("document"), str) and len(msg["document"]) < 41_000_000:
                self._reopen(read(msg["document"]))

    def _tell(self, kind: str, **more: Any) -> None:
        """Give the browser something once."""
        self._sent += 1
        self._show(gift={"kind": kind, "number": self._sent, **more})

    def _share(self) -> None:
        state = self._session.state
        own = " The uploaded picture is not in it: save the session for that." if state.upload is not None else ""
        drawing = "It holds the drawing and all choices, and works on this server."
        self._tell("link", search=self.address(), words=f"Link copied. {drawing}{own}")

    def _name(self, suffix: str) -> str:
        state = self._session.state
        picture = state.picture.rsplit("/", 2)
        return exports.file_name(state.dataset.rsplit("/", 1)[-1], state.layer, "-".join(picture[-2:]), suffix=suffix)

    def _download(self, data: bytes, suffix: str, media: str) -> None:
        if len(data) > MOST_DOWNLOAD_MB * 1e6:
            self._session.trouble(
                f"The file has {len(data) / 1e6:,.0f} MB, more than the {MOST_DOWNLOAD_MB:g} MB that a page sends. "
                "Use Copy as Python, and write it there."
            )
            return
        self._tell("file", name=self._name(suffix), media=media, data=base64.b64encode(data).decode())

    def _export(self, kind: str) -> None:
        result, chance, form = self._session.state.result, self._session.state.chance, exports.FORMATS[kind]
        if result is None:
            return

        def work() -> bytes | str:
            try:
                return form.write(chance.added_to(result) if chance is not None else result)
            except VFSError as error:
                return str(error)

        self._aside.start(work, lambda made: self._given(made, kind, form.media))

    def _given(self, made: bytes | str, suffix: str, media: str) -> None:
        if isinstance(made, str):
            self._session.trouble(made)
        else:
            self._download(made, suffix, media)

    def _figure(self, kind: str) -> None:
        session, state = self._session, self._session.state
        result, mask = state.result, state.mask
        if result is None or mask is None:
            return
        rgb, source = session.picture_rgb(), session.source
        preprocessing = session.store.preprocessing
        title = f"{source.title} · {state.network} · {state.layer}"

        def work() -> bytes | str:
            try:
                images = shared.images_of(source)
                pictures = {str(i): preprocessing.frame(images.rgb(str(i))) for i in result["image_id"].values}
                return figure_bytes(search_figure(result, preprocessing.frame(rgb), mask, pictures, title=title), kind)
            except VFSError as error:
                return str(error)

        self._aside.start(work, lambda made: self._given(made, kind, KINDS[kind]))

    # --- sessions -----------------------------------------------------------------------------------------------

    def _save(self) -> None:
        document = remember(self._session, with_upload=True)
        self._download(document.model_dump_json(indent=1).encode(), "vfs.json", "application/json")

    def _collect(self) -> None:
        """Give the browser the query as it is now, for its collection."""
        session, state = self._session, self._session.state
        picture = shrink(session.picture_rgb(), _THUMB_PX)
        side = max(picture.shape[:2])
        geometry = session.geometry()
        included, excluded = paint_both(state.history.strokes, geometry)
        self._tell(
            "query", document=remember(session, with_upload=True).model_dump_json(exclude_defaults=True),
            title=f"{state.picture} in {state.layer}", saved=datetime.now(UTC).date().isoformat(),
            url=data_url(picture, quality=80), ink=ink_url(included, geometry, side, excluded=excluded),
        )  # fmt: skip

    def _piece(self, msg: dict[str, Any]) -> None:
        """Take one piece of a session's file; with the last one, open it."""
        try:
            data = base64.b64decode(str(msg["data"]), validate=True)
            number, total, key = int(msg["number"]), int(msg["total"]), str(msg.get("key"))
        except (KeyError, ValueError, TypeError):
            return
        pieces = self._pieces.setdefault(key, []) if number == 0 else self._pieces.get(key)
        if pieces is None or number != len(pieces) or total > 100:
            return
        pieces.append(data)
        while len(self._pieces) > 2:
            self._pieces.pop(next(iter(self._pieces)))
        if number == total - 1:
            self._reopen(read(b"".join(self._pieces.pop(key))))

    def _reopen(self, document: Remembered) -> None:
        missing = reopen(self._session, document)
        if missing:
            self._session.announce(" ".join(missing))


def _address(asked: dict[str, Any], document: Remembered | None) -> str:
    """Keep a document, and return the address that names it."""
    if document is not None:
        with suppress(VFSError):  # the address then holds all but the drawing
            asked = {**asked, "view": links.keep(document)}
    return "?" + urlencode(asked, safe="/")
