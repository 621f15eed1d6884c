"""The large view's figures: what is drawn lies where it belongs."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vfs_panel.plots import detail
from vfs_panel.plots.theme import DARK
from vfs_panel.plots.tiles import Region

MASK = np.ones((2, 3), np.float32)
REGION = Region(MASK, (8, 8))
SIZE = detail.Size((400, 400), 460, (2, 3))
FRAME = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
SCORES = np.linspace(0, 0.72, 42, dtype=np.float32).reshape(7, 6)


def drawn(columns):
    data = columns["picture"]["url"][0].split(",", 1)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)


def test_scale_ends_at_the_next_tenth():
    assert detail.score_scale([0.552]) == pytest.approx(0.6)
    assert detail.score_scale([0.6]) == pytest.approx(0.6)
    assert detail.score_scale([-0.2]) == pytest.approx(0.1)
    assert detail.score_scale([0.99]) == 1


def test_a_click_on_a_middle_cell_finds_its_window():
    for y in range(7):
        for x in range(6):
            at = ((x + 1 + 0.5) * 50, (y + 0.5 + 0.5) * 50)
            assert detail.place_at(*at, SCORES, REGION, SIZE.picture) == (y, x)
    assert detail.place_at(5, 5, SCORES, REGION, SIZE.picture) is None
    assert detail.place_at(399, 200, SCORES, REGION, SIZE.picture) is None


def test_hotter_windows_are_yellower_and_the_edge_is_hatched():
    picture = drawn(detail.heat_data(FRAME, SCORES, (6, 5), REGION, SIZE, mode="heat"))
    low, high = picture[75, 125], picture[675, 625]
    assert high[0] > low[0] + 60
    assert high[1] > low[1] + 60
    edge = picture[:, :40]
    assert np.ptp(edge.mean(2)) > 60, "nothing is hatched"
    assert drawn(detail.heat_data(FRAME, SCORES, (6, 5), REGION, SIZE, mode="picture")).std() > 40


def test_the_picture_and_its_outline_come_before_the_scores():
    early = detail.heat_data(FRAME, None, (2, 1), REGION, SIZE)
    plain = detail.heat_data(FRAME, SCORES, (2, 1), REGION, SIZE, mode="picture")
    assert np.array_equal(drawn(early), drawn(plain))
    assert np.array_equal(early["ring"]["xs"][0], plain["ring"]["xs"][0], equal_nan=True)
    assert not len(early["here"]["left"])


@pytest.mark.parametrize("mode", list(detail.MODES))
def test_the_match_is_outlined_in_every_mode(mode):
    columns = detail.heat_data(FRAME, SCORES, (2, 1), REGION, SIZE, mode=mode)
    xs, ys = columns["ring"]["xs"][0], columns["ring"]["ys"][0]
    assert (np.nanmin(xs), np.nanmax(xs), np.nanmin(ys), np.nanmax(ys)) == (50, 200, 100, 200)
    assert bool(len(columns["here"]["left"])) is (mode != "picture")
    detail.heat(columns, SIZE, theme=DARK)


def test_shares_are_written_where_they_are_felt():
    shares = np.array([[0.5, 0.3, 0.001], [0.25, -0.06, 0.009]], np.float32)
    columns = detail.why_data((FRAME, 0, 0), (FRAME, 3, 2), shares, REGION, SIZE)
    assert columns["share_text"]["text"] == ["50", "30", "25", "−6", "1"]
    assert len(columns["shares"]["left"]) == 5
    detail.why(columns, SIZE)
    assert detail.carried_by_outlined(shares, np.array([[1, 1, 0], [0.2, 0, 0]])) == (2, pytest.approx(0.8))


@pytest.mark.parametrize("window", [(1, 1), (1, 12), (14, 2), (13, 13)])
def test_any_window_fits_its_panels(window):
    size = detail.Size((300, 200), 320, window)
    width, height, cell = size.crop
    assert width <= size.panel_px + 1
    assert height <= size.panels_px + 1
    assert cell > 0


def test_a_score_has_a_line_among_the_hills():
    rng = np.random.default_rng(1)
    own = np.append(rng.normal(0.3, 0.1, 200), np.nan)
    columns = detail.unusual_data(0.8, rng.normal(0.2, 0.1, 500), own, "sketch pictures", "#123456", SIZE)
    assert columns["hill1"]["fill_color"] == ["#123456"]
    assert columns["names"]["text"] == ["random regions", "sketch pictures"]
    assert columns["said"]["text"] == ["this match 0.800"]
    detail.unusual(columns, SIZE)
    alone = detail.unusual_data(0.8, None, own, "sketch pictures", "#123456", SIZE)
    assert alone["hill0"]["xs"] == []
    assert alone["names"]["text"] == ["sketch pictures"]


def test_bars_are_as_long_as_their_shares():
    columns = detail.channels_data([(7, 0.4), (3, 0.2), (1, -0.1)], width_px=220)
    lengths = np.array(columns["bars"]["right"]) - columns["bars"]["left"]
    assert lengths[0] == pytest.approx(2 * lengths[1])
    assert lengths[2] == 1
    detail.channels(columns, width_px=220)
