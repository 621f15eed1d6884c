"""Panes: the plain containers and figures that views are made of, and the colours of a session's theme."""

from typing import Any

import panel as pn

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
