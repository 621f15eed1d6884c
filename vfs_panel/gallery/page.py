"""One run notebook -> one page: a file with everything in it, which asks for nothing and runs only its own script."""

import base64
import io
import json
import re
import secrets
from dataclasses import asdict, dataclass
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from PIL import Image, ImageOps

from vfs_panel import __version__
from vfs_panel.gallery.cleaning import markdown, python
from vfs_panel.gallery.figures import dark_colours, names_in, scripts_for
from vfs_panel.gallery.outputs import Found, outputs_html

if TYPE_CHECKING:
    from nbformat import NotebookNode

_WEB = Path(__file__).with_name("web")
_CARD = re.compile(r'<script type="application/json" id="card">(.*?)</script>', re.DOTALL)
_HEAD_CHARS = 400_000  # of a page, in which its card stands
_CARD_PX = (480, 360)
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True, slots=True)
class Card:
    """What the index says of a page.

    Attributes
    ----------
    title, about : as text.
    picture : data URL, "" for none.
    """

    title: str
    about: str
    picture: str


def notebook_page(notebook: "NotebookNode", path: Path, pages: dict[str, str]) -> str:
    """Return the page of a notebook that was run.

    Parameters
    ----------
    notebook : with its outputs.
    path : its file: pictures beside it are put into the page.
    pages : notebooks' file names -> their pages' names, so that links between notebooks lead to pages.
    """
    found, body = Found(), []

    def link(target: str) -> str | None:
        if re.match(r"(https?:|mailto:|#)", target, re.IGNORECASE):
            return target
        file, _, place = target.partition("#")
        page = pages.get(Path(file).name)
        return None if page is None else f"{page}{'#' + place if place else ''}"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            attached = cell.get("attachments", {})
            html = markdown(cell.source, folder=path.parent, attached=attached, link=link)
            body.append(f"<div class=prose>{html}</div>")
        elif cell.cell_type == "code":
            body.append(_code(cell, found))
    prose = "".join(part for part in body if part.startswith("<div class=prose>"))
    card = Card(_first("h1", prose) or path.stem.replace("_", " "), _first("p", prose), _small(found.picture))
    return _filled(card, "\n".join(body), found.figures)


def _code(cell: Any, found: Found) -> str:
    source = cell.source.strip("\n")
    n_lines = len(source.splitlines())
    folded = (
        f"<details class=code><summary>Code<span>{n_lines} {'line' if n_lines == 1 else 'lines'}</span></summary>"
        f"<pre>{python(source)}</pre></details>"
        if source
        else ""
    )
    outputs = outputs_html(cell.outputs, found)
    return f"{folded}{f'<div class=outputs>{outputs}</div>' if outputs else ''}"


def _first(tag: str, html: str) -> str:
    """Return the text of the first element of a kind."""
    found = re.search(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)
    return " ".join(unescape(_TAG.sub("", found[1])).split()) if found else ""


def _small(url: str) -> str:
    """Return a picture as a small one."""
    if not url:
        return ""
    try:
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as opened:
            picture = opened.convert("RGBA")
            picture.thumbnail((2 * _CARD_PX[0], _CARD_PX[1]), Image.Resampling.LANCZOS)
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture.getchannel("A"))
    if paper.getpixel((0, 0)) == paper.getpixel((paper.width - 1, paper.height - 1)) == (255, 255, 255):
        # A drawing on white is shown whole, a photograph fills the card.
        paper = ImageOps.pad(paper, _CARD_PX, color="white", method=Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    paper.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def card_of(page: Path) -> Card | None:
    """Return what a page of an earlier export says of itself, None if it is no such page."""
    try:
        with open(page, encoding="utf-8") as file:
            found = _CARD.search(file.read(_HEAD_CHARS))
        values = json.loads(found[1]) if found else None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            return None
        return Card(**values)
    except (OSError, ValueError, TypeError):
        return None


def index_page(cards: dict[str, Card]) -> str:
    """Return the page that leads to the others.

    Parameters
    ----------
    cards : by the pages' file names, in their order.
    """
    items = "".join(
        f'<li><a href="{escape(quote(name))}">{_card_picture(card)}<b>{escape(card.title)}</b>'
        f"<span>{escape(card.about)}</span></a></li>"
        for name, card in cards.items()
    )
    return _filled(Card("Notebooks", "", ""), f"<h1>Notebooks</h1><ul class=cards>{items}</ul>", [], index=True)


def _card_picture(card: Card) -> str:
    # Only what `_small` makes: a page in the folder may have been written by anyone.
    if re.fullmatch(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", card.picture):
        return f'<img src="{card.picture}" alt="">'
    return "<i></i>"


def _filled(card: Card, body: str, figures: list[dict[str, Any]], *, index: bool = False) -> str:
    """Return a whole page. Its scripts bear a nonce that nothing in the notebook can know."""
    nonce = secrets.token_urlsafe(18)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    scripts = [file.read_text("utf-8") for file in scripts_for(names_in(figures))] if figures else []
    scripts.append((_WEB / "page.js").read_text("utf-8"))
    run = "\n".join(f'<script nonce="{nonce}">{_in_script(script)}</script>' for script in scripts)
    data = {"figures": figures, "dark": dark_colours() if figures else {}}
    kept = "" if index else f'<script type="application/json" id="card">{_json(asdict(card))}</script>\n'
    back = "<span></span>" if index else '<a href="index.html">All notebooks</a>'
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="vfs_panel {escape(__version__)}">
<title>{escape(card.title)}</title>
{kept}<style>{(_WEB / "page.css").read_text("utf-8")}</style>
</head>
<body class="{"index" if index else "notebook"}">
<header>{back}<button type="button" id="theme" hidden>Dark</button></header>
<main>
{body}
</main>
<footer>Made by vfs_panel {escape(__version__)}. {"" if index else "To try it yourself, run the notebook."}</footer>
<script type="application/json" id="data">{_json(data)}</script>
{run}
</body>
</html>
"""


def _json(value: Any) -> str:
    """Return JSON that ends no script element, whatever is in it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _in_script(script: str) -> str:
    """Return a script that holds nothing that would end its element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
