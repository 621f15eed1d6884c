"""Matches: the most similar patches of a search result as one figure, with the matched cells lit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.analysis.chance import Chance
from vfs_panel.plots.groups import group_names
from vfs_panel.plots.likeness import heat_columns
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, tooltip
from vfs_panel.plots.text import fit, plain, score_text, text_width
from vfs_panel.plots.theme import LIGHT, Theme, domain_colours
from vfs_panel.plots.tiles import Region, Tiles, place_tiles, tile_columns, tile_marks

Caption = Literal["card", "strip", "score", "none"]

PICTURE_TOOLTIP = ("<b>@title</b>", "@what", "<span style='opacity:.75'>@image_id</span>")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchGrid:
    """How a figure of matches is laid out, in CSS pixels.

    Attributes
    ----------
    width_px : of the content; the figure is `theme.BLEED_PX` larger on every side.
    places : for how many matches; those without one are dashed.
    columns : matches in a row.
    caption : under each patch: "card" rank, score, label and domain; "strip" rank and score; "score"; "none".
    aspect : width / height of the pictures as the network sees them.
    """

    width_px: int
    places: int = 12
    columns: int = 6
    caption: Caption = "card"
    aspect: float = 1.0

    def _tile_width(self, gap_px: int) -> int:
        return max(8, int((self.width_px - gap_px * (self.columns - 1)) // self.columns))

    @property
    def gap_px(self) -> int:
        """Space between two patches: less where they are small."""
        if self.caption in ("strip", "score"):
            return 8
        return 12 if self._tile_width(12) >= 120 else 10

    @property
    def tile(self) -> tuple[int, int]:
        """(width, height) of a patch."""
        width = self._tile_width(self.gap_px)
        return width, max(8, round(width / self.aspect))

    @property
    def caption_px(self) -> int:
        """Height of the words under a patch."""
        return {"card": 42, "strip": 18, "score": 16, "none": 0}[self.caption]

    @property
    def pitch_px(self) -> int:
        """From the top of a row to that of the next."""
        return self.tile[1] + self.caption_px + self.gap_px

    @property
    def height_px(self) -> int:
        """Height of the content."""
        return -(-self.places // self.columns) * self.pitch_px - self.gap_px

    def tiles(self) -> Tiles:
        """Return where the patches are."""
        return place_tiles(
            self.places, columns=self.columns, tile=self.tile, width_px=self.width_px, pitch_px=self.pitch_px
        )

    def place_at(self, x: float | None, y: float | None) -> int | None:
        """Return which place, from 0, is at a point of the figure, its words included; None between places."""
        if x is None or y is None or not (np.isfinite(x) and np.isfinite(y)):
            return None
        tiles, (width, height) = self.tiles(), self.tile
        inside = (tiles.left <= x) & (x < tiles.left + width) & (tiles.top <= y)
        inside &= y < tiles.top + height + self.caption_px
        found = np.flatnonzero(inside)
        return int(found[0]) if len(found) else None


def matches(
    result: xr.Dataset | None,
    urls: Mapping[str, str],
    grid: MatchGrid,
    *,
    theme: Theme = LIGHT,
    background: str | None = None,
    selected: int | None = None,
    similar: xr.DataArray | None = None,
    chance: Chance | None = None,
) -> hv.Overlay:
    """Draw the matches of a search: patches by rank with the matched cells lit, all in one figure.

    Parameters
    ----------
    result : of `RegionSearch.search`; None before the first search: places only.
    urls : a picture's id -> data URL of the picture as the network sees it.
    grid : layout.
    theme : light or dark.
    background : what is behind the figure; the theme's page colour by default.
    selected : rank of the match to mark, from 1.
    similar : shown as heat over the cells, (rank, y, x) from `analysis.similarity.by_match`; None for none.
    chance : gives the p value that is told of each match on hover; None while it is not known.

    Returns
    -------
    Overlay in CSS pixels, y down. Streams such as Tap take it as their source; `grid.place_at` says what was hit.
    """
    return overlay(
        _marks(grid, theme, background or theme.bg),
        matches_data(result, urls, grid, theme=theme, selected=selected, similar=similar, chance=chance),
        width_px=grid.width_px,
        height_px=grid.height_px,
    )


def _marks(grid: MatchGrid, theme: Theme, background: str) -> dict[str, Mark]:
    score_px, label_px = _sizes(grid)
    place = {"fill_alpha": 0, "line_color": theme.line2, "line_alpha": 0.6, "line_dash": "4 3"}
    frame = {"fill_alpha": 0, "line_color": theme.text, "line_width": 2}
    pictures = tile_marks(grid.tile, theme, background=background)
    under = {name: pictures.pop(name) for name in ("patches", "veil")}
    return {
        "places": Mark("rectangles", place),
        **under,
        "heat": Mark("images"),
        **pictures,
        "rank": text(12, color=theme.text3),
        "score": text(score_px, bold=grid.caption == "card", color=theme.text),
        "label": text(label_px, align="right", color=theme.text),
        "domain": text(12, color=theme.text2),
        "dot": Mark("dots", {"size": 8, "line_alpha": 0}),
        "selected": Mark("rectangles", frame),
        "hit": hit_mark(theme),
    }


def hit_mark(theme: Theme) -> Mark:
    """Return the mark that pictures are pointed at by: nothing to see, a frame and a tooltip on hover."""
    hover = {"hover_fill_alpha": 0, "hover_line_alpha": 1, "hover_line_color": theme.text}
    return Mark(
        "rectangles", {"fill_alpha": 0, "line_alpha": 0, "line_width": 2, **hover}, tooltip(theme, *PICTURE_TOOLTIP)
    )


def what(label: str, domain: str) -> str:
    """Say what a picture is: "giraffe, art painting"."""
    return f"{plain(label)}, {plain(domain)}" if label else plain(domain)


def matches_data(
    result: xr.Dataset | None,
    urls: Mapping[str, str],
    grid: MatchGrid,
    *,
    theme: Theme = LIGHT,
    selected: int | None = None,
    similar: xr.DataArray | None = None,
    chance: Chance | None = None,
) -> dict[str, Columns]:
    """Return the columns of the marks of `matches`, for `Live.send`; parameters as there."""
    places = grid.tiles()
    found = 0 if result is None else min(result.sizes["rank"], len(places))
    tiles, free = places.take(slice(found)), places.take(slice(found, None))
    if result is None or not found:
        rows, region, colours = _no_rows(), Region(np.zeros((0, 0), np.float32), (1, 1)), {}
    else:
        rows, region = result[list(_RANK)].isel(rank=slice(found)), Region.of(result)
        colours = domain_colours(group_names(result, "domain"), theme)
    ids, scores = rows["image_id"].values.tolist(), rows["score"].values
    labels, domains = rows["label"].values.tolist(), rows["domain"].values.tolist()
    ranks = rows["rank"].values.tolist()
    # Nothing that changes while the pictures stay, such as their scores: they would be sent and decoded again.
    about = {"url": [urls.get(i, "") for i in ids], "rank": ranks, "image_id": ids}
    words = _captions(grid, tiles, ranks, [score_text(s) for s in scores], labels, domains)
    chosen = np.flatnonzero(np.array(ranks) == (selected or 0))
    return {
        "places": free.boxes(grow_px=-0.5),
        **tile_columns(tiles, rows["y"].values, rows["x"].values, region, theme, about=about),
        **words,
        "heat": heat_columns(tiles, ranks, ids, similar),
        "dot": _dots(grid, tiles, [colours.get(d, theme.other) for d in domains]),
        "selected": tiles.take(chosen).boxes(grow_px=3),
        "hit": {
            **tiles.boxes(grow_px=1),
            "title": [f"Match {r}, {score_text(s)}" for r, s in zip(ranks, scores, strict=True)],
            "what": [
                what(label, domain) + (f"; {chance.p_words(score)} by chance" if chance is not None else "")
                for label, domain, score in zip(labels, domains, scores, strict=True)
            ],
            "image_id": ids,
        },
    }


def similar_data(result: xr.Dataset | None, grid: MatchGrid, similar: xr.DataArray | None) -> Columns:
    """Return the columns of the mark "heat" of `matches` alone; parameters as there."""
    if result is None:
        return heat_columns(grid.tiles(), [], [], None)
    shown = result[["image_id"]].isel(rank=slice(grid.places))
    tiles = grid.tiles().take(slice(shown.sizes["rank"]))
    return heat_columns(tiles, shown["rank"].values, shown["image_id"].values.tolist(), similar)


_RANK = ("score", "image_id", "y", "x", "label", "domain")


def _no_rows() -> xr.Dataset:
    return xr.Dataset({name: ("rank", np.empty(0, object)) for name in _RANK}, coords={"rank": np.empty(0, int)})


def _captions(
    grid: MatchGrid, tiles: Tiles, ranks: list[int], scores: list[str], labels: list[str], domains: list[str]
) -> dict[str, Columns]:
    """Lay out the words under the patches, on the baselines of the design."""
    width, below = tiles.width, (tiles.top + tiles.height).tolist()
    left = tiles.left.tolist()
    rank_px = [text_width(str(rank), 12) for rank in ranks]
    score_px, label_px = _sizes(grid)
    rank_words = [str(rank) for rank in ranks] if grid.caption in ("card", "strip") else [""] * len(ranks)
    label_words = domain_words = [""] * len(ranks)
    line = {"card": 20, "strip": 14, "score": 13, "none": 0}[grid.caption]
    if grid.caption == "card":
        score_left = [w + 4 if width < 130 else max(14.0, w) + 6 for w in rank_px]
        ends = [at + text_width(score, score_px, bold=True) for at, score in zip(score_left, scores, strict=True)]
        label_words = [
            fit(plain(v, missing=""), width - end - 6, label_px) for v, end in zip(labels, ends, strict=True)
        ]
        domain_words = [fit(plain(domain), width - 15, 12) for domain in domains]
    elif grid.caption == "strip":
        ends = [w + text_width(score, 12) for w, score in zip(rank_px, scores, strict=True)]
        gap = 5 if max(ends, default=0) + 5 <= width else 3
        score_left = [w + gap for w in rank_px]
    else:
        score_left = [0.0] * len(ranks)
        scores = scores if grid.caption == "score" else [""] * len(ranks)
    return {
        "rank": texts(((x, y + line, w) for x, y, w in zip(left, below, rank_words, strict=True)), 12),
        "score": texts(
            ((x + a, y + line, w) for x, a, y, w in zip(left, score_left, below, scores, strict=True)), score_px
        ),
        "label": texts(((x + width, y + line, w) for x, y, w in zip(left, below, label_words, strict=True)), label_px),
        "domain": texts(((x + 15, y + 38, w) for x, y, w in zip(left, below, domain_words, strict=True)), 12),
    }


def _sizes(grid: MatchGrid) -> tuple[int, int]:
    """Return the font sizes of score and label."""
    if grid.caption != "card":
        return 12, 12
    return (14, 12) if grid.tile[0] < 130 else (16, 13)


def _dots(grid: MatchGrid, tiles: Tiles, colours: list[str]) -> Columns:
    if grid.caption != "card":
        return {"col": [], "row": [], "fill_color": []}
    below: NDArray[np.int_] = tiles.top + tiles.height
    return {"col": tiles.left + 5, "row": below + 34, "fill_color": colours}
