import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfs_panel.plots.text import count_text, fit, plain, score_text, text_width


@given(st.text(), st.floats(0, 300), st.booleans())
def test_a_cut_text_fits_and_is_the_beginning(words: str, width_px: float, bold: bool) -> None:
    cut = fit(words, width_px, 12, bold=bold)
    assert text_width(cut, 12, bold=bold) <= width_px
    assert cut == words or cut == "" or (cut.endswith("…") and words.startswith(cut[:-1]))


def test_widths_are_those_of_arial() -> None:
    assert text_width("0.642", 16, bold=True) == pytest.approx(40.03, abs=0.05)
    assert text_width("giraffe", 13) == pytest.approx(36.13, abs=0.01)


@pytest.mark.parametrize(
    ("score", "words"),
    [(0.6424, "0.642"), (-0.05, "−0.050"), (-0.0001, "0.000"), (1.0, "1.000"), (float("nan"), "–")],
)
def test_scores(score: float, words: str) -> None:
    assert score_text(score) == words


def test_names_and_counts() -> None:
    assert plain("art_painting") == "art painting"
    assert plain("") == "none"
    assert count_text(1, "picture") == "1 picture"
    assert count_text(1120, "picture") == "1,120 pictures"
