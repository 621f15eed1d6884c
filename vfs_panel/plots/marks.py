"""Marks: named columns of a figure -> one HoloViews overlay in pixel space, one glyph for each mark."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import holoviews as hv
import numpy as np
from bokeh.core.properties import field as field_of
from bokeh.core.properties import value
from bokeh.models import Glyph
from numpy.typing import ArrayLike

from vfs_panel.plots.patches import CellImages, Patches
from vfs_panel.plots.theme import FONT, Theme, bare_figure

Columns = dict[str, Any]
"""Columns of one mark by name, arrays or lists of one length, as Bokeh's glyph has them.

Areas are multi-polygons: each of `xs` and `ys` is [[outer line]].
"""

Kind = Literal["rectangles", "texts", "dots", "paths", "areas", "segments", "patches", "images"]

_KDIMS: dict[Kind, tuple[str, ...]] = {
    "rectangles": ("left", "top", "right", "bottom"),
    "texts": ("col", "row"),
    "dots": ("col", "row"),
    "paths": ("xs", "ys"),
    "areas": ("xs", "ys"),
    "segments": ("left", "top", "right", "bottom"),
    "patches": ("col", "row"),
    "images": ("col", "row"),
}
_ELEMENTS = {
    "rectangles": hv.Rectangles,
    "texts": hv.Labels,
    "dots": hv.Points,
    "paths": hv.Path,
    "areas": hv.Polygons,
    "segments": hv.Segments,
    "patches": Patches,
    "images": CellImages,
}
_DESCENT = 0.22  # of the font size; 0.21 in Arial, 0.25 in Segoe UI
STYLE_COLUMNS = ("fill_color", "fill_alpha", "line_color")
"""Columns that set a property of each glyph rather than its place."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How one mark of a figure is drawn; its columns come apart, so that they can change without it.

    Attributes
    ----------
    kind : which glyph.
    style : HoloViews options that hold for the whole mark.
    tooltip : Bokeh tooltip (HTML with @column), "" for none. Columns are shown as text, never as HTML.
    radius_px : of the corners of rectangles.
    """

    kind: Kind
    style: dict[str, Any] = field(default_factory=dict)
    tooltip: str = ""
    radius_px: int = 0


def text(size_px: float, *, color: str, align: str = "left", bold: bool = False) -> Mark:
    """Return the mark of texts of one colour at places given by `texts`."""
    style = {
        "text_font_size": f"{size_px:g}px",
        "text_font_style": "bold" if bold else "normal",
        "text_align": align,
        "text_baseline": "bottom",
    }
    return Mark("texts", {**style, "text_color": color})


def tooltip(theme: Theme, *lines: str) -> str:
    """Return a Bokeh tooltip in the theme's colours; lines are HTML with @column, and columns are shown as text."""
    style = (
        f"font:12px/16px {FONT};color:{theme.text};background:{theme.surface};border:1px solid {theme.line};"
        "border-radius:4px;padding:6px 8px;margin:-6px;max-width:320px;overflow-wrap:anywhere"
    )
    return f"<div style='{style}'>{'<br>'.join(lines)}</div>"


def texts(placed: Iterable[tuple[float, float, str]], size_px: float) -> Columns:
    """Return the columns of a `text` mark of this size.

    Parameters
    ----------
    placed : (column, row of the baseline, words) of each text.
    size_px : font size of the mark.
    """
    rows = [(x, _bottom(words, y, size_px), words) for x, y, words in placed]
    cols, bottoms, words = zip(*rows, strict=True) if rows else ((), (), ())
    return {"col": np.array(cols, float), "row": np.array(bottoms, float), "text": list(words)}


def _bottom(words: str, baseline: float, size_px: float) -> float:
    """Return where Bokeh is to set the bottom of a text's box so that its baseline is at `baseline`.

    To Bokeh the box of a number ends at its baseline, that of any other text below its descenders.
    """
    numeric = all(letter in "0123456789,.+-−e" for letter in words)
    return baseline if numeric else baseline + _DESCENT * size_px


def uprights(at: ArrayLike, top: float, bottom: float) -> Columns:
    """Return the columns of vertical segments at these columns of the figure."""
    x = np.asarray(at, np.float64)
    return {"left": x, "top": np.full(len(x), float(top)), "right": x, "bottom": np.full(len(x), float(bottom))}


def overlay(
    marks: Mapping[str, Mark], columns: Mapping[str, Columns], *, width_px: float, height_px: float, **frame: Any
) -> hv.Overlay:
    """Draw marks over one another, in their order, in a bare figure.

    Parameters
    ----------
    marks : by name; the names become the elements' labels, by which `Live` finds them again.
    columns : of each mark.
    width_px, height_px : size of the content, see `theme.bare_figure`.
    frame : further options of the figure.
    """
    elements = [_element(name, mark, columns[name]) for name, mark in marks.items()]
    return hv.Overlay(elements).opts(**{**bare_figure(width_px, height_px), **frame})


def _element(name: str, mark: Mark, columns: Columns) -> Any:
    kdims = list(_KDIMS[mark.kind])
    vdims = [column for column in columns if column not in kdims]
    if mark.kind in ("paths", "areas"):
        rows = zip(*(columns[column] for column in kdims), strict=True)
        lines = rows if mark.kind == "paths" else ((xs[0][0], ys[0][0]) for xs, ys in rows)
        data: Any = [dict(zip(kdims, line, strict=True)) for line in lines]
        vdims = []
    elif mark.kind == "images":  # HoloViews takes no column of arrays; the hook gives them to the glyph
        data, vdims = ([], []), []
    else:
        data = tuple(columns[column] for column in kdims + vdims)
    options = {
        **mark.style,
        "apply_ranges": False,
        "normalize": False,
        "default_tools": [],
        "hooks": [partial(_bind, mark=mark, columns=columns)],
    }
    if mark.tooltip:
        options |= {"tools": ["hover"], "hover_tooltips": mark.tooltip}
    return _ELEMENTS[mark.kind](data, kdims, vdims, label=name).opts(**options)


def _bind(plot: Any, _element: Any, *, mark: Mark, columns: Columns) -> None:
    """Give the glyph its columns by their own names.

    HoloViews would turn a column of equal colours into one value and an empty one into a colour map; either way
    later columns sent to the figure would not show.
    """
    glyph = plot.handles["glyph"]
    glyph.update(**{name: field_of(name) for name in STYLE_COLUMNS if name in columns})
    under_pointer = plot.handles["glyph_renderer"].hover_glyph
    if isinstance(under_pointer, Glyph):
        under_pointer.update(**{name: field_of(name) for name in ("fill_color", "line_color") if name in columns})
    if mark.kind == "texts":
        glyph.text_font = value(FONT)  # a bare string would be read as a column's name
    if mark.tooltip:
        plot.handles["hover"].show_arrow = False
    if mark.radius_px:
        glyph.border_radius = mark.radius_px
    source = plot.handles["cds"]
    if not len(next(iter(columns.values()))):
        source.data = {}  # to Bokeh an empty list equals the empty array that HoloViews put there, and changes nothing
    source.data = dict(columns)
