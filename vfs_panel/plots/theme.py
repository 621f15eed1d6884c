"""Tokens of the visual language, light and dark: colours, fonts, domain colours, and a bare figure's options."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

FONT = '"Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif'
BLEED_PX = 4  # each figure is this much wider and higher than its content, so that outlines at the edge are whole


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by what they mean. Orange is the query, blue a match; nothing else is orange or blue.

    Attributes
    ----------
    bg, surface, inset : page; query column and fields; pressed and empty places.
    text, text2, text3 : for reading; second; notes.
    line, line2, grid : decoration; edges of controls; lines behind data.
    query, query_text, match, match_text : marks and words of the two.
    error, error_bg, primary, on_primary : error panels, and the one primary button.
    domains : colours of the first four domains; later ones are `other`.
    other : the one grey of later domains, labels and "all together".
    """

    name: str
    bg: str
    surface: str
    inset: str
    text: str
    text2: str
    text3: str
    line: str
    line2: str
    grid: str
    query: str
    query_text: str
    match: str
    match_text: str
    error: str
    error_bg: str
    primary: str
    on_primary: str
    domains: tuple[str, str, str, str]
    other: str
    # On pictures both themes are the same: a picture brings its own light.
    outline: str = "#2F6BFF"
    outline_query: str = "#FF7A26"
    casing: str = "#FFFFFF"
    veil: str = "#0A0C0F"
    veil_alpha: float = 0.32


LIGHT = Theme(
    name="light",
    bg="#F6F7F9",
    surface="#FFFFFF",
    inset="#EEF1F4",
    text="#16191D",
    text2="#4A5260",
    text3="#626C7A",
    line="#DCE1E7",
    line2="#858F9D",
    grid="#E8EBEF",
    query="#D9480F",
    query_text="#B84300",
    match="#2B5CE6",
    match_text="#1F4BD1",
    error="#B3261E",
    error_bg="#FDEDEC",
    primary="#16191D",
    on_primary="#FFFFFF",
    domains=("#0A9C79", "#A5217B", "#60490B", "#272C35"),
    other="#6F7885",
)
DARK = Theme(
    name="dark",
    bg="#101317",
    surface="#171B21",
    inset="#1F252D",
    text="#E9EDF2",
    text2="#B4BDC9",
    text3="#929DAC",
    line="#2C343E",
    line2="#6C7787",
    grid="#252C35",
    query="#FF8A3D",
    query_text="#FF8A3D",
    match="#82A5FF",
    match_text="#82A5FF",
    error="#FF8A80",
    error_bg="#2E1A19",
    primary="#E9EDF2",
    on_primary="#16191D",
    domains=("#AFF0E6", "#A247A6", "#F0D55E", "#969798"),
    other="#7C8694",
)


def domain_colours(names: Iterable[str], theme: Theme = LIGHT) -> dict[str, str]:
    """Give each domain its colour, in order of appearance; the fifth and later share one grey.

    A colour always stands beside the domain's name: it is never the only cue, and text is never set in it.

    Parameters
    ----------
    names : domains in the order of the dataset; repeats are ignored.
    theme : whose colours.

    Returns
    -------
    Colour by name, in order of appearance.
    """
    ordered = dict.fromkeys(names)
    palette = list(theme.domains) + [theme.other] * max(0, len(ordered) - len(theme.domains))
    return dict(zip(ordered, palette, strict=False))


def bare_figure(width_px: float, height_px: float) -> dict[str, Any]:
    """Return the HoloViews options of a figure whose unit is one CSS pixel, y down, with nothing round the data.

    The content spans 0..width_px and 0..height_px; the figure is `BLEED_PX` larger on every side. Place it with a
    CSS margin of -BLEED_PX where it must line up with what is round it.
    """
    width, height = round(width_px), round(height_px)
    return {
        "width": width + 2 * BLEED_PX,
        "height": height + 2 * BLEED_PX,
        # Bokeh draws everything half a pixel to the right and down; this takes it back, so that edges are sharp.
        "xlim": (0.5 - BLEED_PX, width + BLEED_PX + 0.5),
        "ylim": (0.5 - BLEED_PX, height + BLEED_PX + 0.5),
        "invert_yaxis": True,
        "xaxis": None,
        "yaxis": None,
        "toolbar": None,
        "default_tools": [],
        "active_tools": [],
        "show_frame": False,
        "show_legend": False,
        "shared_axes": False,
        "padding": 0,
        "normalize": False,
        "border": 0,
        "hooks": [undress],
    }


def undress(plot: Any, _element: Any) -> None:
    """Take away what HoloViews has no option for: the backgrounds, the outline and Bokeh's own margins."""
    figure = plot.state
    figure.update(
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_width=0,
        min_border=0,
        match_aspect=False,
        lod_threshold=None,
        output_backend="canvas",  # WebGL draws no dashes, and small marks beside their place
    )
