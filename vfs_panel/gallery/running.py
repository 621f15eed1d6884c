"""Runs a notebook in a kernel of its own, which hands figures over as data instead of as scripts."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vfs_panel.errors import ExportError

if TYPE_CHECKING:
    from nbformat import NotebookNode

Progress = Callable[[int, int], None]

_FIRST = "from vfs_panel.gallery.kernel import show_as_data\nshow_as_data()\ndel show_as_data"
_INSTALL = 'Notebooks are run by nbclient, which is not installed. Run: pip install "vfs_panel[gallery]"'


def read_notebook(path: Path) -> "NotebookNode":
    """Read a notebook of any version, as one of version 4.

    Raises
    ------
    ExportError
        If it does not exist or is none, or nbformat is not installed.
    """
    try:
        import nbformat
    except ImportError:
        raise ExportError(_INSTALL) from None
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError as error:
        raise ExportError(f"Notebook {path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # what is no notebook fails in many ways
        raise ExportError(f"{path} is no notebook that can be read: {str(error).splitlines()[0][:200]}.") from None
    return notebook


def run_notebook(path: Path, *, timeout_s: float, progress: Progress | None = None) -> "NotebookNode":
    """Run a notebook from top to bottom, in its own folder, and return it with its outputs. The file stays as it is.

    Parameters
    ----------
    path : Path
    timeout_s : float
        For one cell.
    progress : callable, optional
        Called with cells done and cells in all.

    Raises
    ------
    ExportError
        If a cell fails or takes too long, or what runs notebooks is not installed.
    """
    notebook = read_notebook(path)
    try:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
        from nbformat.v4 import new_code_cell
        from traitlets.config import Config
    except ImportError:
        raise ExportError(_INSTALL) from None
    n_cells = len(notebook.cells)

    def done(*, cell_index: int, **_: Any) -> None:
        if progress is not None and cell_index:
            progress(cell_index, n_cells)

    notebook.cells.insert(0, new_code_cell(_FIRST))
    try:
        with tempfile.TemporaryDirectory(prefix="vfs-") as private:
            # Sockets in a folder of ours, where there are such: others on this machine could listen to TCP.
            way = {} if os.name == "nt" else {"transport": "ipc", "ip": f"{private}/kernel"}
            client = NotebookClient(
                notebook,
                kernel_name="python3",
                config=Config({"ConnectionFileMixin": way}),
                timeout=timeout_s,
                on_cell_executed=done,
                resources={"metadata": {"path": str(path.resolve().parent)}},
            )
            asyncio.run(client.async_execute())
    except RuntimeError as error:
        raise ExportError(f"No kernel could be started for {path.name}: {error}. Is Jupyter's python3 there?") from None
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        number = _stopped_at(notebook)
        where = f"cell {number} of {n_cells}"
        if isinstance(error, CellTimeoutError):
            raise ExportError(
                f"{path.name} takes more than {timeout_s:g} s in {where}. Give it more by --timeout."
            ) from None
        if isinstance(error, DeadKernelError):
            raise ExportError(f"The kernel of {path.name} died in {where}; there may be too little memory.") from None
        what = f"{error.ename}: {error.evalue}".splitlines()[0][:300]
        if number == 0:
            raise ExportError(
                f"The notebooks' kernel has no vfs_panel ({what}). Install it where Jupyter runs its kernels."
            ) from None
        raise ExportError(f"{path.name} stops in {where}: {what}. Mend it, and export again.") from None
    del notebook.cells[0]
    return notebook


def _stopped_at(notebook: "NotebookNode") -> int:
    """Return which cell was the last that began, counted from 1; 0 for ours."""
    begun = [at for at, cell in enumerate(notebook.cells) if cell.get("metadata", {}).get("execution")]
    return begun[-1] if begun else 0
