"""Compare: the best matches of two searches for one drawing, row over row, with what they share linked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.plots.groups import group_names
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts
from vfs_panel.plots.matches import hit_mark, what
from vfs_panel.plots.text import fit, plain, score_text, text_width
from vfs_panel.plots.theme import LIGHT, Theme, domain_colours
from vfs_panel.plots.tiles import Region, Tiles, place_tiles, tile_columns, tile_marks

_CAPTION = 64  # px under a patch: rank and score, domain, label, where it is on the other side
_LINKS = 36  # px between two rows
_POINTS = 25  # of a link


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RankedRow:
    """One search as a row: its best matches and what each is on the other side.

    Attributes
    ----------
    result : of `RegionSearch.search`, one match a picture.
    urls : a picture's id -> data URL of the picture as this row's network sees it.
    other : rank of each match on the other side, from its first; 0 where it was not searched. Empty if sides share
        nothing that could be compared.
    moved : those ranks in words, as `analysis.comparison.moved` has them.
    k : how many best matches count as kept.
    """

    result: xr.Dataset
    urls: Mapping[str, str]
    other: Sequence[int] = ()
    moved: Sequence[str] = ()
    k: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RankGrid:
    """How rows of ranked matches are laid out, in CSS pixels.

    Attributes
    ----------
    width_px : of the content; the figure is `theme.BLEED_PX` larger on every side.
    columns : matches in a row.
    aspects : width / height of the pictures of each row as its network sees them; one or two rows.
    """

    width_px: int
    columns: int = 10
    aspects: tuple[float, ...] = (1.0, 1.0)

    @classmethod
    def of(cls, width_px: int, aspects: tuple[float, ...]) -> "RankGrid":
        """Lay out as many matches as have room, ten at most."""
        return cls(width_px=width_px, columns=10 if width_px >= 860 else 6 if width_px >= 560 else 3, aspects=aspects)

    def tile(self, row: int) -> tuple[int, int]:
        """(width, height) of a patch of a row."""
        width = max(8, int((self.width_px - 10 * (self.columns - 1)) // self.columns))
        return width, max(8, round(width / self.aspects[row]))

    def top(self, row: int) -> int:
        """Where a row begins."""
        return 0 if row == 0 else self.tile(0)[1] + _CAPTION + _LINKS

    @property
    def height_px(self) -> int:
        """Height of the content."""
        last = len(self.aspects) - 1
        return self.top(last) + self.tile(last)[1] + _CAPTION

    def tiles(self, row: int) -> Tiles:
        """Return where the patches of a row are."""
        placed = place_tiles(
            self.columns, columns=self.columns, tile=self.tile(row), width_px=self.width_px, pitch_px=1
        )
        return Tiles(placed.left, placed.top + self.top(row), placed.width, placed.height)

    def place_at(self, x: float | None, y: float | None) -> tuple[int, int] | None:
        """Return (row, place from 0) at a point of the figure, words included; None between places."""
        if x is None or y is None or not (np.isfinite(x) and np.isfinite(y)):
            return None
        for row in range(len(self.aspects)):
            tiles = self.tiles(row)
            inside = (tiles.left <= x) & (x < tiles.left + tiles.width)
            found = np.flatnonzero(inside & (tiles.top <= y) & (y < tiles.top + tiles.height + _CAPTION))
            if len(found):
                return row, int(found[0])
        return None


def ranked(
    rows: Sequence[RankedRow],
    grid: RankGrid,
    *,
    theme: Theme = LIGHT,
    background: str | None = None,
    picked: str = "",
) -> hv.Overlay:
    """Draw one or two rows of ranked matches; between two, lines join the pictures that both have.

    Parameters
    ----------
    rows : as many as `grid.aspects`.
    grid : layout.
    theme : light or dark.
    background : what is behind the figure; the theme's page colour by default.
    picked : id of the picture to mark in every row.

    Returns
    -------
    Overlay in CSS pixels, y down. `grid.place_at` says what a Tap hit.
    """
    return overlay(
        _marks(grid, theme, background or theme.bg),
        ranked_data(rows, grid, theme=theme, picked=picked),
        width_px=grid.width_px,
        height_px=grid.height_px,
    )


def _marks(grid: RankGrid, theme: Theme, background: str) -> dict[str, Mark]:
    tiles = {
        f"{name}{row}": mark
        for row in range(len(grid.aspects))
        for name, mark in tile_marks(grid.tile(row), theme, background=background).items()
    }
    return {
        "links": Mark("paths", {"color": theme.match, "line_width": 2}),
        **tiles,
        "rank": text(12, color=theme.text3),
        "score": text(14, bold=True, color=theme.text),
        "dot": Mark("dots", {"size": 8, "line_alpha": 0}),
        "domain": text(12, color=theme.text2),
        "label": text(12, color=theme.text2),
        "kept": text(12, bold=True, color=theme.match_text),
        "moved": text(12, color=theme.text3),
        "picked": Mark("rectangles", {"fill_alpha": 0, "line_color": theme.text, "line_width": 2}),
        "hit": hit_mark(theme),
    }


def ranked_data(
    rows: Sequence[RankedRow], grid: RankGrid, *, theme: Theme = LIGHT, picked: str = ""
) -> dict[str, Columns]:
    """Return the columns of the marks of `ranked`, for `Live.send`; parameters as there."""
    columns: dict[str, Columns] = {}
    parts = []
    for number, row in enumerate(rows):
        tiles, own = _row_columns(row, grid, number, theme)
        columns |= {f"{name}{number}": made for name, made in tiles.items()}
        parts.append(own)
    for name in parts[0]:
        columns[name] = _joined([part[name] for part in parts])
    chosen = np.array([each == picked for each in columns["hit"]["image_id"]], bool)
    box = {side: np.asarray(columns["hit"][side], float)[chosen] for side in ("left", "top", "right", "bottom")}
    columns["picked"] = {side: at + (-2 if side in ("left", "top") else 2) for side, at in box.items()}
    columns["links"] = _links(rows, grid)
    return columns


def _row_columns(
    row: RankedRow, grid: RankGrid, number: int, theme: Theme
) -> tuple[dict[str, Columns], dict[str, Columns]]:
    result = row.result.isel(rank=slice(grid.columns))
    tiles = grid.tiles(number).take(slice(result.sizes["rank"]))
    ids, labels, domains = (result[name].values.tolist() for name in ("image_id", "label", "domain"))
    ranks, scores = result["rank"].values.tolist(), result["score"].values
    about = {"url": [row.urls.get(each, "") for each in ids], "rank": ranks, "image_id": ids}
    colours = domain_colours(group_names(row.result, "domain"), theme)
    words = _captions(row, tiles, ranks, [score_text(float(s)) for s in scores], labels, domains)
    words["dot"]["fill_color"] = [colours.get(domain, theme.other) for domain in domains]
    told = list(row.moved[: len(ids)]) or [""] * len(ids)
    words["hit"] = {
        **tiles.boxes(grow_px=1),
        "title": [f"Match {r}, {score_text(float(s))}" for r, s in zip(ranks, scores, strict=True)],
        "what": [
            ", ".join(filter(None, (what(label, domain), move)))
            for label, domain, move in zip(labels, domains, told, strict=True)
        ],
        "image_id": ids,
    }
    lit = tile_columns(tiles, result["y"].values, result["x"].values, Region.of(row.result), theme, about=about)
    return lit, words


def _captions(
    row: RankedRow, tiles: Tiles, ranks: list[int], scores: list[str], labels: list[str], domains: list[str]
) -> dict[str, Columns]:
    left, below = tiles.left.tolist(), (tiles.top + tiles.height).tolist()
    width = tiles.width
    other, told = list(row.other[: len(ranks)]), list(row.moved[: len(ranks)])
    kept = [bool(at) and at <= row.k for at in other]
    lines = [(x, y + 62, move) for x, y, move in zip(left, below, told, strict=False)]
    cut = [(x, y, fit(move, width + 6, 12, bold=same)) for (x, y, move), same in zip(lines, kept, strict=True)]
    return {
        "rank": texts(((x, y + 17, str(rank)) for x, y, rank in zip(left, below, ranks, strict=True)), 12),
        "score": texts(
            (
                (x + text_width(str(rank), 12) + 6, y + 17, score)
                for x, y, rank, score in zip(left, below, ranks, scores, strict=True)
            ),
            14,
        ),
        "dot": {"col": tiles.left + 5, "row": tiles.top + tiles.height + 28, "fill_color": []},
        "domain": texts(
            ((x + 15, y + 32, fit(plain(v), width - 15, 12)) for x, y, v in zip(left, below, domains, strict=True)), 12
        ),
        "label": texts(
            ((x, y + 47, fit(plain(v, missing=""), width, 12)) for x, y, v in zip(left, below, labels, strict=True)), 12
        ),
        "kept": texts([line for line, same in zip(cut, kept, strict=True) if same], 12),
        "moved": texts([line for line, same in zip(cut, kept, strict=True) if not same], 12),
    }


def _joined(parts: list[Columns]) -> Columns:
    """Put the columns of several rows one after another."""
    return {name: _chain([part[name] for part in parts]) for name in parts[0]}


def _chain(columns: list[Any]) -> Any:
    if all(isinstance(column, np.ndarray) for column in columns):
        return np.concatenate(columns)
    return [value for column in columns for value in column]


def _links(rows: Sequence[RankedRow], grid: RankGrid) -> Columns:
    """Join each picture of the first row with its place in the second, where that is drawn too."""
    if len(rows) < 2:
        return {"xs": [], "ys": []}
    top, bottom = grid.top(1) - _LINKS + 3.0, grid.top(1) - 4.0
    first, second = (grid.tiles(row).left + grid.tile(row)[0] / 2 for row in (0, 1))
    gap = np.array([np.nan])
    xs: list[NDArray[np.float64]] = []
    ys: list[NDArray[np.float64]] = []
    shown = min(grid.columns, rows[1].result.sizes["rank"])
    for start, place in zip(first, rows[0].other[: grid.columns], strict=False):
        if 1 <= place <= shown:
            xs += [_bezier(start, start, second[place - 1], second[place - 1]), gap]
            ys += [_bezier(top, top + 17, bottom - 17, bottom), gap]
    return {"xs": [np.concatenate(xs)], "ys": [np.concatenate(ys)]} if xs else {"xs": [], "ys": []}


def _bezier(a: float, b: float, c: float, d: float) -> NDArray[np.float64]:
    t = np.linspace(0, 1, _POINTS)
    return np.asarray(a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t**2 * (1 - t) + d * t**3)
