"""Text in pixel space: estimated widths, cutting to fit, and how numbers and names are written."""

import math

# Widths of Liberation Sans (and so of Arial and Helvetica) in thousandths of the font size: regular, bold.
_WIDTHS = {
    letter: widths
    for letters, widths in (
        ("'", (191, 238)),
        ("ijl’", (222, 278)),
        ("|", (260, 280)),
        ("I,./\\ ·", (278, 278)),
        ("ft!:;[]", (278, 333)),
        ("()-`", (333, 333)),
        ("r{}", (333, 389)),
        ('"*', (389, 474)),
        ("zcksvxyJ", (500, 556)),
        ("0123456789ae#$_–", (556, 556)),
        ("+<=>~−×^", (584, 584)),
        ("FTZ", (611, 611)),
        ("EPSVXY", (667, 667)),
        ("ABK&", (667, 722)),
        ("CDHNRU", (722, 722)),
        ("w", (722, 778)),
        ("GOQ", (778, 778)),
        ("M", (833, 833)),
        ("m", (833, 889)),
        ("%", (889, 889)),
        ("W", (944, 944)),
        ("…@", (1000, 1000)),
    )
    for letter in letters
}
_OTHER = (556, 611)  # most lower case letters
_FULL = (1000, 1000)  # East Asian scripts and symbols


def text_width(text: str, size_px: float, *, bold: bool = False) -> float:
    """Estimate the width of a line of text in CSS pixels, in an Arial-like font."""
    total = sum(_WIDTHS.get(letter, _FULL if ord(letter) >= 0x2E80 else _OTHER)[bold] for letter in text)
    return total * size_px / 1000


def fit(text: str, width_px: float, size_px: float, *, bold: bool = False) -> str:
    """Cut a text with an ellipsis so that it is at most `width_px` wide; "" if not even a letter fits."""
    if text_width(text, size_px, bold=bold) <= width_px:
        return text
    for end in range(len(text) - 1, 0, -1):
        cut = text[:end].rstrip() + "…"
        if text_width(cut, size_px, bold=bold) <= width_px:
            return cut
    return ""


def score_text(score: float) -> str:
    """Write a score with three decimals and a true minus sign; "–" where there is none."""
    if not math.isfinite(score):
        return "–"
    text = f"{score:.3f}"
    return text.replace("-", "−") if text != "-0.000" else "0.000"


def plain(name: str, *, missing: str = "none") -> str:
    """Write a domain or label as words: underscores become spaces; an empty one is named."""
    return name.replace("_", " ").strip() or missing


def count_text(n: int, noun: str) -> str:
    """Write "1 picture", "1,120 pictures"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
