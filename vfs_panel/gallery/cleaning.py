"""What a notebook says, as HTML that cannot do anything: no script, no form, no picture or style from elsewhere.

The notebook's own code has run on this machine before, so this protects the people the pages are given to.
"""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nh3
from markdown_it import MarkdownIt
from pygments import highlight as coloured
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details", "div", "dl",
    "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li",
    "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "u", "ul", "var",
}  # fmt: skip
_ATTRIBUTES = {
    "*": {"title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
    "details": {"open"},
    "table": {"class"},
}
_GONE = {"script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "math", "textarea", "title"}
_SCHEMES = {"http", "https", "mailto", "data"}
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|avif|svg\+xml)[;,]", re.IGNORECASE)
_PICTURES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".svg": "svg+xml"}
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")

Link = Callable[[str], str | None]


def clean_html(html: str) -> str:
    """Return HTML of which only text, tables, links and embedded pictures are left.

    nh3, the allow-list cleaner of Ammonia, does it; bleach, which Jupyter uses, is no longer developed.
    """
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        clean_content_tags=_GONE,
        url_schemes=_SCHEMES,
        attribute_filter=_kept,
        link_rel="noopener noreferrer",
    )


def _kept(tag: str, attribute: str, value: str) -> str | None:
    """Keep what an attribute may hold: a picture is in the page itself, and a link leads to no data."""
    if attribute == "src":
        return value if _PICTURE.match(value.strip()) else None
    if attribute == "href":
        return None if value.strip().lower().startswith("data:") else value
    if attribute == "class":
        return value if value == "dataframe" else None
    return value


def markdown(text: str, *, folder: Path | None = None, attached: dict[str, Any] | None = None, link: Link = str) -> str:
    """Return Markdown as HTML; HTML in it is cleaned like any other.

    Parameters
    ----------
    text : str
    folder : Path, optional
        Where the notebook lies: pictures below it are put into the page.
    attached : dict, optional
        Pictures in the notebook, as `attachments` of its cell.
    link : callable
        Where a link is to lead; None takes it away.
    """
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                child.attrSet("src", _picture(str(child.attrGet("src") or ""), folder, attached or {}))
            elif child.type == "link_open":
                target = link(str(child.attrGet("href") or ""))
                child.attrs = {} if target is None else {**child.attrs, "href": target}
    return clean_html(parser.renderer.render(tokens, parser.options, {}))


def _picture(source: str, folder: Path | None, attached: dict[str, Any]) -> str:
    """Return a picture that Markdown names as a data URL, "" if it is not here."""
    if source.startswith("attachment:"):
        found = attached.get(source.removeprefix("attachment:"), {})
        media, data = next(iter(found.items()), ("", ""))
        return f"data:{media};base64,{''.join(data)}"
    kind = _PICTURES.get(Path(source).suffix.lower())
    if kind is None or folder is None or "://" in source:
        return source  # a data URL, or else what `clean_html` takes away
    file = (folder / unquote(source)).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return ""
    return f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def python(source: str) -> str:
    """Return Python code as HTML with classes for its colours."""
    return str(coloured(source, PythonLexer(), HtmlFormatter(nowrap=True))).rstrip("\n")


def plain_text(text: str) -> str:
    """Return text of a terminal as it looks in the end: without colours, and lines that were written over."""
    lines = _ANSI.sub("", text.replace("\r\n", "\n")).split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines).strip("\n")
