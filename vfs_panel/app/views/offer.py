"""Offers: what is not built yet, in place of the matches; and the builds of the server, in the status line."""

from typing import Any

from vfs_panel.app import builds, shared
from vfs_panel.app.builds import BUILDS, Build
from vfs_panel.app.component import Part, script, web_text
from vfs_panel.app.offering import mark, offer_view, progress_view
from vfs_panel.app.session import Session
from vfs_panel.app.sources import Source
from vfs_panel.app.turns import Aside
from vfs_panel.catalog.schema import DemoPictures
from vfs_panel.errors import VFSError


class OfferPanel(Part):
    """What an entry shows and needs, its building, and the other entries."""

    _esm = script("offer")
    _stylesheets = [*Part._stylesheets, web_text("offer.css")]  # noqa: RUF012


class OfferView:
    """The panel in place of the matches, as `part`.

    Parameters
    ----------
    session : what it works on.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._counted: dict[str, int] = {}
        self._aside = Aside(session)
        self.part = OfferPanel(on_do=self._do, margin=0, css_classes=["vfs-offer"], visible=False)
        session.state.param.watch(self._show, ["offer", "builds"])
        session.on_resize.append(self._show)  # the page is there: it may have missed news
        self._show()

    def _show(self, *_: Any) -> None:
        session, offers = self._session, self._session.offers
        source, offer = offers.source, session.state.offer
        self.part.visible = offer is not None
        if source is None or offer is None:
            self.part.show(offer=None)
            return
        needs, state = offers.needs(source), session.state
        back = session.sources[state.dataset].title if state.picture and state.dataset in session.sources else ""
        same = state.dataset == source.name and bool(state.picture)
        view = offer_view(
            source,
            offer,
            needs,
            pictures=self._counted.get(source.key, 0),
            allowed=builds.allowed(),
            back=state.network if same else back,
        )
        build = offers.build_of(source)
        if build is not None and build.phase == "done" and not self._opens(source):
            build = None  # of another network, or of files that are gone again
        self.part.show(
            offer=view,
            build=progress_view(build, offers.owner, _ahead(build)),
            opens=self._opens(source),
            others=[
                [name, each.title, mark_of(session, each)]
                for name, each in session.sources.items()
                if name != source.name and each.entry is not None
            ],
        )
        if needs.step == "build" and source.key not in self._counted:
            self._count(source)

    def _opens(self, source: Source) -> bool:
        offer = self._session.state.offer
        if offer is None or offer.again:
            build = self._session.offers.build_of(source)
            return build is not None and build.again and build.phase == "done"
        return source.ready and (offer.network or next(iter(source.networks))) in source.networks

    def _count(self, source: Source) -> None:
        """Count the pictures in another thread; a demo set is not drawn for that."""
        entry = source.entry
        if entry is None or isinstance(entry.pictures, DemoPictures):
            return
        self._counted[source.key] = 0

        def count() -> int:
            try:
                return len(shared.images_of(source))
            except VFSError:  # said when it is built
                return 0

        def counted(found: int) -> None:
            self._counted[source.key] = found
            self._show()

        self._aside.start(count, counted)

    def _do(self, msg: dict[str, Any]) -> None:
        session, offers = self._session, self._session.offers
        source, name = offers.source, str(msg.get("name", ""))
        match msg["do"]:
            case "build":
                offers.start()
            case "cancel" if source is not None:
                offers.cancel(source.name, sure=msg.get("sure") is True)
            case "open" if source is not None:
                offers.open(source.name)
            case "look" if source is not None and session.state.offer is not None:
                offers.offer(source.name, session.state.offer.network)
                session.state.builds += 1
                if self._opens(offers.source or source):
                    offers.open(source.name)
            case "back":
                offers.withdraw()
            case "other" if name in session.sources:
                session.open_dataset(name)


def mark_of(session: Session, source: Source) -> str:
    """Say in a few words what a source needs; "" if it can be searched."""
    return "" if source.ready else mark(session.offers.needs(source), session.offers.build_of(source))


def _ahead(build: Build | None) -> int:
    """Count the builds that come before one."""
    active = [each for each in BUILDS.all() if each.is_active]
    return active.index(build) if build in active else 0


def news(session: Session) -> dict[str, Any] | None:
    """Return what the status line says of builds: the one that runs, or what became of the page's own."""
    offers = session.offers
    names = {source.entry.file: source.name for source in session.sources.values() if source.entry is not None}
    over = offers.mine()
    build = over or next((each for each in BUILDS.all() if each.is_active and each.phase != "waiting"), None)
    if build is None or build.file not in names:
        return None
    offer = session.state.offer
    if offer is not None and names[build.file] == offer.dataset:
        return None  # the panel says it
    view = progress_view(build, offers.owner, 0)
    return None if view is None else {**view, "name": names[build.file]}
