"""One match, large: its scores over the whole picture, why it matched, and how unusual its score is."""

from collections.abc import Sequence
from dataclasses import dataclass

import holoviews as hv
import numpy as np
from bokeh.palettes import Viridis256
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from vfs_panel.plots.groups import hill, ticks
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, uprights
from vfs_panel.plots.outline import lit_cells
from vfs_panel.plots.text import score_text, text_width
from vfs_panel.plots.theme import LIGHT, Theme
from vfs_panel.plots.thumbnails import data_url
from vfs_panel.plots.tiles import Region, Tiles, corner_mark, edges, rings

MODES = {"picture": "Picture", "heat": "Heat map", "both": "Both"}
SCALE_PX = 60
"""Room for the colour scale beside the heat map."""

_VIRIDIS = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in Viridis256], np.uint8)
_HEAT, _PALE, _HATCH_PX = 0.66, 0.8, 22
_SHARP = 2  # pictures are made at twice the CSS pixels
_SQUARE = {"line_cap": "square", "line_join": "miter"}
_ROW_PX = 20
UNUSUAL_PX, CHANNELS = 98, 6
CHANNELS_PX = _ROW_PX * CHANNELS


def score_scale(scores: ArrayLike) -> float:
    """Return the upper end of a picture's colour scale: the next tenth above its best score."""
    best = float(np.nanmax(np.asarray(scores, float), initial=0.0))
    return min(1.0, max(0.1, np.ceil(best * 10 - 1e-6) / 10))


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of the large view, in CSS pixels, for one window and one shape of picture.

    Attributes
    ----------
    picture : (width, height) of the heat map's picture; the scale takes `SCALE_PX` more.
    right_px : width of what stands beside it.
    window : (h, w) of the region's window, in cells.
    """

    picture: tuple[int, int]
    right_px: int
    window: tuple[int, int]

    @property
    def panel_px(self) -> int:
        """Width of each of the three panels of `why`."""
        return (self.right_px - 24) // 3

    @property
    def panels_px(self) -> int:
        """Height of the panels: as the window needs it, within reason."""
        h, w = self.window
        return round(min(max(self.panel_px * (h + 1) / (w + 1), 60), self.panel_px * 1.05, 150))

    @property
    def crop(self) -> tuple[int, int, float]:
        """(width, height, cell) of a crop: the window with half a cell more on every side."""
        h, w = self.window
        cell = min(self.panel_px / (w + 1), self.panels_px / (h + 1))
        return round(cell * (w + 1)), round(cell * (h + 1)), cell


def heat(columns: dict[str, Columns], size: Size, *, theme: Theme = LIGHT) -> hv.Overlay:
    """Draw every window's score over the picture, each in the middle cell of its window; the match is outlined.

    Parameters
    ----------
    columns : from `heat_data`.
    size : of the figure.
    theme : light or dark.
    """
    width, height = size.picture
    marks = {
        "picture": Mark("patches", {"w": width, "h": height}),
        "corners": corner_mark(theme.bg),
        "casing": Mark("paths", {"color": theme.casing, "line_width": 5, **_SQUARE}),
        "ring": Mark("paths", {"color": theme.outline, "line_width": 2.5, **_SQUARE}),
        "scale": Mark("patches", {"w": 12, "h": height}),
        "scale_text": text(12, color=theme.text3),
        "here": Mark("segments", {"line_color": theme.text, "line_width": 2}),
        "here_text": text(12, bold=True, color=theme.text),
    }
    return overlay(marks, columns, width_px=width + SCALE_PX, height_px=height)


def heat_data(
    frame: NDArray[np.uint8],
    scores: NDArray[np.float32] | None,
    place: tuple[int, int],
    region: Region,
    size: Size,
    *,
    mode: str = "both",
) -> dict[str, Columns]:
    """Return the columns of `heat`, for `Live.send`.

    Parameters
    ----------
    frame : uint8, shape (input_y, input_x, 3): the picture as the network sees it.
    scores : shape (rows, columns), of every window by its top left cell; None while they are worked out, which shows
        the picture alone.
    place : (y, x), top left cell of the window that is outlined.
    region : mask and grid of the query.
    size : of the figure.
    mode : one of `MODES`.
    """
    width, height = size.picture
    if scores is None:
        mode, scores = "picture", np.zeros((place[0] + 1, place[1] + 1), np.float32)
    top = score_scale(scores)
    picture = _heat_picture(frame, scores, region, size.picture, top, mode)
    tile = Tiles(np.zeros(1, int), np.zeros(1, int), width, height)
    ring = rings(tile, [place[0]], [place[1]], region, inset_px=2.5)
    return {
        "picture": {"col": [0], "row": [0], "url": [data_url(picture, max_side_px=2 * max(size.picture), quality=92)]},
        "corners": tile.boxes(grow_px=2),
        "casing": ring,
        "ring": ring,
        **_scale_columns(width + 8, height, top, float(scores[place]), shown=mode != "picture"),
    }


def place_at(
    x: float, y: float, scores: NDArray[np.float32], region: Region, size_px: tuple[int, int]
) -> tuple[int, int] | None:
    """Return (y, x) of the window in whose middle cell a point of `heat` lies; None outside all.

    Parameters
    ----------
    x, y : the point, CSS pixels.
    scores, region : as in `heat`.
    size_px : (width, height) of the picture.
    """
    (rows, columns), (h, w) = region.grid, region.mask.shape
    col = int(np.floor(x / size_px[0] * columns - (w - 1) / 2))
    row = int(np.floor(y / size_px[1] * rows - (h - 1) / 2))
    inside = 0 <= row < scores.shape[0] and 0 <= col < scores.shape[1]
    return (row, col) if inside else None


def _heat_picture(
    frame: NDArray[np.uint8],
    scores: NDArray[np.float32],
    region: Region,
    size_px: tuple[int, int],
    top: float,
    mode: str,
) -> NDArray[np.uint8]:
    width, height = (_SHARP * side for side in size_px)
    shown = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    if mode == "picture":
        return np.round(shown).astype(np.uint8)
    luma = shown @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    shown = np.repeat((luma * _PALE)[..., None], 3, 2)
    (rows, columns), (h, w) = region.grid, region.mask.shape
    steps = np.clip(np.round(np.nan_to_num(scores) / top * 255), 0, 255).astype(int)
    # The middle of an even window lies on the line between two cells.
    xs = np.round((np.arange(scores.shape[1] + 1) + (w - 1) / 2) * width / columns).astype(int)
    ys = np.round((np.arange(scores.shape[0] + 1) + (h - 1) / 2) * height / rows).astype(int)
    colours = _VIRIDIS[steps].repeat(np.diff(ys), 0).repeat(np.diff(xs), 1)
    inside = (slice(ys[0], ys[-1]), slice(xs[0], xs[-1]))
    share = 1.0 if mode == "heat" else _HEAT
    heated = shown[inside] * (1 - share) + colours * share
    at_y, at_x = np.indices((height, width))
    stripes = (at_x + at_y) % (_SHARP * _HATCH_PX) < _SHARP
    shown = np.where(stripes[..., None], 70.0, shown * 0.35 + 255 * 0.65 * _PALE)
    shown[inside] = heated
    return np.round(np.clip(shown, 0, 255)).astype(np.uint8)


def _scale_columns(left: float, height: int, top: float, score: float, *, shown: bool) -> dict[str, Columns]:
    empty_text: Columns = {"col": [], "row": [], "text": []}
    if not shown:
        none: Columns = {"left": [], "top": [], "right": [], "bottom": []}
        return {"scale": {"col": [], "row": [], "url": []}, "scale_text": empty_text, "here": none,
                "here_text": empty_text}  # fmt: skip
    ramp = np.repeat(_VIRIDIS[::-1][:, None], 8, 1)

    def down(value: float) -> float:
        return height * (1 - min(max(value / top, 0), 1))

    at = down(score)
    marks = [(value, words) for value, words in ticks(0, top, width_px=height)]
    words = [
        (left + 20, min(max(down(v) + 4, 9), height), w)
        for v, w in marks
        if abs(min(max(down(v), 5), height) - min(max(at, 5), height)) > 16
    ]
    here = min(max(at, 1), height - 1)
    return {
        "scale": {"col": [left], "row": [0], "url": [data_url(ramp, quality=95)]},
        "scale_text": texts(words, 12),
        "here": {"left": [left + 12], "top": [here], "right": [left + 18], "bottom": [here]},
        "here_text": texts([(left + 20, min(max(here + 4, 9), height), score_text(score))], 12),
    }


def why(columns: dict[str, Columns], size: Size, *, theme: Theme = LIGHT) -> hv.Overlay:
    """Draw the painted and the matched window side by side, and what share of the score each cell carries.

    Parameters
    ----------
    columns : from `why_data`.
    size : of the figure.
    theme : light or dark.
    """
    width, height, _ = size.crop
    marks: dict[str, Mark] = {
        "crops": Mark("patches", {"w": width, "h": height}),
        "round": corner_mark(theme.bg),
    }
    for name, colour in (("painted", theme.outline_query), ("matched", theme.outline)):
        marks[f"{name}_casing"] = Mark("paths", {"color": theme.casing, "line_width": 4.5, **_SQUARE})
        marks[f"{name}_ring"] = Mark("paths", {"color": colour, "line_width": 2, **_SQUARE})
    marks |= {
        "shares": Mark("rectangles", {"line_alpha": 0}),
        "share_grid": Mark("segments", {"line_color": theme.line, "line_width": 1}),
        "share_text": text(_share_font(size) or 10),
        "captions": text(12, color=theme.text2),
    }
    return overlay(marks, columns, width_px=size.right_px, height_px=size.panels_px + 20)


def why_data(
    painted: tuple[NDArray[np.uint8], int, int],
    matched: tuple[NDArray[np.uint8], int, int],
    shares: NDArray[np.float32],
    region: Region,
    size: Size,
    *,
    theme: Theme = LIGHT,
) -> dict[str, Columns]:
    """Return the columns of `why`, for `Live.send`.

    Parameters
    ----------
    painted, matched : (picture as the network sees it, y, x of the window's top left cell).
    shares : shape (h, w), summing to 1; below 0 where cells disagree.
    region : mask and grid of the query.
    size : of the figure.
    theme : light or dark.
    """
    (h, w), (width, height, cell) = size.window, size.crop
    lefts = [round(i * (size.panel_px + 12) + (size.panel_px - width) / 2) for i in range(3)]
    top = round((size.panels_px - height) / 2)
    crops = [_crop(*part, region, (width, height)) for part in (painted, matched)]
    columns: dict[str, Columns] = {
        "crops": {"col": lefts[:2], "row": [top, top], "url": [data_url(c, max_side_px=2 * width) for c in crops]},
        "round": Tiles(np.array(lefts[:2]), np.array([top, top]), width, height).boxes(grow_px=2),
    }
    for name, left in zip(("painted", "matched"), lefts[:2], strict=True):
        inner_left, inner_top = np.array([round(left + cell / 2)]), np.array([round(top + cell / 2)])
        inner = Tiles(inner_left, inner_top, round(cell * w), round(cell * h))
        ring = rings(inner, [0], [0], Region(region.mask, (h, w)), inset_px=0)
        columns |= {f"{name}_casing": ring, f"{name}_ring": ring}
    words = ("Painted", "Matched", "Share of the score, %")
    captions = [(float(i * (size.panel_px + 12)), size.panels_px + 16.0, said) for i, said in enumerate(words)]
    return {**columns, **_share_columns(shares, (lefts[2], top), size, theme), "captions": texts(captions, 12)}


def _share_font(size: Size) -> int:
    """Return the font size of the numbers in the cells; 0 where they do not fit."""
    h, w = size.window
    cell = min(size.crop[0] / w, size.crop[1] / h)
    return 12 if cell >= 20 else 10 if cell >= 15 else 0


def _crop(frame: NDArray[np.uint8], y: int, x: int, region: Region, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Cut a window with half a cell more on every side; what lies outside the picture is grey."""
    (rows, columns), (h, w) = region.grid, region.mask.shape
    step_y, step_x = frame.shape[0] / rows, frame.shape[1] / columns
    box = ((x - 0.5) * step_x, (y - 0.5) * step_y, (x + w + 0.5) * step_x, (y + h + 0.5) * step_y)
    size = (2 * size[0], 2 * size[1])
    transform = ((box[2] - box[0]) / size[0], 0, box[0], 0, (box[3] - box[1]) / size[1], box[1])
    image = Image.fromarray(frame).transform(
        size, Image.Transform.AFFINE, transform, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)
    )
    return np.asarray(image)


def _share_columns(
    shares: NDArray[np.float32], corner: tuple[int, int], size: Size, theme: Theme
) -> dict[str, Columns]:
    h, w = shares.shape
    xs, ys = corner[0] + edges(w, size.crop[0]), corner[1] + edges(h, size.crop[1])
    most = max(float(np.abs(shares).max()), 1e-9)
    rows, columns = np.nonzero(np.abs(shares) >= 0.005)
    values = shares[rows, columns]
    alpha = np.clip(np.abs(values) / most, 0.06, 1) * 0.85
    cells: Columns = {
        "left": xs[columns], "top": ys[rows], "right": xs[columns + 1], "bottom": ys[rows + 1],
        "fill_alpha": alpha, "fill_color": [theme.match if v > 0 else theme.text3 for v in values.tolist()],
    }  # fmt: skip
    font = _share_font(size)
    written = []
    colours = []
    for row, column, value, strength in zip(
        rows.tolist(), columns.tolist(), values.tolist(), alpha.tolist(), strict=True
    ):
        words = f"{100 * value:.0f}".replace("-", "−")
        if font and words not in ("0", "−0"):
            middle = (xs[column] + xs[column + 1]) / 2 - text_width(words, font) / 2
            written.append((float(middle), float((ys[row] + ys[row + 1]) / 2 + font * 0.36), words))
            strong = strength > 0.5
            colours.append(("#FFFFFF" if theme.name == "light" else "#101317") if strong and value > 0 else theme.text)
    lines = np.concatenate([xs, np.full(h + 1, xs[0])]), np.concatenate([np.full(w + 1, ys[0]), ys])
    ends = np.concatenate([xs, np.full(h + 1, xs[-1])]), np.concatenate([np.full(w + 1, ys[-1]), ys])
    return {
        "shares": cells,
        "share_grid": {"left": lines[0], "top": lines[1], "right": ends[0], "bottom": ends[1]},
        "share_text": {**texts(written, font or 10), "text_color": colours},
    }


def unusual(columns: dict[str, Columns], size: Size, *, theme: Theme = LIGHT) -> hv.Overlay:
    """Draw where a score lies among random regions and among the pictures of its own domain.

    Parameters
    ----------
    columns : from `unusual_data`.
    size : of the figure.
    theme : light or dark.
    """
    marks: dict[str, Mark] = {"grid": Mark("segments", {"line_color": theme.grid, "line_width": 1})}
    for number, alpha in ((0, 0.22), (1, 0.3)):
        marks[f"hill{number}"] = Mark("areas", {"fill_alpha": alpha, "line_alpha": 0})
        marks[f"edge{number}"] = Mark("paths", {"line_width": 1.2})
    marks |= {
        "foot": Mark("segments", {"line_color": theme.line2, "line_width": 1}),
        "match": Mark("segments", {"line_color": theme.match, "line_width": 2}),
        "names": text(12, color=theme.text2),
        "ticks": text(12, align="center", color=theme.text3),
        "said": text(12, bold=True, color=theme.text),
    }
    return overlay(marks, columns, width_px=size.right_px, height_px=UNUSUAL_PX)


def unusual_data(
    score: float,
    random_scores: ArrayLike | None,
    own_scores: ArrayLike,
    own_name: str,
    own_colour: str,
    size: Size,
    *,
    theme: Theme = LIGHT,
) -> dict[str, Columns]:
    """Return the columns of `unusual`, for `Live.send`.

    Parameters
    ----------
    score : of the match.
    random_scores : of random regions; None until they are known.
    own_scores : best scores of the pictures of the match's domain.
    own_name, own_colour : words for these pictures, and the domain's colour.
    size : of the figure.
    theme : light or dark.
    """
    foot, width = UNUSUAL_PX - 20, size.right_px
    groups = [
        (np.asarray([] if random_scores is None else random_scores, float), "random regions", theme.text3),
        (np.asarray(own_scores, float), own_name, own_colour),
    ]
    groups = [(scores[np.isfinite(scores)], name, colour) for scores, name, colour in groups]
    values = np.concatenate([*(scores for scores, _, _ in groups), np.array([score])])
    low = min(0.0, np.floor(values.min() * 20) / 20)
    high = min(1.0, np.ceil((values.max() + 0.02) * 20) / 20)

    def across(value: ArrayLike) -> NDArray[np.float64]:
        return (np.asarray(value, np.float64) - low) / (high - low) * width

    at = np.linspace(low, high, 240)
    shown = [(v, w) for v, w in ticks(low, high, width_px=width) if 8 < across(v) < width - 8]
    columns: dict[str, Columns] = {"grid": uprights(across([v for v, _ in shown]), 18, foot)}
    names: list[tuple[float, float, str]] = []
    taken: list[tuple[float, float, float]] = []
    for number, (scores, name, colour) in enumerate(groups):
        empty: Columns = {"xs": [], "ys": []}
        columns |= {f"hill{number}": {**empty, "fill_color": []}, f"edge{number}": {**empty, "line_color": []}}
        if not len(scores):
            continue
        density = hill(scores, at)
        xs, ys = across(at), foot - density / max(float(density.max()), 1e-12) * (foot - 26)
        round_x, round_y = np.concatenate([xs, xs[::-1]]), np.concatenate([ys, np.full(len(xs), float(foot))])
        columns |= {
            f"hill{number}": {"xs": [[[round_x]]], "ys": [[[round_y]]], "fill_color": [colour]},
            f"edge{number}": {"xs": [xs], "ys": [ys], "line_color": [colour]},
        }
        names.append(_beside(name, xs, ys, taken, width, avoid=float(across(score))))
    line_x = float(across(score))
    said = f"this match {score_text(score)}"
    wide = text_width(said, 12, bold=True)
    return columns | {
        "foot": {"left": [0], "top": [foot], "right": [width], "bottom": [foot]},
        "match": uprights([line_x], 16, foot),
        "names": texts(names, 12),
        "ticks": texts([(float(across(v)), foot + 15.0, w) for v, w in shown], 12),
        "said": texts([(min(max(line_x - wide / 2, 0), width - wide), 12.0, said)], 12),
    }


def _beside(
    name: str, xs: NDArray[np.float64], rows: NDArray[np.float64], taken: list[tuple[float, float, float]],
    width_px: int, *, avoid: float,
) -> tuple[float, float, str]:  # fmt: skip
    """Find a place for a hill's name on its right flank, off the match's line and off other names."""
    wide = text_width(name, 12)
    peak = int(np.argmin(rows))
    for share in (0.5, 0.3, 0.7, 0.15):
        level = rows[peak] + (rows.max() - rows[peak]) * share
        after = np.flatnonzero(rows[peak:] >= level)
        x = float(xs[peak + after[0]] if len(after) else xs[peak]) + 6
        y = float(level)
        x = min(x, width_px - wide)
        crosses = x - 4 < avoid < x + wide + 4
        clash = any(abs(y - other_y) < 14 and x < right and left < x + wide for left, right, other_y in taken)
        if not crosses and not clash:
            break
    taken.append((x, x + wide, y))
    return x, y, name


def channels(columns: dict[str, Columns], *, width_px: int, theme: Theme = LIGHT) -> hv.Overlay:
    """Draw the channels that carry most of a score as bars; `columns` from `channels_data` of this width."""
    marks = {
        "bars": Mark("rectangles", {"fill_color": theme.match, "line_alpha": 0}),
        "names": text(12, color=theme.text2),
        "shares": text(12, color=theme.text),
    }
    return overlay(marks, columns, width_px=width_px, height_px=CHANNELS_PX)


def channels_data(top: Sequence[tuple[int, float]], *, width_px: int) -> dict[str, Columns]:
    """Return the columns of `channels`, for `Live.send`.

    Parameters
    ----------
    top : (channel, share of the score), largest first, at most `CHANNELS`.
    width_px : of the figure.
    """
    label_px, number_px = 84, 48
    most = max((share for _, share in top), default=0.0) or 1.0
    room = width_px - label_px - number_px
    middles = [_ROW_PX * i + _ROW_PX / 2 for i in range(len(top))]
    lengths = [max(1.0, room * max(share, 0) / most) for _, share in top]
    bars: Columns = {
        "left": [float(label_px)] * len(top), "top": [m - 4 for m in middles],
        "right": [label_px + length for length in lengths], "bottom": [m + 4 for m in middles],
    }  # fmt: skip
    names = [(0.0, m + 4, f"channel {channel}") for m, (channel, _) in zip(middles, top, strict=True)]
    shares = [
        (label_px + length + 8, m + 4, f"{100 * share:.1f} %")
        for m, length, (_, share) in zip(middles, lengths, top, strict=True)
    ]
    return {"bars": bars, "names": texts(names, 12), "shares": texts(shares, 12)}


def carried_by_outlined(shares: NDArray[np.float32], mask: NDArray[np.float32]) -> tuple[int, float]:
    """Return how many cells are outlined, and what share of the score they carry together."""
    lit = lit_cells(mask)
    return int(lit.sum()), float(shares[lit].sum())
