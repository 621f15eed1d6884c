"""Outputs of a cell -> HTML, whatever kind they are; of several forms of one output, the richest that is safe."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vfs_panel.gallery.cleaning import clean_html, markdown, plain_text
from vfs_panel.gallery.figures import clean_figure
from vfs_panel.gallery.kernel import MEDIA
from vfs_panel.plots.text import plain, score_text

_PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
_URL = r"^data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/=]+$"
_VISIBLE = re.compile(r"<(?:img|hr|table)\b|[^\s<>](?![^<>]*>)")
_LIVE = {
    "explorer": "The explorer needs a running kernel: open the notebook to paint. This is what it shows.",
    "controls": "These controls need a running kernel: open the notebook to use them.",
}
_LEFT_OUT = "This figure needs a running kernel, or carries script of its own: open the notebook to see it."


class _Painted(BaseModel):
    model_config = ConfigDict(extra="forbid")
    url: str = Field(pattern=_URL)
    name: str


class _Match(_Painted):
    rank: int
    score: float
    label: str
    domain: str
    colour: int


class _Matches(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    about: str
    query: _Painted
    matches: list[_Match] = Field(max_length=200)


@dataclass
class Found:
    """What a page's outputs need beside their HTML.

    Attributes
    ----------
    figures : Bokeh's items, in the order in which the HTML refers to them.
    picture : data URL of the first picture, for the index; "" for none.
    """

    figures: list[dict[str, Any]] = field(default_factory=list)
    picture: str = ""


def outputs_html(outputs: list[Any], found: Found) -> str:
    """Return a code cell's outputs as HTML; "" if they show nothing.

    Parameters
    ----------
    outputs : as nbformat has them.
    found : takes what the page needs to draw them.
    """
    return "\n".join(html for output in _joined(outputs) for html in _output(output, found) if html)


def _joined(outputs: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the outputs, with pieces of one stream as one."""
    held: dict[str, Any] | None = None
    for output in outputs:
        if output["output_type"] != "stream":
            if held is not None:
                yield held
            held = None
            yield output
        elif held is not None and held["name"] == output["name"]:
            held["text"] += _text(output["text"])
        else:
            if held is not None:
                yield held
            held = {"output_type": "stream", "name": output["name"], "text": _text(output["text"])}
    if held is not None:
        yield held


def _output(output: dict[str, Any], found: Found) -> Iterator[str]:
    kind = output["output_type"]
    if kind == "stream":
        text = plain_text(output["text"])
        if text and output["name"] == "stderr":
            yield f"<details class=messages><summary>Messages</summary><pre>{escape(text)}</pre></details>"
        elif text:
            yield f"<pre class=out>{escape(text)}</pre>"
    elif kind == "error":  # of a cell that may fail
        yield f"<pre class='out error'>{escape(plain_text(output['ename'] + ': ' + output['evalue']))}</pre>"
    else:
        yield from _rich(output.get("data", {}), found)


def _rich(data: dict[str, Any], found: Found) -> Iterator[str]:
    """Yield the richest form of an output that is safe; scripts, and what only scripts would fill, give nothing."""
    if MEDIA in data:
        parts = data[MEDIA]
        for part in parts if isinstance(parts, list) else []:
            yield _part(part, found)
        return
    for media in _PICTURES:
        if media in data:
            yield _picture(media, _text(data[media]), _text(data.get("text/plain", "")), found)
            return
    if "text/html" in data:
        html = clean_html(_text(data["text/html"]))
        yield f"<div class=rich>{html}</div>" if _VISIBLE.search(html) else ""
    elif "text/markdown" in data:
        yield f"<div class=rich>{markdown(_text(data['text/markdown']))}</div>"
    elif set(data) <= {"text/plain", "text/latex"} and "text/plain" in data:
        yield f"<pre class=out>{escape(plain_text(_text(data['text/plain'])))}</pre>"


def _picture(media: str, content: str, words: str, found: Found) -> str:
    """Return a picture as one of the page's own; a drawing shown so runs no script of its own."""
    if media == "image/svg+xml":
        data = base64.b64encode(content.encode()).decode()
    else:
        data = re.sub(r"[^A-Za-z0-9+/=]", "", content)
    url = f"data:{media};base64,{data}"
    if media != "image/svg+xml":
        found.picture = found.picture or url
    said = "" if re.fullmatch(r"<.*>", words, re.DOTALL) else words
    return f'<p class=picture><img src="{url}" alt="{escape(said or "Picture that the code above draws")}"></p>'


def _part(part: Any, found: Found) -> str:
    """Return one part that the kernel wrote; it is checked, as anything may have written it."""
    kind, value = next(iter(part.items())) if isinstance(part, dict) and len(part) == 1 else ("", None)
    if kind == "live":
        return f"<p class=live>{_LIVE.get(str(value), _LIVE['controls'])}</p>"
    if kind in ("markdown", "html"):
        return f"<div class=rich>{(markdown if kind == 'markdown' else clean_html)(str(value))}</div>"
    if kind == "figure":
        return _figure(value, found)
    try:
        return _matches(_Matches.model_validate(value), found) if kind == "matches" else ""
    except ValidationError:
        return ""


def _figure(value: Any, found: Found) -> str:
    figure = clean_figure(value)
    if figure is None:
        return f"<p class=live>{_LEFT_OUT}</p>"
    found.figures.append(figure)
    return f"<div class=figure data-figure={len(found.figures) - 1} role=img aria-label='Figure'></div>"


def _matches(shown: _Matches, found: Found) -> str:
    found.picture = shown.query.url  # says more of a notebook than any other picture
    tiles = "".join(_tile(match) for match in shown.matches)
    about = f"<b>{escape(shown.about)}</b> " if shown.about else ""
    return (
        f'<section class=matches aria-label="Matches"><figure class=query><img src="{shown.query.url}" '
        f'alt="The painted picture {escape(shown.query.name)}"><figcaption><b>Query</b><span>{about}'
        f"{escape(shown.query.name)}</span></figcaption></figure><ol>{tiles}</ol>"
        f"<p class=source>{escape(shown.title)}</p></section>"
    )


def _tile(match: _Match) -> str:
    dot = f"<i class=d{match.colour if 0 <= match.colour <= 3 else 'x'}></i>" if match.domain else ""
    words = ", ".join(plain(word, missing="") for word in (match.label, match.domain) if word)
    return (
        f'<li><img src="{match.url}" alt="{escape(match.name)}" loading=lazy><span class=score><small>{match.rank}'
        f"</small> {score_text(match.score)}</span><span class=about>{dot}{escape(words)}</span></li>"
    )


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)
