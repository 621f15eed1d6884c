"""Part: a piece of the page drawn by a small script in the browser, with one dict down and messages up."""

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from vfs_panel.errors import VFSError

logger = logging.getLogger(__name__)
WEB = Path(__file__).parent / "web"


@cache
def web_text(name: str) -> str:
    """Return a file of `web/`."""
    return (WEB / name).read_text("utf-8")


def script(name: str) -> str:
    """Return a part's module: the helpers that all parts share, then its own code."""
    return web_text("common.js") + web_text(f"{name}.js")


class Part(JSComponent):
    """Base of the parts; a subclass sets `_esm = script(NAME)`.

    What the part shows is `view`, JSON that Python writes and the browser only reads. What a person does comes
    back as messages {"do": NAME, …}, given to `on_do`. Texts reach the page as text, never as HTML.
    """

    view: dict[str, Any] = param.Dict(default={}, doc="What the part shows.")
    on_do: Callable[[dict[str, Any]], None] | None = param.Callable(default=None, allow_refs=False)
    on_trouble: Callable[[str], None] | None = param.Callable(default=None, allow_refs=False, doc="Gets a sentence.")

    _rename = {"on_do": None, "on_trouble": None}  # noqa: RUF012 (Panel's way: stays in Python)
    _stylesheets = [web_text("style.css")]  # noqa: RUF012
    _esm = ""

    def show(self, **view: Any) -> None:
        """Show other values; what is not named stays."""
        changed = {**self.view, **view}
        if changed != self.view:
            self.view = changed

    def _handle_msg(self, msg: Any) -> None:
        if isinstance(msg, dict) and isinstance(msg.get("do"), str) and self.on_do is not None:
            try:
                self.on_do(msg)
            except VFSError as error:
                if self.on_trouble is not None:
                    self.on_trouble(str(error))
            except Exception:  # a bug ends neither the session nor in a traceback on the page
                logger.exception("Message %r of %s failed", msg["do"], type(self).__name__)
                if self.on_trouble is not None:
                    self.on_trouble("That did not work. The log of the server says why; your drawing is kept.")


class Header(Part):
    """Name, dataset, network, layer, tier, theme and help."""

    _esm = script("header")


class QueryTop(Part):
    """Heading, upload, filters, gallery and tools of the query column."""

    _esm = script("query")


class CanvasOver(Part):
    """What lies over the canvas: the brush's ring and a hint; and the keys of the whole page."""

    _esm = script("over")


class CanvasUnder(Part):
    """The grid's switch and the box by numbers."""

    _esm = script("under")


class CellWords(Part):
    """What the layer sees, in words."""

    _esm = script("cells")


class MatchesHead(Part):
    """Heading of the matches and their choices; reports the width of its column."""

    _esm = script("matches")


class SelectedBar(Part):
    """What can be done with the selected match; and the matches as a list for screen readers."""

    _esm = script("selected")


class Tabs(Part):
    """Names of the tabs, and their enlarging."""

    _esm = script("tabs")


class ScoreTools(Part):
    """Grouping and range of the score histograms."""

    _esm = script("scoretools")


class FirstSteps(Part):
    """The tour and the examples, before anything is painted."""

    _esm = script("firststeps")


class ProblemPanel(Part):
    """What went wrong, and what to do."""

    _esm = script("problem")


class StatusLine(Part):
    """The status line, read out by screen readers."""

    _esm = script("status")
