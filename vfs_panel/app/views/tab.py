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
    and when tab, theme, width or enlarging change. While the pen is down it follows four times a second, where the
    matches do so every time. A tab whose drawing takes long leaves the results of a stroke under the pen out, by
    `while_drawing = False`; where many people draw at once, all do.

    Attributes
    ----------
    name : of the tab, one of `state.TABS`.
    part : below the tabs' names; invisible while another tab is open.
    """

    name: ClassVar[str]
    while_drawing: ClassVar[bool] = True

    def __init__(self, session: Session) -> None:
        self.session, self.state = session, session.state
        self._drawn_at = -EVERY_S
        self._later: asyncio.TimerHandle | None = None
        self.part: pn.Column = box(visible=False, classes=(f"vfs-tab-{self.name}",))
        self.state.param.watch(self._reopen, ["tab", "theme", "work_px", "enlarged", "chance", "opened"])
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

    def _published(self, outcome: Any) -> None:
        if outcome.result is None:
            return
        if not self.state.drawing:
            self.update()
        elif self.while_drawing and not crowded() and self._later is None:
            wait_s = self._drawn_at + EVERY_S - time.monotonic()
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # a script: nobody to wait for
                wait_s = 0
            if wait_s <= 0:
                self.update()
            else:
                self._later = loop.call_later(wait_s, self._catch_up)

    def _catch_up(self) -> None:
        """Draw the latest result of a stroke, if it is still under the pen; else the exact result has done so."""
        self._later = None
        if self.state.drawing and self.is_open:
            self._turn = asyncio.get_running_loop().create_task(take_turn(self.session.document, self.update))
