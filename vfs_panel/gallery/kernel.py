"""In the kernel of an exported notebook: figures, Panel objects and the explorer are shown as data.

What a figure is drawn from is put into the output, under a media type of ours, instead of the script that Jupyter
would run. Objects of other kinds are shown as ever. Nothing here is trusted by what writes the page.
"""

import sys
from typing import Any

from vfs_panel.plots.theme import FONT, LIGHT

MEDIA = "application/vnd.vfs_panel.parts+json"
Parts = list[dict[str, Any]]


def show_as_data() -> None:
    """Have this kernel show what can be drawn from data as that data."""
    from IPython import get_ipython

    shell = get_ipython()
    formatter = shell.display_formatter
    usual = formatter.format

    def show(thing: Any, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        parts = parts_of(thing)
        if parts is None:
            shown: tuple[dict[str, Any], dict[str, Any]] = usual(thing, include=include, exclude=exclude)
            return shown
        return {MEDIA: parts, "text/plain": f"<{type(thing).__name__}>"}, {}

    formatter.format = show


def parts_of(thing: Any) -> Parts | None:
    """Return what stands for an object on a page, or None if it is shown as ever.

    Parts are {"figure": item}, as Bokeh embeds it; {"markdown": text}; {"html": text}; {"matches": …}, see
    `still.still_of`; and {"live": kind} for what needs a kernel.
    """
    if _is(thing, "vfs_panel.app.explorer", "Explorer"):
        from vfs_panel.gallery.still import still_of

        return still_of(thing)
    if _is(thing, "holoviews.core.dimension", "Dimensioned") or _is(thing, "bokeh.models", "LayoutDOM"):
        return _figure(thing)
    if _is(thing, "panel.viewable", "Viewable") or _is(thing, "panel.viewable", "Viewer"):
        return _of_panel(thing)
    return None


def _is(thing: Any, module: str, name: str) -> bool:
    """Whether an object is of a class, without loading what defines it."""
    loaded = getattr(sys.modules.get(module), name, None)
    return loaded is not None and isinstance(thing, loaded)


def _figure(thing: Any) -> Parts | None:
    from bokeh.embed import json_item
    from bokeh.models import LayoutDOM
    from bokeh.themes import Theme

    if not isinstance(thing, LayoutDOM):
        import holoviews as hv

        if hv.Store.current_backend not in (None, "bokeh"):
            return None  # drawn as a picture by Matplotlib, as the notebook wants it
        if isinstance(thing, hv.Table):
            return [{"html": thing.dframe().to_html(index=False)}]
        thing = hv.render(thing, backend="bokeh")
    for model in thing.references():  # a page has no server to tell, and runs no script that comes in data
        model.update(js_event_callbacks={}, js_property_callbacks={})
        if hasattr(model, "callback"):
            model.callback = None
    return [{"figure": json_item(thing, theme=Theme(json={"attrs": _attributes()}))}]


def _attributes() -> dict[str, dict[str, Any]]:
    """Return how a figure looks where the notebook says nothing: in colours that the page can turn dark."""
    text = {"text_font": FONT, "text_color": LIGHT.text}
    axis = {f"{part}_text_font": FONT for part in ("axis_label", "major_label")}
    axis |= {f"{part}_text_color": LIGHT.text2 for part in ("axis_label", "major_label")}
    axis |= {f"{part}_line_color": LIGHT.line2 for part in ("axis", "major_tick")}
    bar = {f"{part}_text_color": LIGHT.text2 for part in ("title", "major_label")}
    legend = {"label_text_color": LIGHT.text, "title_text_color": LIGHT.text2, "label_text_font": FONT}
    return {
        "Plot": {"background_fill_alpha": 0, "border_fill_alpha": 0, "outline_line_color": LIGHT.line},
        "Title": {**text, "text_font_size": "13px", "text_font_style": "bold"},
        "Axis": {
            **axis, "axis_label_text_font_style": "normal", "axis_label_text_font_size": "12px",
            "major_label_text_font_size": "11px", "minor_tick_line_color": None,
        },
        "Grid": {"grid_line_color": LIGHT.grid},
        "Legend": {**legend, "background_fill_alpha": 0, "border_line_alpha": 0},
        "BaseColorBar": {**bar, "background_fill_alpha": 0, "bar_line_color": None},
        "Toolbar": {"autohide": True, "logo": None},
    }  # fmt: skip


def _of_panel(thing: Any) -> Parts:
    import panel as pn

    viewable = pn.panel(thing)
    parts: Parts = []
    for pane in viewable.select(pn.pane.PaneBase):
        if isinstance(pane, pn.pane.HoloViews | pn.pane.Bokeh):
            parts += _figure(pane.object) or []
        elif isinstance(pane, pn.pane.Markdown):
            parts.append({"markdown": str(pane.object)})
        elif isinstance(pane, pn.pane.DataFrame | pn.pane.HTML):
            html = pane.object if isinstance(pane.object, str) else pane.object.to_html()
            parts.append({"html": html})
    if not parts or viewable.select(pn.widgets.WidgetBase):
        parts.append({"live": "controls"})
    return parts
