"""`vfs-panel export`: notebooks as pages to keep."""

from pathlib import Path
from typing import Annotated

import typer

from vfs_panel.cli.output import Report, note, progress


def export(
    notebooks: Annotated[list[Path], typer.Argument(help="Notebooks, or folders of them.", metavar="NOTEBOOK…")],
    out: Annotated[Path, typer.Option(help="Folder that gets a page for each, and an index.", metavar="FOLDER")],
    timeout: Annotated[float, typer.Option(help="Seconds that one cell may take.", min=1)] = 600.0,
) -> None:
    """Run notebooks, and write each as one page that needs no server and no network.

    The notebooks themselves stay as they are. Figures can be zoomed on the page; the explorer is shown as a still.
    """
    from contextlib import ExitStack

    from vfs_panel.gallery import export_gallery

    with ExitStack() as stack:
        reports: dict[str, Report] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in reports:
                stack.close()
                reports[name] = stack.enter_context(progress(f"Running {name}"))
            reports[name](done, total)

        pages = export_gallery(notebooks, out, timeout_s=timeout, progress=report)
    for page in pages:
        print(page)
    note(f"Open {pages[-1]} in a browser.")
