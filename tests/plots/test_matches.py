from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from vfs_panel.plots.matches import MatchGrid, matches, matches_data
from vfs_panel.plots.text import text_width
from vfs_panel.plots.theme import BLEED_PX, DARK, LIGHT

from .conftest import make_result, source_of

URLS = {f"picture/{i:03d}": f"data:image/jpeg;base64,{i}" for i in range(40)}
GRID = MatchGrid(width_px=992)


def lengths(columns: dict[str, Any]) -> set[int]:
    return {len(column) for column in columns.values()}


def test_patches_are_the_matches_by_rank(result: xr.Dataset) -> None:
    data = matches_data(result, URLS, GRID)
    patches = data["patches"]
    assert patches["image_id"] == result["image_id"].values.tolist()
    assert patches["url"] == [URLS[i] for i in patches["image_id"]]
    assert patches["rank"] == list(range(1, 13))
    assert data["score"]["text"] == [f"{score:.3f}" for score in result["score"].values]
    assert data["label"]["text"][0] == str(result["label"].values[0]).replace("_", " ")
    assert data["dot"]["fill_color"][0] in LIGHT.domains


@pytest.mark.parametrize("caption", ["card", "strip", "score", "none"])
@pytest.mark.parametrize("k", [0, 1, 5, 12])
def test_every_place_has_a_patch_or_is_dashed(caption: Any, k: int) -> None:
    result = make_result(k=k)
    data = matches_data(result, URLS, MatchGrid(width_px=656, caption=caption))
    assert all(len(lengths(columns)) == 1 for columns in data.values())
    assert (len(data["patches"]["url"]), len(data["places"]["left"])) == (k, 12 - k)


def test_more_matches_than_places_are_left_out() -> None:
    data = matches_data(make_result(k=30), URLS, GRID)
    assert len(data["patches"]["url"]) == 12
    assert len(data["places"]["left"]) == 0


def test_before_a_search_there_are_places_only() -> None:
    data = matches_data(None, {}, GRID)
    assert len(data["places"]["left"]) == 12
    assert all(len(columns[next(iter(columns))]) == 0 for name, columns in data.items() if name != "places")


def test_a_picture_without_a_thumbnail_keeps_its_words(result: xr.Dataset) -> None:
    data = matches_data(result, {}, GRID)
    assert data["patches"]["url"] == [""] * 12
    assert len(data["score"]["text"]) == 12


def test_the_selected_match_is_framed(result: xr.Dataset) -> None:
    data = matches_data(result, URLS, GRID, selected=3)
    tiles = GRID.tiles()
    assert data["selected"]["left"].tolist() == [tiles.left[2] - 3]
    assert len(matches_data(result, URLS, GRID)["selected"]["left"]) == 0


@pytest.mark.parametrize(("width_px", "columns"), [(992, 6), (656, 6), (380, 3)])
def test_words_of_a_card_stay_under_their_patch_and_apart(width_px: int, columns: int) -> None:
    result = make_result(k=100, n_images=200)
    result["label"] = ("rank", np.full(100, "a label that is far too long for its patch"))
    grid = MatchGrid(width_px=width_px, places=100, columns=columns)
    data, tiles = matches_data(result, URLS, grid), grid.tiles()
    score_px, label_px = (14, 12) if grid.tile[0] < 130 else (16, 13)

    def room(name: str, size_px: float) -> Any:
        return np.array([text_width(words, size_px, bold=name == "score") for words in data[name]["text"]])

    rank_end = data["rank"]["col"] + room("rank", 12)
    score_end = data["score"]["col"] + room("score", score_px)
    label_start = data["label"]["col"] - room("label", label_px)
    assert (data["rank"]["col"] == tiles.left).all()
    assert (data["score"]["col"] >= rank_end).all()
    assert (label_start >= score_end).all()
    assert (data["label"]["col"] == tiles.left + grid.tile[0]).all()
    assert data["label"]["text"][0].endswith("…")
    assert (data["domain"]["col"] + room("domain", 12) <= tiles.left + grid.tile[0]).all()


def test_rank_and_score_fit_under_the_smallest_strip() -> None:
    grid = MatchGrid(width_px=656, columns=12, caption="strip")
    data = matches_data(make_result(), URLS, grid)
    end = data["score"]["col"] + [text_width(words, 12) for words in data["score"]["text"]]
    assert (end <= grid.tiles().left + grid.tile[0]).all()


@given(st.integers(1, 40), st.sampled_from([3, 6, 12]), st.sampled_from([380, 656, 992]), st.data())
def test_a_point_of_a_patch_finds_its_place(places: int, columns: int, width_px: int, data: Any) -> None:
    grid = MatchGrid(width_px=width_px, places=places, columns=columns)
    tiles = grid.tiles()
    place = data.draw(st.integers(0, places - 1))
    x = tiles.left[place] + data.draw(st.floats(0, 0.99)) * grid.tile[0]
    y = tiles.top[place] + data.draw(st.floats(0, 0.99)) * (grid.tile[1] + grid.caption_px)
    assert grid.place_at(x, y) == place
    assert 0 <= x < width_px
    assert 0 <= y < grid.height_px + 1


def test_between_and_beside_patches_is_no_place() -> None:
    assert GRID.place_at(GRID.tile[0] + 6, 10) is None
    assert GRID.place_at(-1, 10) is None
    assert GRID.place_at(10, GRID.height_px + 20) is None
    assert GRID.place_at(None, None) is None
    assert GRID.place_at(float("nan"), 3) is None


def test_pictures_that_are_not_square_keep_their_shape() -> None:
    grid = MatchGrid(width_px=992, aspect=1.5)
    assert grid.tile[0] / grid.tile[1] == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_drawn_figure_is_a_bare_one_of_its_size(result: xr.Dataset, draw: Callable[[Any], Any], theme: Any) -> None:
    element = matches(result, URLS, GRID, theme=theme, selected=1)
    figure = draw(element)
    assert (figure.width, figure.height) == (992 + 2 * BLEED_PX, GRID.height_px + 2 * BLEED_PX)
    assert figure.x_range.end - figure.x_range.start == figure.width  # a unit is a pixel
    assert figure.y_range.start > figure.y_range.end  # y points down
    assert not [axis for axis in (*figure.xaxis, *figure.yaxis) if axis.visible]
    assert figure.toolbar_location is None
    assert source_of(figure, element, "patches").data["url"] == [URLS[i] for i in result["image_id"].values]


@pytest.mark.parametrize("k", [0, 1, 3, 12])
def test_all_patches_are_drawn_by_one_glyph(draw: Callable[[Any], Any], k: int) -> None:
    figure = draw(matches(make_result(k=k), URLS, GRID))
    glyphs = [type(renderer.glyph).__name__ for renderer in figure.renderers]
    assert glyphs.count("ImageURL") == 1
    assert len(glyphs) == len(draw(matches(make_result(), URLS, GRID)).renderers)
