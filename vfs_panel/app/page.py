"""Page: the explorer as a server shows it, on the catalog as it is when the page is opened or reloaded."""

from collections.abc import Callable

import panel as pn

from vfs_panel.app.component import Part, script
from vfs_panel.app.explorer import Explorer, explore
from vfs_panel.app.panes import box
from vfs_panel.catalog import Catalog
from vfs_panel.errors import VFSError


class Sentence(Part):
    """A page that has nothing to explore, and says why."""

    _esm = script("sentence")


def page(find: Callable[[], Catalog]) -> Explorer | pn.Column:
    """Return the explorer of a catalog, read anew; or a page with a sentence, where there is nothing to explore.

    Parameters
    ----------
    find : opens the catalog.
    """
    try:
        catalog = find()
        if catalog:
            return explore(catalog)
        return _sentence("The catalog is empty", _EMPTY, [str(problem) for problem in catalog.problems])
    except VFSError as error:
        return _sentence("The catalog cannot be opened", str(error), [])


_EMPTY = (
    "It has no entry that can be used. Add one with: vfs-panel catalog add FOLDER, or put its YAML file into the "
    "catalog’s folder; then reload this page."
)


def _sentence(title: str, text: str, problems: list[str]) -> pn.Column:
    part = Sentence(margin=0)
    part.show(title=title, text=text, problems=problems)
    dark = (pn.state.session_args or {}).get("theme", [b""])[-1] == b"dark"
    return box(part, classes=("vfs-root", "page", *(["dark"] if dark else [])))


__all__ = ["page"]
