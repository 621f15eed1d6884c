"""A search as a figure to print, in the paper's manner: query at the left, matches at the right, scores below."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from vfs_panel.plots.outline import lit_cells, outline
from vfs_panel.plots.text import plain, score_text
from vfs_panel.plots.theme import LIGHT, domain_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
_CELL_IN, _DPI = 1.15, 220


def search_figure(
    result: xr.Dataset,
    query_picture: NDArray[np.uint8],
    query_mask: ArrayLike,
    pictures: Mapping[str, NDArray[np.uint8]],
    *,
    columns: int = 6,
    title: str = "",
) -> "Figure":
    """Draw a search result for print.

    Parameters
    ----------
    result : of `RegionSearch.search`.
    query_picture : uint8, shape (input_y, input_x, 3): the painted picture as the network sees it.
    query_mask : shape (y, x), weights in [0, 1] on the layer's grid.
    pictures : a match's id -> its picture as the network sees it.
    columns : matches in a row.
    title : a line above; by default layer and network.

    Returns
    -------
    matplotlib Figure; `figure_bytes` makes a file of it.
    """
    from matplotlib.figure import Figure

    n = int(result.sizes["rank"])
    rows = max(1, -(-n // columns))
    side = min(2, rows)  # the query is as large as two by two matches
    width, height = (columns + side + 0.3) * _CELL_IN, rows * (_CELL_IN + 0.36) + 0.5
    figure = Figure(figsize=(width, height), facecolor="white")
    grid_rows, grid_columns = (int(v) for v in str(result.attrs["grid"]).split(","))
    mask = np.asarray(query_mask, np.float64)

    def place(column: float, row: float, size: float) -> "Axes":
        top = 0.42 + row * (_CELL_IN + 0.36)
        box = (
            column * _CELL_IN / width, 1 - (top + size * _CELL_IN * 0.94) / height, size * _CELL_IN * 0.94 / width,
            size * _CELL_IN * 0.94 / height,
        )  # fmt: skip
        axes = figure.add_axes(box)
        axes.set_axis_off()
        return axes

    words = title or f"{result.attrs.get('network', '')}, {result.attrs['layer']}".strip(", ")
    figure.text(0.02 / width, 1 - 0.2 / height, words, fontsize=8, color=LIGHT.text2, va="center")
    query = place(0, 0, side)
    _picture(query, query_picture, mask, 0, 0, (grid_rows, grid_columns), LIGHT.outline_query)
    query.text(0, -0.04, "Query", transform=query.transAxes, fontsize=8, fontweight="bold", va="top")
    colours = domain_colours(dict.fromkeys(result["image_domain"].values.astype(str).tolist()))
    for at in range(n):
        row = result.isel(rank=at)
        name = str(row["image_id"].item())
        axes = place(side + 0.3 + at % columns, at // columns, 1)
        if name in pictures:
            region = np.asarray(result["mask"].values, np.float64)
            _picture(
                axes, pictures[name], region, int(row["y"]), int(row["x"]), (grid_rows, grid_columns), LIGHT.outline
            )
        said = f"{int(row['rank'])}  {score_text(float(row['score']))}"
        axes.text(0, -0.05, said, transform=axes.transAxes, fontsize=7.5, fontweight="bold", va="top")
        about = [plain(str(row[column].item()), missing="") for column in ("label", "domain")]
        domain = str(row["domain"].item())
        if domain:
            axes.plot([0.03], [-0.235], "o", markersize=3.2, color=colours.get(domain, LIGHT.other),
                      transform=axes.transAxes, clip_on=False)  # fmt: skip
        axes.text(
            0.08 if domain else 0, -0.19, ", ".join(word for word in about if word), transform=axes.transAxes,
            fontsize=6.5, color=LIGHT.text2, va="top",
        )  # fmt: skip
    return figure


def _picture(
    axes: "Axes",
    picture: NDArray[np.uint8],
    mask: NDArray[np.float64],
    y: int,
    x: int,
    grid: tuple[int, int],
    colour: str,
) -> None:
    """Show a picture, dimmed off its region, with the region's cells outlined."""
    height, width = picture.shape[:2]
    light = np.full(grid, 1 - LIGHT.veil_alpha)
    h, w = mask.shape
    light[y : y + h, x : x + w] = 1 - LIGHT.veil_alpha * (1 - mask)
    rows = np.minimum(np.arange(height) * grid[0] // height, grid[0] - 1)
    columns = np.minimum(np.arange(width) * grid[1] // width, grid[1] - 1)
    shown = picture * light[rows][:, columns][..., None]
    axes.imshow(np.round(shown).astype(np.uint8), extent=(0, grid[1], grid[0], 0), aspect="auto", interpolation="none")
    for line in outline(lit_cells(mask)):
        for wide, ink in ((2.6, "white"), (1.1, colour)):
            axes.plot(line[:, 0] + x, line[:, 1] + y, color=ink, linewidth=wide, solid_joinstyle="miter", clip_on=False)
    axes.set_xlim(0, grid[1])
    axes.set_ylim(grid[0], 0)


def figure_bytes(figure: "Figure", kind: str) -> bytes:
    """Return a figure as the bytes of a PNG, SVG or PDF, with text as text and no date, so that it can be repeated."""
    import matplotlib as mpl

    by_kind: dict[str, dict[str, Any]] = {
        "png": {"dpi": _DPI},
        "svg": {"metadata": {"Date": None}},
        "pdf": {"metadata": {"CreationDate": None, "ModDate": None}},
    }
    options = by_kind[kind]
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "vfs_panel"}):
        figure.savefig(buffer, format=kind, bbox_inches="tight", pad_inches=0.05, **options)
    return buffer.getvalue()
