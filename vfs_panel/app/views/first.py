"""First steps: the tour and the examples, before anything is painted."""

from typing import Any

from vfs_panel.app.component import Part, script
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.turns import Aside
from vfs_panel.app.views.examples import Example, examples_of, first_match, steps_of
from vfs_panel.errors import VFSError


class FirstSteps(Part):
    """The tour and the examples."""

    _esm = script("firststeps")


class GuidedTour(Part):
    """Four steps through the page, each beside what it speaks of."""

    _esm = script("tour")


class FirstView:
    """The part that stands where the matches will be, as `part`; and the `tour`, over the whole page."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._examples: list[Example] = []
        self._begun = 0
        self._aside, self._matched = Aside(session), ""
        self.part = FirstSteps(on_do=self._do, margin=0)
        over = {"position": "absolute", "inset": "0", "height": "100%", "pointer-events": "none", "z-index": "9"}
        self.tour = GuidedTour(on_do=self._do, margin=0, styles=over)
        session.state.param.watch(self._show, ["dataset", "network", "picture", "result"])
        session.on_publish.append(self._add_match)
        session.on_tour.append(self._start_tour)
        self._show()

    def _show(self, *_: Any) -> None:
        self.part.visible = self._session.state.result is None
        self.tour.show(painted=self._session.state.is_painted)
        if not self.part.visible:
            return
        try:
            self._examples = examples_of(self._session)
            steps = steps_of(self._session)
        except VFSError:
            return
        self.part.show(tour=steps, examples=[example.view for example in self._examples])

    def _start_tour(self) -> None:
        self._begun += 1
        self.tour.show(begun=self._begun, painted=self._session.state.is_painted)

    def _add_match(self, outcome: Outcome) -> None:
        """Show a true match in the third step, once there is an engine to find it."""
        state, engine = self._session.state, outcome.engine
        if engine is None or not engine.holds or not self.part.visible or self._matched == engine.store.path:
            return
        self._matched = engine.store.path
        source, network = self._session.source, state.network
        self._aside.start(lambda: first_match(source, network, engine), self._show_match)

    def _show_match(self, url: str) -> None:
        steps = self.part.view.get("tour")
        if url and steps:
            self.part.show(tour=[*steps[:2], [url, ""]])

    def _do(self, msg: dict[str, Any]) -> None:
        number = msg.get("number")
        if msg["do"] == "tour":
            self._session.start_tour()
        if msg["do"] == "example" and isinstance(number, int) and 0 <= number < len(self._examples):
            example = self._examples[number]
            self._session.open_picture(example.image)
            self._session.paint_anew(*example.strokes)
