"""Domains: every domain's scores on one axis, with the best patch of each, as one figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from vfs_panel.plots.groups import Group, group_names, group_scores, hill, score_range, ticks
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, tooltip, uprights
from vfs_panel.plots.matches import PICTURE_TOOLTIP, hit_mark, what
from vfs_panel.plots.text import count_text, fit, plain, score_text, text_width
from vfs_panel.plots.theme import LIGHT, Theme, domain_colours
from vfs_panel.plots.tiles import Region, Tiles, tile_columns, tile_marks

_TOP = 28  # px, of the first row
_HILL_POINTS = 217
SHAPES = {"hill": "Hill", "violin": "Violin", "box": "Box"}


class _Row(NamedTuple):
    """Measures of one row in CSS pixels, from its top."""

    pitch: int
    thumb: int
    base: int  # the line that the hill stands on
    name: int  # baselines of the words
    note: int


_WIDE, _NARROW = _Row(54, 48, 44, 28, 43), _Row(43, 39, 33, 17, 32)
_DENSE, _THIN = _Row(36, 32, 28, 14, 28), _Row(24, 20, 16, 14, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRows:
    """How the figure of domains is laid out, in CSS pixels.

    Attributes
    ----------
    width_px : of the content; the figure is `theme.BLEED_PX` larger on every side.
    names : the domains, a row each, in the order of the dataset; see `DomainRows.of`.
    with_chance : keep room for the line of chance and its column.
    heading : what the rows are.
    shape : how scores are drawn: one of `SHAPES`.
    """

    width_px: int
    names: tuple[str, ...]
    with_chance: bool = False
    heading: str = "Domain"
    shape: str = "hill"

    @classmethod
    def of(
        cls,
        result: xr.Dataset,
        *,
        width_px: int,
        with_chance: bool = False,
        heading: str = "Domain",
        shape: str = "hill",
    ) -> "DomainRows":
        """Lay out the domains of a result."""
        return cls(
            width_px=width_px,
            names=group_names(result, "domain"),
            with_chance=with_chance,
            heading=heading,
            shape=shape,
        )

    @property
    def wide(self) -> bool:
        """Whether there is room for whole sentences."""
        return self.width_px >= 800

    @property
    def row(self) -> _Row:
        """Measures of a row: thinner where there are many."""
        n = len(self.names)
        return (_WIDE if self.wide else _NARROW) if n <= 5 else _DENSE if n <= 12 else _THIN

    @property
    def one_line(self) -> bool:
        """Whether name and count share a line."""
        return self.row is _THIN

    @property
    def thumb_left(self) -> int:
        """Where the best patches begin: after the longest name, within limits."""
        longest = max((text_width(plain(name), 13, bold=True) for name in self.names), default=0.0)
        room = 13 + longest + 12 + (32 if self.one_line else 0)
        return int(np.clip(np.ceil(room), 112 if self.wide else 104, 188 if self.wide else 136))

    @property
    def plot(self) -> tuple[int, int]:
        """(left, right) of the score axis."""
        column, other = (76, 80) if self.wide else (70, 66)
        right = self.width_px - other - (column if self.with_chance else 0)
        return self.thumb_left + (76 if self.wide else 64), right

    @property
    def columns(self) -> tuple[int, int]:
        """Right edges of the columns "in top k" and "above chance"; equal without chance."""
        last = self.width_px - 2
        return last - ((76 if self.wide else 70) if self.with_chance else 0), last

    @property
    def base(self) -> NDArray[np.int_]:
        """The line that each hill stands on."""
        return _TOP + np.arange(len(self.names)) * self.row.pitch + self.row.base

    @property
    def line(self) -> NDArray[np.int_]:
        """The line that each row's matches lie on: a hill's foot, or the middle of a violin or box."""
        return self.base if self.shape == "hill" else self.base - self.row.base // 2 + 2

    @property
    def height_px(self) -> int:
        """Height of the content."""
        return int(self.base[-1]) + 22 if self.names else _TOP + 22

    def thumbs(self) -> Tiles:
        """Return where the best patches are."""
        tops = self.base - self.row.base
        return Tiles(np.full(len(tops), self.thumb_left), tops, self.row.thumb, self.row.thumb)

    def name_at(self, x: float | None, y: float | None) -> str | None:
        """Return the domain whose row is at a point of the figure, or None."""
        if x is None or y is None or not (np.isfinite(x) and np.isfinite(y)) or not 0 <= x <= self.width_px:
            return None
        row = int((y - _TOP) // self.row.pitch)
        return self.names[row] if 0 <= row < len(self.names) else None


def domains(
    result: xr.Dataset,
    urls: Mapping[str, str],
    rows: DomainRows,
    *,
    theme: Theme = LIGHT,
    background: str | None = None,
    axis: tuple[float, float] | None = None,
    chance: float | None = None,
) -> hv.Overlay:
    """Draw a row for every domain: its best patch, the hill of all its pictures' best scores, and its matches.

    Parameters
    ----------
    result : of `RegionSearch.search`.
    urls : a picture's id -> data URL of the picture as the network sees it.
    rows : layout.
    theme : light or dark.
    background : what is behind the figure; the theme's page colour by default.
    axis : range of the shared score axis; by default `groups.score_range` of the result.
    chance : score that 95 % of random regions stay below; None draws no line.

    Returns
    -------
    Overlay in CSS pixels, y down. `rows.name_at` says what a Tap hit.
    """
    return overlay(
        _marks(rows, theme, background or theme.bg),
        domains_data(result, urls, rows, theme=theme, axis=axis, chance=chance),
        width_px=rows.width_px,
        height_px=rows.height_px,
    )


def _marks(rows: DomainRows, theme: Theme, background: str) -> dict[str, Mark]:
    thumb = rows.row.thumb
    note = theme.text3
    return {
        "gridlines": Mark("segments", {"line_color": theme.grid}),
        "chance": Mark("segments", {"line_color": theme.text2, "line_dash": "3 3"}),
        "hills": Mark("areas", {"fill_alpha": 0.28, "line_width": 1.2}),
        "whisker": Mark("segments", {"line_width": 1.5}),
        "middle": Mark("segments", {"line_width": 5 if rows.shape != "box" else 12}),
        "median": Mark("dots", {"size": 7.2, "fill_color": theme.surface, "line_width": 2}),
        "matches": Mark(
            "dots",
            {"size": 6.4, "fill_color": theme.match, "line_color": background, "line_width": 0.8},
            tooltip(theme, *PICTURE_TOOLTIP),
        ),
        "best": Mark("dots", {"size": 10, "fill_alpha": 0, "line_color": theme.match, "line_width": 2}),
        "best_score": text(12, bold=True, color=theme.text),
        **tile_marks((thumb, thumb), theme, background=background),
        "dot": Mark("dots", {"size": 8, "line_alpha": 0}),
        "name": text(13, bold=True, color=theme.text),
        "count": text(11.5, color=note),
        "number": text(12, align="right", bold=True, color=theme.text),
        "head": text(11.5, color=note),
        "column": text(11.5, align="right", color=note),
        "tick": text(11.5, align="center", color=note),
        "chance_text": text(12, color=theme.text2),
        "hit": hit_mark(theme),
    }


def domains_data(
    result: xr.Dataset,
    urls: Mapping[str, str],
    rows: DomainRows,
    *,
    theme: Theme = LIGHT,
    axis: tuple[float, float] | None = None,
    chance: float | None = None,
) -> dict[str, Columns]:
    """Return the columns of the marks of `domains`, for `Live.send`; parameters as there."""
    low, high = axis or score_range(result)
    known = {group.name: group for group in group_scores(result, "domain")}
    groups = [known.get(name, _NOTHING) for name in rows.names]
    scale = _Scale(low, high, *rows.plot)
    colours = list(domain_colours(rows.names, theme).values())
    return {
        **_axis_columns(rows, result, scale, chance),
        **_hill_columns(rows, groups, scale, colours),
        **_match_columns(rows, groups, scale, result),
        **_thumb_columns(rows, groups, result, urls, theme),
        **_word_columns(rows, groups, chance),
        "dot": {"col": np.full(len(groups), 4.0), "row": _dot_rows(rows), "fill_color": colours},
    }


_NOTHING = Group("", np.empty(0, np.intp), np.empty(0), np.empty(0, np.intp))


class _Scale(NamedTuple):
    """Scores -> pixels."""

    low: float
    high: float
    left: int
    right: int

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        return self.left + (np.asarray(scores, np.float64) - self.low) * self.px_per_score

    @property
    def px_per_score(self) -> float:
        return (self.right - self.left) / (self.high - self.low)


def _axis_columns(rows: DomainRows, result: xr.Dataset, scale: _Scale, chance: float | None) -> dict[str, Columns]:
    bottom = float(rows.base[-1]) if rows.names else float(_TOP)
    marks = ticks(scale.low, scale.high, width_px=scale.right - scale.left)
    at = np.round(scale([value for value, _ in marks]) - 0.5) + 0.5
    head = [(0.0, 16.0, rows.heading), (float(rows.thumb_left), 16.0, "Best patch")]
    columns = [(float(rows.columns[0]), 16.0, f"in top {result.sizes['rank']}")]
    columns.append((scale.left - (18.0 if len(at) and at[0] < scale.left + 18 else 8.0), bottom + 16, "score"))
    line, words = uprights([], 0, 0), []
    if chance is not None:
        columns.append((float(rows.columns[1]), 16.0, f"above {chance:.2f}"))
        sentence = f"95 % of random {'regions score ' if rows.wide else ''}below {chance:.2f}"
        if scale.low <= chance <= scale.high:
            x = float(scale(chance))
            line = uprights([x], 6, bottom)
            room = text_width(sentence, 12)
            words = [(x + 6 if x + 6 + room < rows.columns[0] - 60 else x - 6 - room, 16.0, sentence)]
        else:  # further than any picture scores: an arrow says where
            sentence = f"{sentence} →" if chance > scale.high else f"← {sentence}"
            at_right = max(scale.left, scale.right - text_width(sentence, 12))
            words = [(float(at_right if chance > scale.high else scale.left), 16.0, sentence)]
    return {
        "gridlines": uprights(at, 26, bottom),
        "chance": line,
        "chance_text": texts(words, 12),
        "tick": texts(((x, bottom + 16, word) for x, (_, word) in zip(at, marks, strict=True)), 11.5),
        "head": texts(head, 11.5),
        "column": texts(columns, 11.5),
    }


def _hill_columns(rows: DomainRows, groups: list[Group], scale: _Scale, colours: list[str]) -> dict[str, Columns]:
    at = np.linspace(scale.low, scale.high, _HILL_POINTS)
    hills = np.array([hill(group.scores, at) for group in groups]).reshape(len(groups), len(at))
    tallest = hills.max() or 1.0
    x, line = scale(at), rows.line.astype(float)
    ring = np.concatenate([x, x[::-1]])
    some = [i for i, group in enumerate(groups) if len(group.scores)]
    share = np.array([np.percentile(groups[i].scores, [5, 25, 50, 75, 95]) for i in some]).reshape(-1, 5)
    middle = scale(share)
    ys = []
    for y, own in zip(line, hills, strict=True):
        if rows.shape == "hill":
            up, down = own / tallest * (rows.row.base - 4), np.zeros(len(x))
        else:
            up = down = own / tallest * (rows.row.base - 4) / 2 * (rows.shape == "violin")
        ys.append([[np.concatenate([y - up, (y + down)[::-1]])]])
    boxed = rows.shape == "box"
    return {
        "hills": {
            "xs": [[[ring]]] * len(groups) if not boxed else [],
            "ys": ys if not boxed else [],
            "fill_color": colours if not boxed else [],
            "line_color": colours if not boxed else [],
        },
        "whisker": {
            "left": middle[:, 0] if boxed else [], "top": line[some] if boxed else [],
            "right": middle[:, 4] if boxed else [], "bottom": line[some] if boxed else [],
            "line_color": [colours[i] for i in some] if boxed else [],
        },
        "middle": {
            "left": middle[:, 1], "top": line[some], "right": middle[:, 3], "bottom": line[some],
            "line_color": [colours[i] for i in some],
        },
        "median": {"col": middle[:, 2], "row": line[some], "line_color": [colours[i] for i in some]},
    }  # fmt: skip


def _match_columns(rows: DomainRows, groups: list[Group], scale: _Scale, result: xr.Dataset) -> dict[str, Columns]:
    row_of = {int(rank): i for i, group in enumerate(groups) for rank in group.ranks}
    ranks = np.array(sorted(row_of), int)[::-1]  # the best is drawn last, on top
    scores = result["score"].values[ranks]
    base = rows.line.astype(float)
    some = [i for i, group in enumerate(groups) if len(group.scores)]
    best = np.array([groups[i].scores[0] for i in some])
    best_x, words = scale(best), [score_text(score) for score in best]
    room = [text_width(word, 12, bold=True) for word in words]
    beside = [x + 9 if x + 9 + r <= scale.right + 24 else x - 9 - r for x, r in zip(best_x, room, strict=True)]
    return {
        "matches": {
            "col": scale(scores),
            "row": base[[row_of[int(rank)] for rank in ranks]],
            "title": [f"Match {rank + 1}, {score_text(score)}" for rank, score in zip(ranks, scores, strict=True)],
            "what": [what(result["label"].values[r], result["domain"].values[r]) for r in ranks],
            "image_id": result["image_id"].values[ranks].tolist(),
        },
        "best": {"col": best_x, "row": base[some]},
        "best_score": texts(zip(beside, base[some] - 7, words, strict=True), 12),
    }


def _thumb_columns(
    rows: DomainRows, groups: list[Group], result: xr.Dataset, urls: Mapping[str, str], theme: Theme
) -> dict[str, Columns]:
    some = np.array([len(group.scores) > 0 for group in groups], bool)
    best = np.array([group.pictures[0] for group in groups if len(group.scores)], int)
    tiles = rows.thumbs().take(some)
    ids, labels = result["image"].values[best].tolist(), result["image_label"].values[best].tolist()
    names = [name for name, there in zip(rows.names, some, strict=True) if there]
    scores = result["image_score"].values[best]
    about = {"url": [urls.get(i, "") for i in ids], "rank": [1] * len(ids), "image_id": ids}
    y, x = result["image_y"].values[best], result["image_x"].values[best]
    return {
        **tile_columns(tiles, y, x, Region.of(result), theme, about=about),
        "hit": {
            **tiles.boxes(grow_px=1),
            "title": [f"Best of {plain(n)}, {score_text(s)}" for n, s in zip(names, scores, strict=True)],
            "what": [what(label, name) for label, name in zip(labels, names, strict=True)],
            "image_id": ids,
        },
    }


def _dot_rows(rows: DomainRows) -> NDArray[np.float64]:
    return np.asarray(rows.base - rows.row.base + rows.row.name - 4.5, np.float64)


def _word_columns(rows: DomainRows, groups: list[Group], chance: float | None) -> dict[str, Columns]:
    tops = (rows.base - rows.row.base).tolist()
    counts, numbers = [], []
    end = rows.thumb_left - 12
    name_room = end - 13 - (32 if rows.one_line else 0)
    for top, group in zip(tops, groups, strict=True):
        n = len(group.scores)
        if rows.one_line:
            words = f"{n:,}" if n else "–"
            counts.append((end - text_width(words, 11.5), top + rows.row.note, words))
        else:
            counts.append((13, top + rows.row.note, count_text(n, "picture") if n else "not searched"))
        line = top + rows.row.base - 4
        numbers.append((rows.columns[0], line, f"{len(group.ranks)}"))
        if chance is not None:
            numbers.append((rows.columns[1], line, f"{int((group.scores > chance).sum()):,}"))
    names = [fit(plain(name), name_room, 13, bold=True) for name in rows.names]
    return {
        "name": texts([(13, top + rows.row.name, name) for top, name in zip(tops, names, strict=True)], 13),
        "count": texts(counts, 11.5),
        "number": texts(numbers, 12),
    }
