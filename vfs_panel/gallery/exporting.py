"""Notebooks in, a folder of pages out. A page appears whole, or the one of before stays."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from vfs_panel.errors import ExportError

_INDEX = "index.html"


def export_gallery(
    notebooks: Iterable[Path],
    out: Path,
    *,
    timeout_s: float = 600.0,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Path]:
    """Run notebooks, and write each as one page, with an index of all pages in the folder.

    Parameters
    ----------
    notebooks : iterable of Path
        Notebooks, or folders of them.
    out : Path
        Folder of the pages; NAME.html for NAME.ipynb. Pages of earlier exports stay, and stay in the index.
    timeout_s : float
        For one cell.
    progress : callable, optional
        Called with a notebook's name, its cells done and its cells in all.

    Returns
    -------
    list of Path
        The pages written, the index last.

    Raises
    ------
    ExportError
        If there are no notebooks, a name stands twice, a package is missing, the folder cannot be written, or a
        notebook fails; the others are written nevertheless.
    """
    from vfs_panel.gallery.page import Card, card_of, index_page, notebook_page
    from vfs_panel.gallery.running import run_notebook

    files = _found(notebooks)
    pages = {file.name: f"{file.stem}.html" for file in files}
    written, failed = [], []
    for file in files:
        report = None if progress is None else _for(file.stem, progress)
        try:
            html = notebook_page(run_notebook(file, timeout_s=timeout_s, progress=report), file, pages)
        except ExportError as error:
            failed.append(str(error))
            continue
        written.append(_write(out / pages[file.name], html))
    there = {page.name: card_of(page) for page in sorted(out.glob("*.html"))} if out.is_dir() else {}
    # In the order asked for, and then those of earlier exports.
    order = [*pages.values(), *there]
    cards: dict[str, Card] = {}
    for name in order:
        card = there.get(name)
        if card is not None:
            cards[name] = card
    if cards:
        written.append(_write(out / _INDEX, index_page(cards)))
    if failed:
        more = f" ({len(failed) - 1} more did not run: {' '.join(failed[1:])})" if len(failed) > 1 else ""
        raise ExportError(f"{failed[0]}{more}")
    return written


def _found(notebooks: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in notebooks:
        if path.is_dir():
            files += sorted(path.glob("*.ipynb"))
        elif path.exists():
            files.append(path)
        else:
            raise ExportError(f"Notebook {path} does not exist. Give a notebook, or a folder of them.")
    if not files:
        raise ExportError("There is no notebook there. Give a file that ends in .ipynb, or a folder of such files.")
    for at, file in enumerate(files):
        same = next((other for other in files[:at] if other.stem == file.stem), None)
        if same is not None:
            raise ExportError(f"{same} and {file} would both become {file.stem}.html. Export them to two folders.")
        if file.stem == Path(_INDEX).stem:
            raise ExportError(f"{file} would become {_INDEX}, which leads to all pages. Give it another name.")
    return files


def _for(name: str, progress: Callable[[str, int, int], None]) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


def _write(page: Path, html: str) -> Path:
    part = page.with_name(f".{page.name}.part")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(html, "utf-8")
        os.replace(part, page)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise ExportError(f"{page} cannot be written: {error.strerror}. Choose another folder by --out.") from None
    return page
