"""Nothing that a notebook shows can run, or ask for anything, on a page."""

import base64
from pathlib import Path
from typing import Any

import pytest

from vfs_panel.gallery.cleaning import clean_html, markdown, plain_text, python
from vfs_panel.gallery.figures import clean_figure, dark_colours, names_in, scripts_for
from vfs_panel.gallery.kernel import MEDIA
from vfs_panel.gallery.outputs import Found, outputs_html
from vfs_panel.plots.theme import DARK, LIGHT

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://elsewhere.example/a.png'>",
    "<img src='data:text/html,<script>alert(1)</script>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' JaVaScRiPt:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='https://elsewhere.example'></object>",
    "<style>@import 'https://elsewhere.example/a.css'</style>",
    "<p style=\"background:url('https://elsewhere.example/a.png')\">x</p>",
    "<link rel=stylesheet href='https://elsewhere.example/a.css'>",
    "<base href='https://elsewhere.example/'>",
    "<meta http-equiv=refresh content='0;url=https://elsewhere.example'>",
    "<form action='https://elsewhere.example'><input name=a><button>x</button></form>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<p id=data class=figure data-figure=0>x</p>",
]
FORBIDDEN = (
    "<script", "onerror", "onload", "ontoggle", "javascript:", "elsewhere.example", "<style", "style=", "<form", "<input",
    "<svg", "<iframe", "<object", "<base", "<meta", "<link", "data-figure", "id=", "data:text",
)  # fmt: skip


def inert(html: str) -> bool:
    return not any(word in html.lower() for word in FORBIDDEN)


@pytest.mark.parametrize("html", HOSTILE)
def test_hostile_html(html: str) -> None:
    assert inert(clean_html(html))
    assert inert(markdown(f"Text\n\n{html}\n\nand {html} within."))
    outputs = [{"output_type": "display_data", "data": {"text/html": html, "text/plain": "x"}}]
    assert inert(outputs_html(outputs, Found()))
    for kind in ("html", "markdown"):
        outputs = [{"output_type": "display_data", "data": {MEDIA: [{kind: html}]}}]
        assert inert(outputs_html(outputs, Found()))


def test_what_is_honest_stays() -> None:
    html = "<table class=dataframe><tr><th scope=col>a</th><td colspan=2>1</td></tr></table><b>x</b>"
    assert clean_html(html).replace('"', "") == html.replace("<tr>", "<tbody><tr>").replace(
        "</table>", "</tbody></table>"
    )
    shown = markdown("# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nSee [it](https://example.org) and `x < 1`.")
    assert "<h1>Title</h1>" in shown
    assert "<table>" in shown
    assert 'href="https://example.org" rel="noopener noreferrer"' in shown
    assert "<code>x &lt; 1</code>" in shown


def test_pictures_beside_a_notebook_come_along_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    for place in ("notebooks/near.png", "far.png"):
        (tmp_path / place).write_bytes(base64.b64decode(PNG))
    folder = tmp_path / "notebooks"
    assert f"data:image/png;base64,{PNG}" in markdown("![a](near.png)", folder=folder)
    attached = {"it.png": {"image/png": PNG}}
    assert f"data:image/png;base64,{PNG}" in markdown("![a](attachment:it.png)", attached=attached)
    for other in ("../far.png", "/etc/passwd.png", "missing.png", "https://elsewhere.example/a.png", "notes.txt"):
        assert "base64" not in markdown(f"![a]({other})", folder=folder)
        assert "elsewhere" not in markdown(f"![a]({other})", folder=folder)


def test_text_of_a_terminal() -> None:
    assert plain_text("\x1b[31mred\x1b[0m\n 10%\r 50%\r100%\ndone\r\n") == "red\n100%\ndone"
    assert python("x = '<b>'").count("&lt;b&gt;") == 1


def test_the_richest_safe_form_is_shown() -> None:
    found = Found()
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    outputs: list[Any] = [
        {"output_type": "stream", "name": "stdout", "text": "a\n"},
        {"output_type": "stream", "name": "stdout", "text": ["b ", "<i>"]},
        {"output_type": "stream", "name": "stderr", "text": "careful"},
        {"output_type": "display_data", "data": {"image/png": PNG, "text/plain": "<Figure>"}},
        {"output_type": "display_data", "data": {"image/svg+xml": svg, "text/plain": "A drawing"}},
        {"output_type": "display_data", "data": {"application/javascript": "alert(1)", "text/plain": "x"}},
        {"output_type": "display_data", "data": {"text/html": "<script>1</script><div></div>", "text/plain": "x"}},
        {"output_type": "execute_result", "data": {"text/plain": "<Store>"}},
        {"output_type": "error", "ename": "ValueError", "evalue": "<b>", "traceback": []},
    ]
    html = outputs_html(outputs, found)
    assert "<pre class=out>a\nb &lt;i&gt;</pre>" in html
    assert "<summary>Messages</summary><pre>careful</pre>" in html
    assert f'src="data:image/png;base64,{PNG}" alt="Picture that the code above draws"' in html
    assert 'alt="A drawing"' in html
    assert inert(html)
    assert html.count("<pre") == 4  # neither script gave anything
    assert "&lt;Store&gt;" in html
    assert "ValueError: &lt;b&gt;" in html
    assert found.picture == f"data:image/png;base64,{PNG}"


def figure_of(*roots: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"root_id": "p1", "target_id": "x", "doc": {"version": "3.9.2", "title": "", "roots": list(roots), **more}}


def model(name: str, **attributes: Any) -> dict[str, Any]:
    return {"type": "object", "name": name, "id": "p1", "attributes": attributes}


@pytest.mark.parametrize(
    "item",
    [
        figure_of(model("CustomJS", code="alert(1)")),
        figure_of(model("Figure", tools=[model("TapTool", callback=model("OpenURL", url="javascript:alert(1)"))])),
        figure_of(model("Figure", x={"type": "map", "entries": [["a", model("CustomJSTickFormatter", code="1")]]})),
        figure_of(model("CustomJSHover", code="1")),
        figure_of(model("DataTable")),
        {"root_id": 1, "doc": {"roots": []}},
        {"root_id": "p1", "doc": []},
        {"root_id": "p1", "doc": {"roots": "x"}},
        [],
        None,
    ],
)
def test_figures_with_script_are_left_out(item: Any) -> None:
    assert clean_figure(item) is None
    found = Found()
    html = outputs_html([{"output_type": "display_data", "data": {MEDIA: [{"figure": item}]}}], found)
    assert "needs a running kernel, or carries script" in html
    assert not found.figures


def test_html_in_figures_is_cleaned_and_numbers_are_not() -> None:
    data = {"type": "map", "entries": [["x", ["a < b", "<img src=x onerror=alert(1)>"]]]}
    source = model("ColumnDataSource", data=data)
    item = figure_of(model("Div", text="<b>x</b><img src=x onerror=alert(1)>"), source, defs=[{"type": "model"}])
    cleaned = clean_figure(item)
    assert cleaned is not None
    assert cleaned["doc"]["roots"][0]["attributes"]["text"] == "<b>x</b><img>"
    assert cleaned["doc"]["roots"][1] == source  # drawn on a canvas, where it is but text
    assert "defs" not in cleaned["doc"]
    assert names_in(cleaned) == {"Div", "ColumnDataSource"}


def test_scripts_are_those_that_a_figure_needs() -> None:
    assert [file.name for file in scripts_for({"Figure"})] == ["bokeh.min.js"]
    assert [file.name for file in scripts_for({"Figure", "Div"})] == ["bokeh.min.js", "bokeh-widgets.min.js"]
    assert all(file.is_file() for file in scripts_for({"Div"}))


def test_each_light_colour_has_its_dark_one() -> None:
    dark = dark_colours()
    assert (dark[LIGHT.text2], dark[LIGHT.domains[3]]) == (DARK.text2, DARK.domains[3])
    assert "#FFFFFF" not in dark


@pytest.mark.parametrize(
    "value",
    [
        {"title": "x"}, None, [],
        {"title": "", "about": "", "query": {"url": "https://elsewhere.example/a.png", "name": ""}, "matches": []},
        {"title": "", "about": "", "query": {"url": 'data:image/png;base64,"onerror=alert(1)', "name": ""}, "matches": []},
    ],
)  # fmt: skip
def test_matches_that_are_none(value: Any) -> None:
    outputs = [{"output_type": "display_data", "data": {MEDIA: [{"matches": value}, {"other": 1}, 5]}}]
    assert outputs_html(outputs, Found()) == ""


def test_words_of_matches_are_escaped() -> None:
    picture = {"url": f"data:image/png;base64,{PNG}", "name": "<script>"}
    match = {**picture, "rank": 1, "score": 0.5, "label": "<script>", "domain": "<script>", "colour": 9}
    value = {"title": "<script>", "about": "<script>", "query": picture, "matches": [match]}
    html = outputs_html(
        [{"output_type": "display_data", "data": {MEDIA: [{"live": "explorer"}, {"matches": value}]}}], Found()
    )
    assert "<script" not in html
    assert "0.500" in html
    assert "The explorer needs a running kernel" in html
