"""The work column: first steps, matches, the large view of one, and the analysis of all."""

from vfs_panel.app.session import Session
from vfs_panel.app.views.analysis import AnalysisView
from vfs_panel.app.views.detail import DetailView
from vfs_panel.app.views.first import FirstView
from vfs_panel.app.views.matches import MatchesView
from vfs_panel.app.views.notices import ProblemView
from vfs_panel.app.views.offer import OfferView


class WorkView:
    """All parts of the work column, in order, as `parts`; and the `tour` over the whole page."""

    def __init__(self, session: Session) -> None:
        head, figure, selected = MatchesView(session).parts
        first, analysis, problem = FirstView(session), AnalysisView(session), ProblemView(session)
        self.tour = first.tour
        detail, offer = DetailView(session), OfferView(session)
        self.parts = (head, first.part, figure, detail.part, analysis.part, selected, problem.part, offer.part)
