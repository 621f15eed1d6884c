"""What is said in words: the status line, and the panel of a problem."""

from typing import Any

from vfs_panel.app import shared
from vfs_panel.app.component import Part, script
from vfs_panel.app.session import Session
from vfs_panel.app.views.offer import news
from vfs_panel.app.words import Status


class ProblemPanel(Part):
    """What went wrong, and what to do."""

    _esm = script("problem")


class StatusLine(Part):
    """The status line, read out by screen readers."""

    _esm = script("building", "bokeh", "status")


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
            self.part.show(title="", text="", command="", back="", rebuild=False)
        else:
            self.part.show(
                title=problem.title, text=problem.text, command=problem.command, back=problem.back,
                rebuild=bool(problem.rebuild),
            )  # fmt: skip

    def _do(self, msg: dict[str, Any]) -> None:
        problem = self._session.state.problem
        if msg["do"] == "back":
            self._session.go_back()
        elif msg["do"] == "again":
            shared.forget()
            self._session.try_again()
        elif msg["do"] == "rebuild" and problem is not None and problem.rebuild:
            state = self._session.state
            self._session.offers.offer(state.dataset, state.network, reason=problem.rebuild, again=True)


class StatusView:
    """The status line. It also fades matches that are not of the drawing, and on a page it watches the connection.

    Parameters
    ----------
    session : what it tells of.
    page : whether the explorer fills a page that a server keeps.
    """

    def __init__(self, session: Session, *, page: bool = False) -> None:
        self._session, self._page = session, page
        self.part = StatusLine(on_do=self._do, margin=0)
        session.state.param.watch(self._show, ["status", "upload", "problem", "stale"])
        session.state.param.watch(self._show_build, ["builds", "offer"])
        session.on_resize.append(self._show_build)
        self._show()
        self._show_build()

    def _show(self, *_: Any) -> None:
        state = self._session.state
        status: Status = state.status
        self.part.show(
            lead=status.lead, text=status.text, action=status.action, page=self._page,
            uploaded=state.upload is not None, faded=state.problem is not None or state.stale,
        )  # fmt: skip

    def _do(self, msg: dict[str, Any]) -> None:
        session, name = self._session, str(msg.get("name", ""))
        match msg["do"]:
            case "action" if session.state.status.action == "Clear filters":
                session.set_matches(filters={}, among=None)
            case "openbuilt" if name in session.sources:
                session.offers.open(name)
            case "showbuild" if name in session.sources:
                session.offers.offer(name)
            case "dismiss":
                session.offers.dismiss()

    def _show_build(self, *_: Any) -> None:
        self.part.show(build=news(self._session))
