"""Groups against others: the share of pairs each group wins, with its interval, as rows of one figure."""

from collections.abc import Mapping
from dataclasses import dataclass

import holoviews as hv
import numpy as np

from vfs_panel.analysis.statistics import Comparison
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, uprights
from vfs_panel.plots.text import fit, plain, text_width
from vfs_panel.plots.theme import LIGHT, Theme

MOST_ROWS = 12
_TOP, _PITCH = 30, 32
_NARROW_PX = 180  # of the axis


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticRows:
    """How the figure is laid out, in CSS pixels.

    Attributes
    ----------
    width_px : of the content.
    n : how many rows.
    """

    width_px: int
    n: int

    @property
    def wide(self) -> bool:
        """Whether there is room for all columns."""
        return self.width_px >= 640

    @property
    def plot(self) -> tuple[int, int]:
        """(left, right) of the axis."""
        return (220, self.width_px - 260) if self.wide else (120, self.width_px - 120)

    @property
    def columns(self) -> dict[str, int]:
        """Right edges of the columns of numbers."""
        w = self.width_px - 2
        if self.wide:
            return {"pairs won": w - 166, "delta": w - 96, "p, corrected": w}
        return {"pairs won": w - 62, "p, corrected": w}

    @property
    def height_px(self) -> int:
        """Height of the content."""
        return _TOP + self.n * _PITCH + 22

    def row_at(self, x: float | None, y: float | None) -> int | None:
        """Return which row, from 0, is at a point of the figure."""
        if x is None or y is None or not (np.isfinite(x) and np.isfinite(y)) or not 0 <= x <= self.width_px:
            return None
        row = int((y - _TOP) // _PITCH)
        return row if 0 <= row < self.n else None


def statistics(columns: dict[str, Columns], rows: StatisticRows, *, theme: Theme = LIGHT) -> hv.Overlay:
    """Draw a row for every group: its name, n, and the share of pairs it wins, with its 95 % interval.

    Parameters
    ----------
    columns : from `statistics_data`.
    rows : layout.
    theme : light or dark.
    """
    marks = {
        "chosen": Mark("rectangles", {"fill_color": theme.inset, "line_alpha": 0}, radius_px=6),
        "grid": Mark("segments", {"line_color": theme.grid, "line_width": 1}),
        "even": Mark("segments", {"line_color": theme.text2, "line_width": 1, "line_dash": "3 3"}),
        "whisker": Mark("segments", {"line_width": 2}),
        "estimate": Mark("dots", {"size": 9, "line_color": theme.bg, "line_width": 1}),
        "dot": Mark("dots", {"size": 8, "line_alpha": 0}),
        "name": text(13, bold=True, color=theme.text),
        "n": text(11.5, align="right", color=theme.text3),
        "number": text(12, align="right", color=theme.text),
        "head": text(11.5, color=theme.text3),
        "head_right": text(11.5, align="right", color=theme.text3),
        "tick": text(11.5, align="center", color=theme.text3),
        "even_text": text(11.5, align="center", color=theme.text2),
    }
    return overlay(marks, columns, width_px=rows.width_px, height_px=rows.height_px)


def statistics_data(
    comparison: Comparison,
    rows: StatisticRows,
    *,
    column: str,
    chosen: str = "",
    colours: Mapping[str, str] | None = None,
    theme: Theme = LIGHT,
) -> dict[str, Columns]:
    """Return the columns of `statistics`, for `Live.send`.

    Parameters
    ----------
    comparison : from `analysis.statistics.compare_groups`; its first rows are drawn.
    rows : layout.
    column : what the groups are values of.
    chosen : the group that the sentence is about.
    colours : of groups that have one, such as domains.
    theme : light or dark.
    """
    table = comparison.table.iloc[: rows.n]
    left, right = rows.plot
    names = [str(name) for name in table.index]
    middles = _TOP + np.arange(len(table)) * _PITCH + _PITCH / 2
    colour = [(colours or {}).get(name, theme.other) for name in names]
    known = table["auroc"].notna().to_numpy(bool)

    def across(share: object) -> np.ndarray:
        return left + np.asarray(share, float) * (right - left)

    bottom = float(_TOP + rows.n * _PITCH)
    marks = [(0.0, "0 %"), (0.25, "25 %"), (0.75, "75 %"), (1.0, "100 %")]
    if right - left < _NARROW_PX:  # the words would touch
        marks = [marks[0], marks[-1]]
    edges = rows.columns
    number: list[tuple[float, float, str]] = []
    for y, (_, row) in zip(middles.tolist(), table.iterrows(), strict=True):
        said = _numbers(row)
        number += [(float(edges[name]), y + 4, said[name]) for name in edges]
    at = names.index(chosen) if chosen in names else None
    box = [float(_TOP + at * _PITCH)] if at is not None else []
    where = [kept for kept, flag in enumerate(known) if flag]
    name_room = left - 16 - (66 if rows.wide else 44) - 12
    return {
        "chosen": {
            "left": [-4.0] * len(box), "top": box, "right": [rows.width_px + 4.0] * len(box),
            "bottom": [top + _PITCH for top in box],
        },
        "grid": uprights(across([share for share, _ in marks]), _TOP, bottom),
        "even": uprights(across([0.5]), _TOP - 6, bottom),
        "whisker": {
            "left": across(table["low"].to_numpy()[where]), "top": middles[where],
            "right": across(table["high"].to_numpy()[where]), "bottom": middles[where],
            "line_color": [colour[i] for i in where],
        },
        "estimate": {
            "col": across(table["auroc"].to_numpy()[where]), "row": middles[where],
            "fill_color": [colour[i] for i in where],
        },
        "dot": {"col": np.full(len(table), 4.0), "row": middles - 0.5, "fill_color": colour},
        "name": texts(
            [(13.0, y + 4, fit(plain(name), name_room, 13, bold=True)) for y, name in zip(middles, names, strict=True)],
            13,
        ),
        "n": texts(
            [(left - 14.0, y + 4, _pictures(int(n), wide=rows.wide)) for y, n in zip(middles, table["n"], strict=True)],
            11.5,
        ),
        "number": texts(number, 12),
        "head": texts([(0.0, 14.0, plain(column).capitalize())], 11.5),
        "head_right": texts([(float(x), 14.0, name) for name, x in edges.items()], 11.5),
        "tick": texts([(float(across(share)), bottom + 15, words) for share, words in marks], 11.5),
        "even_text": texts([(float(across(0.5)), 14.0, "no difference: 50 % of pairs")], 11.5)
        if text_width("no difference: 50 % of pairs", 11.5) < right - left
        else texts([(float(across(0.5)), 14.0, "50 %")], 11.5),
    }  # fmt: skip


def _pictures(n: int, *, wide: bool) -> str:
    return f"{n:,} pictures" if wide and n != 1 else f"{n:,} picture" if wide else f"{n:,}"


def _numbers(row: object) -> dict[str, str]:
    auroc, delta, p = (float(row[name]) for name in ("auroc", "delta", "p_holm"))  # type: ignore[index]
    if not np.isfinite(auroc):
        return {"pairs won": "too few", "delta": "–", "p, corrected": "–"}
    return {
        "pairs won": f"{100 * auroc:.0f} %",
        "delta": f"{delta:+.2f}".replace("-", "−"),
        "p, corrected": "< 0.001" if p < 0.001 else f"{p:.3f}",
    }
