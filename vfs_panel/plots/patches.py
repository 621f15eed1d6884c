"""Patches and CellImages: HoloViews elements of many pictures, each drawn by one glyph of Bokeh."""

from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # registers the backend; hv.extension would also print into a notebook
from holoviews.core.options import Store
from holoviews.plotting.bokeh.element import ElementPlot
from holoviews.plotting.bokeh.styles import base_properties

PATCH_COLUMNS = ("url", "rank", "image_id")


class Patches(hv.Points):
    """Pictures at places of a figure: each row of the data is one, its top left corner at (col, row).

    The value dimension `url` holds what a browser shows as a picture, for example a data URL; further value
    dimensions go along into the figure's data. Style options `w` and `h` are the size in data units.

    Bokeh does not hit-test pictures: for hover and selection, lay transparent `hv.Rectangles` with the same value
    dimensions over them. While new pictures load, Bokeh goes on showing the ones they replace.
    """

    group = "Patches"

    def __init__(self, data: Any = None, kdims: Any = None, vdims: Any = None, **params: Any) -> None:
        super().__init__(data, kdims=kdims or ["col", "row"], vdims=vdims or list(PATCH_COLUMNS), **params)


class PatchesPlot(ElementPlot):
    """Draws `Patches` with the `image_url` glyph."""

    _plot_methods = {"single": "image_url"}  # noqa: RUF012 (HoloViews' way)
    _nonvectorized_styles = [*base_properties, "w", "h", "anchor", "global_alpha"]  # noqa: RUF012
    style_opts = [*base_properties, "w", "h", "anchor", "global_alpha"]  # noqa: RUF012
    selection_display = None

    def get_data(self, element: Patches, ranges: Any, style: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Return the columns, the glyph's fields and its style, as HoloViews asks of every plot."""
        x, y = (dimension.name for dimension in element.kdims)
        data = {dimension.name: element.dimension_values(dimension) for dimension in element.dimensions()}
        return data, {"x": x, "y": y, "url": "url", "anchor": "top_left", **style}, {}


class CellImages(hv.Points):
    """Small pictures of one pixel a cell, enlarged with sharp edges; made to be filled by `Live` or a hook.

    The figure's data has, of each, its top left corner `col` and `row`, its size `dw` and `dh`, and `image`, uint32
    RGBA of shape (y, x). Nothing has to be decoded, so they are on the screen at once, unlike `Patches`.
    """

    group = "CellImages"


class CellImagesPlot(ElementPlot):
    """Draws `CellImages` with the `image_rgba` glyph."""

    _plot_methods = {"single": "image_rgba"}  # noqa: RUF012 (HoloViews' way)
    _nonvectorized_styles = [*base_properties, "global_alpha"]  # noqa: RUF012
    style_opts = [*base_properties, "global_alpha"]  # noqa: RUF012
    selection_display = None

    def get_data(self, element: CellImages, ranges: Any, style: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Return empty columns, the glyph's fields and its style, as HoloViews asks of every plot."""
        fields = {"x": "col", "y": "row", "dw": "dw", "dh": "dh", "image": "image"}
        return {name: [] for name in fields.values()}, {**fields, **style}, {}


if Store.current_backend not in Store.loaded_backends():
    Store.set_current_backend("bokeh")
Store.register({Patches: PatchesPlot, CellImages: CellImagesPlot}, "bokeh")
