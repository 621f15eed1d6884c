"""TabView: what every tab of the analysis has in common."""

import asyncio
import time
from typing import Any, ClassVar

import panel as pn

from vfs_panel.app.loop import crowded
from vfs_panel.app.panes import box
from vfs_panel.app.session import Session
from vfs_panel.app.turns import take_turn

EVERY_S = 0.25  # a tab under a moving pen: half of a result's time on server and page would else go into it


class TabView:
    """One tab: a subclass puts its panes into `part` and brings them up to date in `draw`.

    `draw` is called only while the tab is open, has a width and there is a result: when one comes, when chance comes,
    and when tab, theme, width or enlarging change. A result's matches go to the page first, and the tab follows in a
    message of its own. While the pen is down it does so four times a second, where the matches follow every result. A
    tab whose drawing takes long leaves the results of a stroke under the pen out, by `while_drawing = False`; where
    many people draw at once, all do.

    Attributes
    ----------
    name : of the tab, one of `state.TABS`.
    part : below the tabs' names; invisible while another tab is open.
    """

    name: ClassVar[str]
    while_drawing: ClassVar[bool] = True

    def __init__(self, session: Session) -> None:
        self.session, self.state = session, session.state
        self._drawn_at: float | None = None
        self._later: asyncio.Handle | None = None
        self.part: pn.Column = box(visible=False, classes=(f"vfs-tab-{self.name}",))
        self.state.param.watch(self._reopen, ["tab", "theme", "work_px", "enlarged", "opened"])
        self.state.param.watch(self._chance_came, ["chance"])
        session.on_publish.append(self._published)

    @property
    def is_open(self) -> bool:
        """Whether a person sees it."""
        state = self.state
        return state.tab == self.name and not state.opened and bool(state.work_px) and state.result is not None

    def draw(self) -> None:
        """Bring the panes up to date with the state."""
        raise NotImplementedError

    def update(self) -> None:
        """Draw if it is seen."""
        if self.is_open:
            self._drawn_at = time.monotonic()
            self.draw()

    def _reopen(self, *_: Any) -> None:
        self.part.visible = self.state.tab == self.name
        self.update()

    def _chance_came(self, *_: Any) -> None:
        if self._later is None:  # else it came or went with a result, and the tab follows that in its own message
            self.update()

    def _published(self, outcome: Any) -> None:
        if outcome.result is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a script: nobody to wait for
            self.update()
            return
        if self._drawn_at is None:  # with the matches: the page is looked through for new figures once
            self.update()
        elif not self.state.drawing:
            if self._later is not None:
                self._later.cancel()
            self._later = loop.call_soon(self._follow)
        elif self._later is None and self._follows_pen:
            self._later = loop.call_later(max(0.0, self._drawn_at + EVERY_S - time.monotonic()), self._follow)

    @property
    def _follows_pen(self) -> bool:
        return self.while_drawing and not crowded()

    def _follow(self) -> None:
        """Draw the latest result, in a turn of its own."""
        self._later = None
        drawing, outcome = self.state.drawing, self.session.outcome
        if not drawing and outcome is not None and outcome.job.preview:
            return  # the pen has gone up: the exact result is on its way
        if self.is_open and (self._follows_pen or not drawing):
            self._turn = asyncio.get_running_loop().create_task(take_turn(self.session.document, self.update))
