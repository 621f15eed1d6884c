"""Ranges: the pictures whose best score lies in a range, in rows that stand beside the histograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import holoviews as hv
import numpy as np
import xarray as xr

from vfs_panel.plots.groups import By, Group
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts
from vfs_panel.plots.matches import hit_mark, what
from vfs_panel.plots.scores import row_colours, score_groups
from vfs_panel.plots.text import fit, plain, score_text, text_width
from vfs_panel.plots.theme import LIGHT, Theme
from vfs_panel.plots.tiles import Region, Tiles, tile_columns, tile_marks

_TOP = 22  # px: the rows begin where those of the histograms do


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeRows:
    """How the rows of pictures in a range are laid out, in CSS pixels, beside a `ScoreRows` of the same `row_px`.

    Attributes
    ----------
    width_px : of the content; the figure is `theme.BLEED_PX` larger on every side.
    rows : how many.
    row_px : from the top of a row to that of the next; at least 86.
    """

    width_px: int
    rows: int
    row_px: int = 122

    @property
    def tile_px(self) -> int:
        """Width and height of a picture."""
        return max(44, self.row_px - 42)

    @property
    def columns(self) -> int:
        """How many pictures a row has room for."""
        return max(1, (self.width_px + 8) // (self.tile_px + 8))

    @property
    def height_px(self) -> int:
        """Height of the content."""
        return _TOP + self.rows * self.row_px

    def tops(self) -> list[int]:
        """Return the top of each row."""
        return [_TOP + self.row_px * row for row in range(self.rows)]

    def tiles(self, counts: Sequence[int]) -> Tiles:
        """Return where so many pictures in each row are."""
        step = (self.width_px - self.tile_px) / (self.columns - 1) if self.columns > 1 else 0.0
        left = [round(i * step) for n in counts for i in range(n)]
        top = [y + 20 for y, n in zip(self.tops(), counts, strict=True) for _ in range(n)]
        return Tiles(np.array(left, int), np.array(top, int), self.tile_px, self.tile_px)

    def row_at(self, x: float | None, y: float | None) -> tuple[int, int | None] | None:
        """Return (row, picture in it) at a point of the figure; the picture is None on a row's heading."""
        if x is None or y is None or not (np.isfinite(x) and np.isfinite(y)) or not 0 <= x <= self.width_px:
            return None
        row, below = int((y - _TOP) // self.row_px), (y - _TOP) % self.row_px
        if not 0 <= row < self.rows:
            return None
        if below < 20:
            return row, None
        tiles = self.tiles([self.columns] + [0] * (self.rows - 1))
        found = np.flatnonzero((tiles.left <= x) & (x < tiles.left + self.tile_px))
        return (row, int(found[0])) if len(found) and below < self.tile_px + 38 else None


WHOLE = 3.0
"""Wider than any scores lie apart: such a range stands for all of them."""


def in_range(result: xr.Dataset, low: float, high: float, *, by: By | None) -> list[Group]:
    """Return the pictures whose best score is in [low, high], best first, for each row of the histograms."""
    groups = []
    for group in score_groups(result, by):
        inside = (low <= group.scores) & (group.scores <= high)
        groups.append(Group(group.name, group.pictures[inside], group.scores[inside], group.ranks))
    return groups


def ranges(
    result: xr.Dataset,
    urls: Mapping[str, str],
    rows: RangeRows,
    *,
    chosen: tuple[float, float],
    by: By | None,
    theme: Theme = LIGHT,
    background: str | None = None,
) -> hv.Overlay:
    """Draw, for each row of the histograms, the highest scoring pictures in a range, with their matched cells lit.

    Parameters
    ----------
    result : of `RegionSearch.search`.
    urls : a picture's id -> data URL of the picture as the network sees it.
    rows : layout.
    chosen : the range of scores.
    by : what the rows are, as in the histograms.
    theme : light or dark.
    background : what is behind the figure; the theme's page colour by default.

    Returns
    -------
    Overlay in CSS pixels, y down. `rows.row_at` says what a Tap hit: a picture, or a heading's "Show all".
    """
    return overlay(
        _marks(rows, theme, background or theme.bg),
        ranges_data(result, urls, rows, chosen=chosen, by=by, theme=theme),
        width_px=rows.width_px,
        height_px=rows.height_px,
    )


def _marks(rows: RangeRows, theme: Theme, background: str) -> dict[str, Mark]:
    return {
        **tile_marks((rows.tile_px, rows.tile_px), theme, background=background),
        "dot": Mark("dots", {"size": 8, "line_alpha": 0}),
        "name": text(13, bold=True, color=theme.text),
        "note": text(12, color=theme.text3),
        "all": text(12, align="right", color=theme.text),
        "underline": Mark("segments", {"line_color": theme.text}),
        "score": text(12, color=theme.text),
        "hit": hit_mark(theme),
    }


def ranges_data(
    result: xr.Dataset,
    urls: Mapping[str, str],
    rows: RangeRows,
    *,
    chosen: tuple[float, float],
    by: By | None,
    theme: Theme = LIGHT,
) -> dict[str, Columns]:
    """Return the columns of the marks of `ranges`, for `Live.send`; parameters as there."""
    groups = in_range(result, *chosen, by=by)[: rows.rows]
    shown = [group.pictures[: rows.columns] for group in groups]
    tiles = rows.tiles([len(pictures) for pictures in shown])
    at = np.concatenate([*shown, np.empty(0, np.intp)]).astype(int)
    ids, values = result["image"].values[at].tolist(), result["image_score"].values[at]
    labels, domains = result["image_label"].values[at].tolist(), result["image_domain"].values[at].tolist()
    about = {"url": [urls.get(i, "") for i in ids], "rank": [0] * len(ids), "image_id": ids}
    where = "in the range" if chosen[1] - chosen[0] < WHOLE else "searched"
    words = [score_text(value) for value in values]
    places = zip(tiles.left.tolist(), (tiles.top + tiles.height + 13).tolist(), words, strict=True)
    return {
        **tile_columns(
            tiles, result["image_y"].values[at], result["image_x"].values[at], Region.of(result), theme, about=about
        ),
        **_heading_columns(rows, groups, row_colours(groups, by, theme), where),
        "score": texts(places, 12),
        "hit": {
            **tiles.boxes(grow_px=1),
            "title": words,
            "what": [what(label, domain) for label, domain in zip(labels, domains, strict=True)],
            "image_id": ids,
        },
    }


def _heading_columns(rows: RangeRows, groups: list[Group], colours: list[str], where: str) -> dict[str, Columns]:
    names, notes, links, lines = [], [], [], []
    for top, group in zip(rows.tops(), groups, strict=True):
        found, room = len(group.pictures), rows.width_px - 14
        link = f"Show all {found:,}" if found > rows.columns else ""
        link_px = text_width(link, 12)
        note = f"{found:,} {where}, the {rows.columns} highest" if link else f"{found:,} {where}"
        note_px = text_width(note, 12)
        name = fit(plain(group.name), max(room - note_px - link_px - 24, 60), 13, bold=True)
        end = 14 + text_width(name, 13, bold=True)
        if end + 6 + note_px + link_px + 12 > rows.width_px:
            note = f"{found:,} {where}"
        names.append((14.0, top + 13.0, name))
        notes.append((end + 6, top + 13.0, note))
        links.append((float(rows.width_px), top + 13.0, link))
        if link:
            lines.append((rows.width_px - link_px, top + 15.5))
    under = np.array(lines, float).reshape(-1, 2)
    return {
        "dot": {
            "col": np.full(len(groups), 4.0), "row": np.array(rows.tops()[: len(groups)]) + 9.0, "fill_color": colours,
        },
        "name": texts(names, 13),
        "note": texts(notes, 12),
        "all": texts(links, 12),
        "underline": {
            "left": under[:, 0], "top": under[:, 1], "right": np.full(len(under), float(rows.width_px)),
            "bottom": under[:, 1],
        },
    }  # fmt: skip
