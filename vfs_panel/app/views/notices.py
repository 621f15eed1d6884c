"""What is said in words: the status line, and the panel of a problem."""

from typing import Any

from vfs_panel.app import shared
from vfs_panel.app.component import Part, script
from vfs_panel.app.session import Session
from vfs_panel.app.words import Status


class ProblemPanel(Part):
    """What went wrong, and what to do."""

    _esm = script("problem")


class StatusLine(Part):
    """The status line, read out by screen readers."""

    _esm = script("status")


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
    """The status line; on a page it also watches the connection, and opens the page again when it was lost.

    Parameters
    ----------
    session : what it tells of.
    page : whether the explorer fills a page that a server keeps.
    """

    def __init__(self, session: Session, *, page: bool = False) -> None:
        self._session, self._page = session, page
        self.part = StatusLine(on_do=self._do, margin=0)
        session.state.param.watch(self._show, ["status", "upload"])
        self._show()

    def _show(self, *_: Any) -> None:
        state = self._session.state
        status: Status = state.status
        self.part.show(
            lead=status.lead, text=status.text, action=status.action, page=self._page, uploaded=state.upload is not None
        )

    def _do(self, msg: dict[str, Any]) -> None:
        if msg["do"] == "action" and self._session.state.status.action == "Clear filters":
            self._session.set_matches(filters={}, among=None)
