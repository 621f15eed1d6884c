"""Explorer: the whole page, for a browser tab and for a notebook cell alike."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import panel as pn

from vfs_panel.app import links, notebook
from vfs_panel.app.component import Part
from vfs_panel.app.live import live_store
from vfs_panel.app.panes import box, offline
from vfs_panel.app.remembered import Remembered, reopen
from vfs_panel.app.session import Session
from vfs_panel.app.sources import Target, is_network, sources_of
from vfs_panel.app.state import MOST_K, TABS
from vfs_panel.app.views.header import HeaderView
from vfs_panel.app.views.keys import KeyView
from vfs_panel.app.views.notices import StatusView
from vfs_panel.app.views.query import QueryView
from vfs_panel.app.views.work import WorkView
from vfs_panel.app.words import UPLOAD_GONE
from vfs_panel.errors import VFSError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.opening import open_images
from vfs_panel.models import Network, load_network

if TYPE_CHECKING:
    from torch import nn


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
        header, keys = HeaderView(session, page=page), KeyView(session, page=page)
        query, work = QueryView(session, keys.over), WorkView(session)
        keys.header, self._keys = header, keys
        self._work = box(*work.parts, classes=("vfs-work",))
        self._query = box(*query.parts, classes=("vfs-query",))
        main = box(self._query, self._work, classes=("vfs-main",))
        self._frame = ("vfs-root", "page" if page else "inline")
        self._root = box(header.part, main, StatusView(session, page=page).part, work.tour, hooks=[offline])
        for part in self._root.select(Part):
            part.on_trouble = session.trouble
        self._dress()
        self.state.param.watch(lambda *_: self._dress(), ["theme", "offer"])

    def _dress(self) -> None:
        offering = ["offering"] if self.state.offer is not None else []
        self._work.css_classes, self._query.css_classes = ["vfs-work", *offering], ["vfs-query", *offering]
        self._root.css_classes = [*self._frame, *(["dark"] if self.state.theme == "dark" else [])]

    def __panel__(self) -> pn.Column:
        return self._root

    def show(self, *args: Any, **options: Any) -> Any:
        """Open it on a page of its own, as every Viewer does; all who open that page see and change the same."""
        self._frame = ("vfs-root", "page")
        self._dress()
        self._keys.fill_page()
        return super().show(*args, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """Show it in a notebook's cell, in place of what that showed before."""
        known = set(self._root._models)
        bundle = super()._repr_mimebundle_(include, exclude)
        notebook.shown([name for name in self._root._models if name not in known])
        return bundle


def explore(
    target: "Target | nn.Module | Network",
    images: Any = None,
    *,
    model: Any = None,
    layer: str | None = None,
    layers: Sequence[str] | None = None,
    tab: str | None = None,
    view: str | Path | None = None,
) -> Explorer:
    """Open the explorer on a network and some pictures, a feature store, a catalog entry or a whole catalog.

    `explore(network, images)` computes the features of a few hundred pictures at once and keeps them in memory alone.

    Parameters
    ----------
    target : an nn.Module, a Network or the name of one; or a FeatureStore, CatalogEntry, Catalog, or the path of one.
    images : the pictures of a network, or of a store: an ImageDataset or what `open_images` opens; by default the paths
        that the store holds.
    model : network of a store, for pictures from elsewhere: a name, an nn.Module or a Network.
    layer : the layer to show first.
    layers : of a network, names or patterns; by default the last ones of its three coarsest grids.
    tab : of the analysis, one of `state.TABS`, to show first; a page's address may ask for another, as ?tab=compare.
    view : what to open: the name that Share copies in a notebook, or the file of a saved session. A page's address may
        ask for another.

    Returns
    -------
    Explorer
        Shows itself at the end of a notebook cell; `.servable()` and `pn.serve` put it on a page.

    Raises
    ------
    VFSError
        If the target is none of these or cannot be opened, or the view cannot be read.
    """
    if is_network(target, images):
        network = load_network(target)  # type: ignore[arg-type]
        images = images if isinstance(images, ImageDataset) else open_images(images)
        target, model = live_store(network, images, layers), network
    opened = cast("Target", target)
    session = Session(sources_of(opened, images=images, model=model), layer=layer)
    args = pn.state.session_args or {}

    def asked(name: str) -> str:
        """Return what the page's address says, the last of several."""
        values = [value.decode() if isinstance(value, bytes) else str(value) for value in args.get(name, [])]
        return values[-1] if values else ""

    if view is not None and not asked("view"):
        _reopen(session, links.find_or_read(view))
    _open_asked(session, asked, tab)
    served = pn.state.curdoc is not None and pn.state.curdoc.session_context is not None
    if served:
        # A lost connection is for the status line to tell of and to mend. Bokeh's own way back would show the documents
        # of a restarted server under the words of the old page.
        pn.state.curdoc.config.update(reconnect_session=False, notify_connection_status=False, notifications=None)
    return Explorer(session, page=served, theme="dark" if asked("theme") == "dark" else "light")


def _reopen(session: Session, document: Remembered) -> None:
    missing = reopen(session, document)
    if missing:
        session.announce(" ".join(missing))


def _open_asked(session: Session, asked: Callable[[str], str], tab: str | None) -> None:
    """Open what the page's address asks for, as far as it can be had."""
    if asked("view"):
        try:
            _reopen(session, links.find(asked("view")))
        except VFSError as error:
            session.announce(f"{error} The rest of the link is opened.")
    elif asked("dataset") in session.sources and asked("dataset") != session.state.dataset:
        session.open_dataset(asked("dataset"))
    if asked("gone") == "upload":
        session.announce(UPLOAD_GONE)
    if not asked("view") and session.state.offer is None:
        session.open_network(asked("network"))
        session.open_layer(asked("layer"))
    first = [name for name in (asked("tab"), tab) if name in TABS]
    if first:
        session.open_tab(str(first[0]))
    with suppress(VFSError):
        if session.state.offer is None and asked("picture") in session.store.pictures_index.ids:
            session.open_picture(asked("picture"))
    if asked("k").isdigit() and 1 <= int(asked("k")) <= MOST_K:
        session.set_matches(k=int(asked("k")))


__all__ = ["Explorer", "explore"]
