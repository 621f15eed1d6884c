"""The header: name, dataset, network, layer, where it runs, theme and help."""

from typing import Any

from vfs_panel.app.about import about
from vfs_panel.app.component import Part, script, web_text
from vfs_panel.app.session import Session
from vfs_panel.app.views.carry import Carry
from vfs_panel.app.views.offer import mark_of


class Header(Part):
    """Name, dataset, network, layer, tier, theme and help."""

    _esm = script("carry", "header")
    _stylesheets = [*Part._stylesheets, web_text("carry.css")]  # noqa: RUF012


class HeaderView:
    """Name, dataset, network, layer, where it runs, theme and help."""

    def __init__(self, session: Session, *, page: bool = False) -> None:
        self._session = session
        self._helps = self._abouts = 0
        self._counts: dict[tuple[str, str], int] = {}
        self.part = Header(on_do=self._do, margin=0)
        self._carry = Carry(session, self.part.show, page=page)
        names = ["dataset", "network", "layer", "problem", "status", "offer", "builds"]
        session.state.param.watch(self._show, names)
        self._show()

    def help(self) -> None:
        """Open or close the list of keys."""
        self._helps += 1
        self.part.show(help=self._helps)

    def _title(self, name: str) -> str:
        """Name a source with its number of pictures, once that is known."""
        source = self._session.sources[name]
        if name == self._session.state.dataset and self._session.engine is not None:
            self._counts[name, ""] = self._session.engine.store.n_images
        needed = mark_of(self._session, source)
        if needed:
            return f"{source.title} — {needed}"
        n = self._counts.get((name, ""))
        return f"{source.title}, {n:,} pictures" if n else source.title

    def _show(self, *_: Any) -> None:
        session, state = self._session, self._session.state
        source = session.source
        engine = session.engine
        fits = engine is not None and engine.layer == state.layer
        self.part.show(
            datasets=[[name, self._title(name)] for name in session.sources],
            dataset=state.dataset if state.offer is None else state.offer.dataset,
            networks=[
                *([name, name] for name in source.networks),
                *([name, f"{name} — not built"] for name in source.unbuilt),
            ],
            network=state.network,
            layers=[[name, name] for name in source.networks.get(state.network, [])],
            layer=state.layer,
            tier=f"Runs {engine.tier}" if engine is not None and fits else "",
            wrong=state.problem is not None,
        )

    def _do(self, msg: dict[str, Any]) -> None:
        session, value = self._session, str(msg.get("value", ""))
        match msg["do"]:
            case "dataset" if value == session.state.dataset and session.state.offer is not None:
                session.offers.withdraw()
            case "dataset" if value in session.sources:
                try:
                    session.open_dataset(value)
                finally:
                    self.part.param.trigger("view")  # a set that did not open is no longer chosen
            case "network":
                session.open_network(value)
                self.part.param.trigger("view")  # one that is only offered is not chosen
            case "layer":
                session.open_layer(value)
            case "theme":
                session.toggle_theme()
            case "about":
                self._about()
            case "tour":
                session.start_tour()
            case _:
                self._carry.do(msg)

    def _about(self) -> None:
        session, state = self._session, self._session.state
        source = session.offers.source or session.source
        said = about(source, session.store if source is session.source and source.ready else None, state.layer)
        self._abouts += 1
        self.part.show(about=[list(pair) for pair in said], about_title=source.title, abouts=self._abouts)
