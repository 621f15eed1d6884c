"""Explorer: the whole page, for a browser tab and for a notebook cell alike."""

from typing import Any

import panel as pn

from vfs_panel.app.component import Part, web_text
from vfs_panel.app.matchesview import MatchesView
from vfs_panel.app.queryview import QueryView
from vfs_panel.app.session import Session
from vfs_panel.app.sources import Target, sources_of
from vfs_panel.app.topview import HeaderView, KeyView, ProblemView, StatusView

_TOKENS = web_text("tokens.css")


def box(*children: Any, name: str, classes: tuple[str, ...] = ()) -> pn.Column:
    """Return a plain container that the style sheet lays out by its class."""
    return pn.Column(*children, css_classes=[name, *classes], stylesheets=[_TOKENS], margin=0)


class Explorer(pn.viewable.Viewer):
    """The explorer as a Panel object: show it in a notebook, or serve it.

    Parameters
    ----------
    session : what it works on.
    page : whether it fills the browser's window.

    Attributes
    ----------
    state : SearchState, with the drawing and the latest result (an xarray Dataset).
    """

    def __init__(self, session: Session, *, page: bool = False, theme: str = "light") -> None:
        super().__init__()
        self.session, self.state = session, session.state
        self.state.theme = theme
        header, keys = HeaderView(session), KeyView(session, page=page)
        query, matches = QueryView(session, keys.over), MatchesView(session)
        keys.header = header
        main = box(
            box(*query.parts, name="vfs-query"), box(*matches.parts, ProblemView(session).part, name="vfs-work"),
            name="vfs-main",
        )  # fmt: skip
        self._frame = ("vfs-root", "page" if page else "inline")
        self._root = box(header.part, main, StatusView(session).part, name="vfs-root")
        for part in self._root.select(Part):
            part.on_trouble = session.trouble
        self._dress()
        self.state.param.watch(lambda *_: self._dress(), ["theme"])

    def _dress(self) -> None:
        self._root.css_classes = [*self._frame, *(["dark"] if self.state.theme == "dark" else [])]

    def __panel__(self) -> pn.Column:
        return self._root


def explore(target: Target, *, images: Any = None, model: Any = None, layer: str | None = None) -> Explorer:
    """Open the explorer on a feature store, a catalog entry or a whole catalog.

    Parameters
    ----------
    target : FeatureStore, CatalogEntry, Catalog, or the path of one.
    images : pictures of a store: an ImageDataset or their folder; by default the paths that the store holds.
    model : network of a store, for pictures from elsewhere: a name, an nn.Module or a Network.
    layer : the layer to show first.

    Returns
    -------
    Explorer
        Shows itself at the end of a notebook cell; `.servable()` and `pn.serve` put it on a page.

    Raises
    ------
    VFSError
        If the target is none of these or cannot be opened.
    """
    session = Session(sources_of(target, images=images, model=model), layer=layer)
    args = pn.state.session_args or {}
    asked = [value.decode() if isinstance(value, bytes) else str(value) for value in args.get("theme", [])]
    served = pn.state.curdoc is not None and pn.state.curdoc.session_context is not None
    return Explorer(session, page=served, theme="dark" if asked[-1:] == ["dark"] else "light")


__all__ = ["Explorer", "explore"]
