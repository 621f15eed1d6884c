"""Contrast by WCAG 2.1; difference of colours in OKLab (Ottosson 2020), also as seen by colour-blind people
(Machado, Oliveira, Fernandes 2009, severity 1)."""

from itertools import combinations

import numpy as np
import pytest

from vfs_panel.plots.theme import DARK, LIGHT, Theme, domain_colours

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    light, dark = sorted((linear(c) @ [0.2126, 0.7152, 0.0722] for c in (a, b)), reverse=True)
    return float((light + 0.05) / (dark + 0.05))


def oklab(colour: str, sight: object) -> np.ndarray:
    rgb = np.clip(np.array(sight) @ linear(colour), 0, 1)
    to_lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
              [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
              [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.array(to_lab) @ np.cbrt(np.array(to_lms) @ rgb)


@THEMES
@pytest.mark.parametrize("ground", ["bg", "surface"])
def test_words_and_marks_can_be_read(theme: Theme, ground: str) -> None:
    on = getattr(theme, ground)
    for name in ("text", "text2", "text3", "query_text", "match_text", "error"):
        assert contrast(getattr(theme, name), on) >= 4.5, name
    for colour in (theme.query, theme.match, theme.line2, theme.other, *theme.domains):
        assert contrast(colour, on) >= 3, colour
    assert contrast(theme.on_primary, theme.primary) >= 4.5
    assert contrast(theme.error, theme.error_bg) >= 4.5


@THEMES
@pytest.mark.parametrize("sight", SIGHTS)
def test_domains_differ_for_every_sight(theme: Theme, sight: str) -> None:
    seen = {colour: oklab(colour, SIGHTS[sight]) for colour in (*theme.domains, theme.query, theme.match)}
    for a, b in combinations(theme.domains, 2):
        assert np.linalg.norm(seen[a] - seen[b]) >= 0.11, (a, b)
    for a in theme.domains:
        for b in (theme.query, theme.match):
            assert np.linalg.norm(seen[a] - seen[b]) >= 0.08, (a, b)


@THEMES
def test_domains_take_colours_in_order_and_then_share_one(theme: Theme) -> None:
    colours = domain_colours(["b", "a", "b", "c", "d", "e", "f"], theme)
    assert list(colours) == ["b", "a", "c", "d", "e", "f"]
    assert [*colours.values()] == [*theme.domains, theme.other, theme.other]
