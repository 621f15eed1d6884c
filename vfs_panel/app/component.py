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


def script(*names: str) -> str:
    """Return a part's module: the helpers that all parts share, then its own code."""
    return "".join(web_text(f"{name}.js") for name in ("common", *names))


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

    def _update_properties(self, *events: param.parameterized.Event, doc: Any) -> dict[str, Any]:
        # Panel works out the page's design for every change, though that only matters to style sheets.
        if any(event.name == "stylesheets" for event in events):
            return dict(super()._update_properties(*events, doc=doc))
        return dict(self._process_param_change({event.name: event.new for event in events}))

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
