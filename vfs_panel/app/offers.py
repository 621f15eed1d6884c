"""Offers of one session: catalog entries that cannot be searched yet, and their building, as its page shows them."""

import asyncio
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from vfs_panel.app import builds, shared
from vfs_panel.app.builds import BUILDS, Build
from vfs_panel.app.sources import Source, in_order, source_of
from vfs_panel.app.state import Offer
from vfs_panel.app.turns import take_turn
from vfs_panel.app.words import Status
from vfs_panel.catalog import Needs
from vfs_panel.catalog.earlier import why_anew
from vfs_panel.errors import VFSError

MOST_WARMED = 6

if TYPE_CHECKING:
    from vfs_panel.app.session import Session


class Offers:
    """What a session can do with entries that are not built: look at one, build it, follow it, open it.

    Whoever asked for a build may stop it at once; anybody else who sees it may too, but is asked first. Nothing is
    lost by it: the next build goes on where it was.

    Attributes
    ----------
    owner : tells this session from others.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.owner = secrets.token_hex(8)
        self._asked: set[Path] = set()  # of this session, and not opened yet
        self._known: dict[Path, tuple[str, tuple[str, ...]]] = {}
        self._needs: dict[tuple[str, str], Needs] = {}
        self._coming = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # nobody follows: a script, or a test
            self._loop = None
        BUILDS.listen(self._heard)
        session.on_publish.append(self._first_shown)

    # --- what is offered ----------------------------------------------------------------------------------------

    @property
    def source(self) -> Source | None:
        """The source that is offered."""
        offer = self._session.state.offer
        return None if offer is None else self._session.sources.get(offer.dataset)

    def network_of(self, source: Source) -> str:
        """Return the network that an offer is about: the one that was chosen, or the first that is not built."""
        offer = self._session.state.offer
        if offer is not None and offer.dataset == source.name and offer.network:
            return offer.network
        return source.unbuilt[0] if source.ready and source.unbuilt else next(iter(source.networks))

    def needs(self, source: Source) -> Needs:
        """Return what a source's entry needs; looked up again by `refresh` alone."""
        assert source.entry is not None
        network = self.network_of(source)
        if (source.name, network) not in self._needs:
            self._needs[source.name, network] = source.entry.needs(network)
        return self._needs[source.name, network]

    def build_of(self, source: Source) -> Build | None:
        """Return the latest build of a source's entry."""
        return None if source.entry is None else BUILDS.of(source.entry.file)

    def _first_shown(self, _: object) -> None:
        """Once the first set is there, open the others ahead of time, one after the other."""
        session = self._session
        session.on_publish.remove(self._first_shown)
        others = [each for each in session.sources.values() if each.ready and each is not session.source]
        if self._loop is not None:
            for source in others[:MOST_WARMED]:
                shared.ASIDE.submit(shared.warm, source)

    def refresh(self, name: str) -> None:
        """Look again whether a source can be searched, as it may have been built meanwhile, here or elsewhere."""
        session = self._session
        source = session.sources[name]
        if source.entry is None:
            return
        self._needs = {key: needs for key, needs in self._needs.items() if key[0] != name}
        fresh = source_of(source.entry)
        if (fresh.key, fresh.ready, fresh.unbuilt) != (source.key, source.ready, source.unbuilt):
            session.sources = in_order([fresh if each.name == name else each for each in session.sources.values()])
            session.state.builds += 1
            if name == session.state.dataset and session.state.picture:
                session.kick()  # what runs is of a source that is no longer there

    def offer(self, name: str, network: str = "", *, reason: str = "", again: bool = False) -> None:
        """Show what an entry needs, in place of the matches; what is open stays open beside it."""
        session, state = self._session, self._session.state
        self.refresh(name)
        source = session.sources[name]
        if source.entry is None:
            return
        if not state.picture:  # nothing is open beside it
            first = next(iter(source.networks))
            state.param.update(dataset=name, network=first, layer=source.first_layer(first))
        if not reason and not again:
            reason = why_anew(source.entry, network or next(iter(source.networks)))
        status = Status("Not opened.", f"{source.title}{f' by {network}' if network else ''} cannot be searched yet.")
        state.param.update(offer=Offer(name, network, reason, again), problem=None, status=status)

    def offer_anew(self, name: str, reason: str) -> bool:
        """Offer a source whose features do not serve, or are gone; returns whether building can mend that."""
        self.refresh(name)
        source = self._session.sources[name]
        if source.entry is None or source.entry.network(next(iter(source.networks))).features is not None:
            return False
        if source.ready:
            self.offer(name, reason=re.split(r" (?:Build it anew|Run): ", reason)[0], again=True)
        else:
            self.offer(name)
        return True

    def withdraw(self) -> None:
        """Show the matches again."""
        if self._session.state.offer is not None and self._session.state.picture:
            self._session.state.offer = None
            self._session.kick()

    # --- building -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Build what is offered.

        Raises
        ------
        VFSError
            If pages may not build here; the message says the command.
        """
        source, offer = self.source, self._session.state.offer
        if source is None or source.entry is None or offer is None:
            return
        if not builds.allowed():
            raise VFSError(f"Nothing is built from this page. In a terminal, run: {self.needs(source).command}")
        missing = list(source.unbuilt) if source.ready else list(source.networks)
        networks = [offer.network] if offer.network else missing or list(source.networks)
        self._asked.add(source.entry.file)
        BUILDS.ask(source.entry.file, source.title, networks, owner=self.owner, again=offer.again)

    def cancel(self, name: str, *, sure: bool) -> None:
        """Stop the build of an entry; one that somebody else asked for only where the person is `sure`."""
        source = self._session.sources.get(name)
        build = None if source is None else self.build_of(source)
        if build is not None and (sure or build.owner == self.owner):
            BUILDS.cancel(build.file)

    def open(self, name: str) -> None:
        """Open a source that was built."""
        session = self._session
        source = session.sources.get(name)
        if source is None or source.entry is None:
            return
        build, offer = self.build_of(source), session.state.offer
        self._asked.discard(source.entry.file)
        self.refresh(name)
        source = session.sources[name]
        network = offer.network if offer is not None and offer.dataset == name else ""
        if not source.ready or (network and network not in source.networks):
            self.offer(name, network)
        elif name != session.state.dataset or not session.state.picture:
            session.open_dataset(name, network=network)
        else:
            session.state.offer = None
            session.open_network(network or (build.networks[0] if build is not None else ""))
        session.state.builds += 1

    def mine(self) -> Build | None:
        """Return the build that this session asked for and has not opened, once it is over."""
        asked = [build for build in BUILDS.all() if build.file in self._asked]
        return next((build for build in asked if build.phase in ("done", "failed")), None)

    def dismiss(self) -> None:
        """Say no more of what is over."""
        build = self.mine()
        if build is not None:
            self._asked.discard(build.file)
            self._session.state.builds += 1

    # --- following ----------------------------------------------------------------------------------------------

    def _heard(self) -> None:
        """Bring the news to the page; called from any thread."""
        document = self._session.document
        if self._loop is None or document is None or self._coming or self._loop.is_closed():
            return
        self._coming = True

        async def bring() -> None:
            try:
                await take_turn(document, self.follow)
            finally:
                self._coming = False

        asyncio.run_coroutine_threadsafe(bring(), self._loop)

    def follow(self) -> None:
        """Take in what has changed with the builds."""
        self._coming = False
        offer = self._session.state.offer
        for build in BUILDS.all():
            now = (build.phase, build.built)
            if self._known.get(build.file) == now:
                continue
            self._known[build.file] = now
            if build.again and build.phase == "done":
                shared.forget()
            for source in list(self._session.sources.values()):
                if source.entry is not None and source.entry.file == build.file:
                    self.refresh(source.name)
                    if build.phase == "done" and offer is not None and offer.dataset == source.name:
                        self._session.state.status = Status("Built.", f"{source.title} can be searched now.")
        self._session.state.builds += 1
