"""Figures as data: what of it a page may be given, and which of Bokeh's scripts draw it."""

import json
import re
from pathlib import Path
from typing import Any

from vfs_panel.gallery.cleaning import clean_html
from vfs_panel.plots.theme import DARK, LIGHT

_CODE = re.compile(r"^Custom(?!Label)|^OpenURL$|^Template$")  # models that carry script, or lead elsewhere
_HTML = {"Div": "text", "Paragraph": "text", "PreText": "text", "HTML": "html", "Tooltip": "content",
         "HoverTool": "tooltips"}  # fmt: skip
_TABLES = {"DataTable", "DataCube"}  # Bokeh fills them only while they are visible; pandas makes better ones
_MOST_BYTES = 64 << 20


def clean_figure(item: Any) -> dict[str, Any] | None:
    """Return a figure of Bokeh's `json_item` that holds no script, or None if it cannot be had.

    The page's Content-Security-Policy would keep such script from running; here it is not even passed on.
    """
    if not isinstance(item, dict) or not isinstance(item.get("doc"), dict) or not isinstance(item.get("root_id"), str):
        return None
    doc = item["doc"]
    if not isinstance(doc.get("roots"), list) or len(json.dumps(doc["roots"])) > _MOST_BYTES:
        return None
    names = names_in(doc["roots"])
    if names & _TABLES or any(_CODE.search(name) for name in names):
        return None
    # Without `defs`: those are of models that only Panel's scripts know, and no figure needs them.
    kept = {"version": str(doc.get("version", "")), "title": "", "roots": _cleaned(doc["roots"])}
    return {"target_id": None, "root_id": item["root_id"], "doc": kept, "version": kept["version"]}


def names_in(value: Any) -> set[str]:
    """Return the names of all models in a figure."""
    names: set[str] = set()
    stack = [value]
    while stack:
        here = stack.pop()
        if isinstance(here, dict):
            if here.get("type") == "object":
                names.add(str(here.get("name", "")))
            stack += here.values()
        elif isinstance(here, list):
            stack += here
    return names


def _cleaned(value: Any) -> Any:
    """Return the same with the HTML in it cleaned."""
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _cleaned(one) for key, one in value.items()}
    field = _HTML.get(str(value.get("name"))) if value.get("type") == "object" else None
    attributes = found.get("attributes")
    if field and isinstance(attributes, dict) and isinstance(attributes.get(field), str):
        attributes[field] = clean_html(attributes[field])
    return found


def scripts_for(names: set[str]) -> list[Path]:
    """Return the files of BokehJS that draw figures of these models, those that come with Bokeh."""
    from bokeh.models import widgets
    from bokeh.settings import settings

    folder = Path(settings.bokehjs_path()) / "js"
    files = ["bokeh.min.js"]
    if names & set(widgets.__all__):
        files.append("bokeh-widgets.min.js")
    return [folder / name for name in files]


def dark_colours() -> dict[str, str]:
    """Return what each colour of the light theme is in the dark one.

    White is none of them: it is the casing of outlines on pictures, which is the same in both.
    """
    pairs = [(getattr(LIGHT, name), getattr(DARK, name)) for name in LIGHT.__dataclass_fields__]
    pairs += zip(LIGHT.domains, DARK.domains, strict=True)
    same = {str(light).upper(): dark for light, dark in pairs if isinstance(light, str) and light.startswith("#")}
    same.pop(LIGHT.surface, None)
    return same | {"BLACK": DARK.text}
