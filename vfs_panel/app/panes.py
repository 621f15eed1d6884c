"""Panes: the plain containers and figures that views are made of, and the colours of a session's theme."""

from typing import Any

import panel as pn
from bokeh.models import ImportedStyleSheet, UIElement
from panel.io.notebook import patch_inline_stylesheets, replace_inline_css
from panel.io.state import state as panel_state

from vfs_panel.app.component import web_text
from vfs_panel.app.state import SearchState
from vfs_panel.plots.theme import DARK, LIGHT, Theme


def theme_of(state: SearchState) -> Theme:
    """Return the colours of the session's theme."""
    return DARK if state.theme == "dark" else LIGHT


def figure_pane(**options: Any) -> pn.pane.HoloViews:
    """Return a pane for a figure of `vfs_panel.plots`, whose edge of 4 px lies outside its place."""
    return pn.pane.HoloViews(None, linked_axes=False, backend="bokeh", margin=-4, **options)


def box(*children: Any, classes: tuple[str, ...] = (), **options: Any) -> pn.Column:
    """Return a plain container that the style sheet `tokens.css` lays out by its classes."""
    return pn.Column(
        *children, css_classes=list(classes), **{"stylesheets": [web_text("tokens.css")], "margin": 0, **options}
    )


class Note(pn.pane.HTML):
    """Words under a figure. In a notebook their style sheets come along with them, as in `offline`."""

    def _get_properties(self, doc: Any) -> dict[str, Any]:
        properties: dict[str, Any] = super()._get_properties(doc)
        if pn.config.inline and doc is not None and doc.session_context is None:
            sheets = properties.get("stylesheets", [])
            properties["stylesheets"] = [
                replace_inline_css(sheet) if isinstance(sheet, ImportedStyleSheet) else sheet for sheet in sheets
            ]
        return properties


def offline(_view: Any, root: Any, changed: Any = None, _old: Any = None) -> None:
    """Bring the style sheets of what a notebook shows anew along with it: a hook of the outermost container.

    Panel does so for what is shown first. To later figures it adds those of its theme afterwards, as addresses of a
    server elsewhere.
    """
    name = root.ref["id"]
    shown = panel_state._views.get(name)
    if shown is None or shown[3] is None or not pn.config.inline or changed is None or name not in changed._models:
        return
    for model in changed._models[name][0].select({"type": UIElement}):
        patch_inline_stylesheets(model)
