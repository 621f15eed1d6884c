"""The analysis below the matches: the tabs' names, and the tab that is open."""

from typing import Any

from vfs_panel.app.component import Part, script
from vfs_panel.app.panes import box
from vfs_panel.app.session import Session
from vfs_panel.app.state import TABS
from vfs_panel.app.views.compare import CompareView
from vfs_panel.app.views.domains import DomainsView
from vfs_panel.app.views.map import MapView
from vfs_panel.app.views.scores import ScoresView
from vfs_panel.app.views.statistics import StatisticsView
from vfs_panel.app.views.tab import TabView

VIEWS: tuple[type[TabView], ...] = (DomainsView, ScoresView, CompareView, StatisticsView, MapView)


class Tabs(Part):
    """Names of the tabs, and their enlarging."""

    _esm = script("tabs")


class AnalysisView:
    """The part below the matches, as `part`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tabs = Tabs(on_do=self._do, margin=0)
        self.views = [view(session) for view in VIEWS]
        self._body = box(*(view.part for view in self.views), classes=("vfs-fades",), styles={"margin-top": "8px"})
        self.part = box(self._tabs, self._body, classes=("vfs-analysis",), visible=False)
        session.state.param.watch(self._show, ["tab", "enlarged", "result", "opened"])
        self._show()

    def _show(self, *_: Any) -> None:
        state = self._session.state
        self.part.visible = state.result is not None and not state.opened
        self._tabs.show(
            tabs=[[view.name, TABS[view.name]] for view in self.views], tab=state.tab, enlarged=state.enlarged
        )

    def _do(self, msg: dict[str, Any]) -> None:
        match msg["do"]:
            case "tab" if msg.get("value") in TABS:
                self._session.open_tab(msg["value"])
            case "enlarge":
                self._session.toggle_enlarged()
