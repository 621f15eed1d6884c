"""Cells: a notebook's cell that is run again, or was deleted, lets go of the explorers that it showed before.

Panel does so when the notebook tells that an output is gone. JupyterLab 4.6 does not tell, so that each run of a cell
would leave a page behind. JupyterLab and VS Code name the cell that runs; elsewhere nothing is done.

In VS Code and Colab, Panel shows what it has through the package `jupyter_bokeh`, which must be installed beside it; it
notices both by itself when `pn.extension` is called. Colab gives each cell a page of its own, so that the cell with the
explorer has to call `pn.extension` too. Neither was tried with this version.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from panel.io.state import state

_shown: dict[str, tuple[str, list[str]]] = {}
"""Of each cell: the message that ran it last, and the names of the roots shown by it."""


def _running() -> tuple[str, str, list[str]]:
    """Return the cell that runs, the message that runs it and the cells deleted before; "" outside of a notebook."""
    with suppress(ImportError, LookupError, AttributeError):
        from IPython import get_ipython

        parent: Mapping[str, Any] = get_ipython().get_parent()
        about = parent["metadata"]
        return str(about["cellId"]), str(parent["header"]["msg_id"]), [str(i) for i in about.get("deletedCells") or ()]
    return "", "", []


def let_go(name: str) -> None:
    """Forget what was shown under a root's name, as Panel does where the notebook tells it to."""
    view, root, _document, _comm = state._views.pop(name, (None, None, None, None))
    if view is None:
        return
    for comm in view._comms.get(name) or ():  # they hold the view, also once it has closed them
        state._comm_manager._comms.pop(comm.id, None)
        if hasattr(comm, "manager"):
            comm.manager.targets.pop(comm.id, None)
    view._cleanup(root)


def shown(names: list[str]) -> None:
    """Say which roots the running cell shows now; those of its earlier runs, and of deleted cells, are let go of."""
    cell, message, deleted = _running()
    if not cell:
        return
    run, before = _shown.get(cell, ("", []))
    for each in deleted:
        for name in _shown.pop(each, ("", []))[1]:
            let_go(name)
    if run == message:  # shown twice in one run
        names = [*before, *(name for name in names if name not in before)]
    else:
        for name in before:
            let_go(name)
    _shown[cell] = (message, names)
