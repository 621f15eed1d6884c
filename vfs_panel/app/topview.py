"""The parts round the two columns: header, keys, problem panel and status line."""

from typing import Any

from vfs_panel.app import shared
from vfs_panel.app.component import CanvasOver, Header, ProblemPanel, StatusLine
from vfs_panel.app.session import Session
from vfs_panel.app.words import Status
from vfs_panel.errors import VFSError
from vfs_panel.plots.theme import DARK, LIGHT, Theme


def theme_of(session: Session) -> Theme:
    """Return the colours of the session's theme."""
    return DARK if session.state.theme == "dark" else LIGHT


class HeaderView:
    """Name, dataset, network, layer, where it runs, theme and help."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._helps = 0
        self._counts: dict[tuple[str, str], int] = {}
        self.part = Header(on_do=self._do, margin=0)
        names = ["dataset", "network", "layer", "problem", "status"]
        session.state.param.watch(self._show, names)
        self._show()

    def help(self) -> None:
        """Open or close the list of keys."""
        self._helps += 1
        self.part.show(help=self._helps)

    def _title(self, name: str) -> str:
        """Name a source with its number of pictures, once that is known."""
        source = self._session.sources[name]
        if name == self._session.state.dataset and self._session.engine is not None:
            self._counts[name, ""] = self._session.engine.store.n_images
        n = self._counts.get((name, ""))
        return f"{source.title}, {n:,} pictures" if n else source.title

    def _show(self, *_: Any) -> None:
        session, state = self._session, self._session.state
        source = session.source
        engine = session.engine
        fits = engine is not None and engine.layer == state.layer
        self.part.show(
            datasets=[[name, self._title(name)] for name in session.sources],
            dataset=state.dataset,
            networks=[[name, name] for name in source.networks],
            network=state.network,
            layers=[[name, name] for name in source.networks.get(state.network, [])],
            layer=state.layer,
            tier=f"Runs {engine.tier}" if engine is not None and fits else "",
            wrong=state.problem is not None,
        )

    def _do(self, msg: dict[str, Any]) -> None:
        session, value = self._session, str(msg.get("value", ""))
        match msg["do"]:
            case "dataset" if value in session.sources:
                try:
                    session.open_dataset(value)
                finally:
                    self.part.param.trigger("view")  # a set that did not open is no longer chosen
            case "network":
                session.open_network(value)
            case "layer":
                session.open_layer(value)
            case "theme":
                toggle_theme(session)


def toggle_theme(session: Session) -> None:
    """Change between light and dark."""
    session.state.theme = "light" if session.state.theme == "dark" else "dark"


class KeyView:
    """The keys of the whole page, and what lies over the canvas."""

    def __init__(self, session: Session, *, page: bool) -> None:
        self._session = session
        self.header: HeaderView | None = None
        self.over = CanvasOver(
            on_do=self._do, margin=0, styles={"position": "absolute", "inset": "0", "height": "100%"}
        )
        self._page = page
        session.state.param.watch(self._show, ["drawn", "drawing", "brush_px", "theme", "picture", "layer", "dataset"])
        self._show()

    def _show(self, *_: Any) -> None:
        session, state = self._session, self._session.state
        outside = ""
        try:
            x0, y0, x1, y1 = session.geometry().frame
            height, width = session.picture_px
            if (x0, y0, x1, y1) != (0, 0, width, height):
                outside = "outside the frame: not seen by the network"
        except VFSError:
            pass
        self.over.show(
            page=self._page,
            theme=state.theme,
            background=theme_of(session).bg,
            hint="" if state.strokes else "Paint the part you want to find.",
            outside=outside,
            ring_px=round(state.brush_px * session.canvas_px / max(session.picture_px), 1),
        )

    def _do(self, msg: dict[str, Any]) -> None:
        session, state = self._session, self._session.state
        name = msg["do"]
        sizes = {"smaller": 1 / 1.2, "larger": 1.2}
        if name == "canvas_width" and isinstance(msg.get("value"), int):
            session.set_canvas(msg["value"])
        elif name in ("brush", "eraser"):
            state.tool = "include" if name == "brush" else "erase"
        elif name in sizes:
            session.set_brush(state.brush_px * sizes[name])
        elif name == "cells":
            state.cells_shown = not state.cells_shown
        elif name in ("undo", "redo", "clear"):
            getattr(session, name)()
        elif name in ("next", "previous"):
            session.select(max(1, state.selected + (1 if name == "next" else -1)))
        elif name == "from_match" and state.selected:
            session.search_from_match(state.selected)
        elif name == "escape":
            session.select(0)
        elif name in ("tab1", "tab2"):
            session.open_tab("domains" if name == "tab1" else "scores")
        elif name == "theme":
            toggle_theme(session)
        elif name == "help" and self.header is not None:
            self.header.help()


class ProblemView:
    """The panel over the last matches that says what went wrong."""

    def __init__(self, session: Session) -> None:
        self._session = session
        # Over the last matches, wherever they are scrolled to.
        over = {"position": "absolute", "inset": "0 0 auto 0", "width": "auto", "z-index": "4"}
        self.part = ProblemPanel(on_do=self._do, margin=0, styles=over)
        session.state.param.watch(self._show, ["problem"])
        self._show()

    def _show(self, *_: Any) -> None:
        problem = self._session.state.problem
        if problem is None:
            self.part.show(title="", text="", command="", back="")
        else:
            self.part.show(title=problem.title, text=problem.text, command=problem.command, back=problem.back)

    def _do(self, msg: dict[str, Any]) -> None:
        if msg["do"] == "back":
            self._session.go_back()
        elif msg["do"] == "again":
            shared.forget()
            self._session.try_again()


class StatusView:
    """The status line."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.part = StatusLine(on_do=self._do, margin=0)
        session.state.param.watch(self._show, ["status"])
        self._show()

    def _show(self, *_: Any) -> None:
        status: Status = self._session.state.status
        self.part.show(lead=status.lead, text=status.text, action=status.action)

    def _do(self, msg: dict[str, Any]) -> None:
        if msg["do"] == "action" and self._session.state.status.action == "Clear filters":
            self._session.set_matches(domain="", label="")
