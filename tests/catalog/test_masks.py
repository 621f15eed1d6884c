"""Masks of suggested queries become strokes that paint the same."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vfs_panel.catalog import read_entry
from vfs_panel.catalog.masks import strokes_of_mask
from vfs_panel.errors import ImageError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.search import Stroke
from vfs_panel.search.mask import paint

SIDE = 64


@pytest.mark.parametrize("case", ["ring with an island", "two spots", "at the border", "everything"])
def test_they_paint_the_same(tmp_path: Path, case: str) -> None:
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    from_middle = np.hypot(y - 32, x - 32)
    mask = {
        "ring with an island": (from_middle < 5) | ((from_middle > 12) & (from_middle < 25)),
        "two spots": (np.hypot(y - 12, x - 14) < 8) | (np.hypot(y - 45, x - 50) < 6),
        "at the border": (x < 20) & (y > 30),
        "everything": np.ones((SIDE, SIDE), bool),
    }[case]
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(tmp_path / "mask.png")
    strokes = [
        Stroke(tuple(stroke.points), stroke.radius_px, stroke.mode, stroke.shape)
        for stroke in strokes_of_mask(tmp_path / "mask.png")
    ]
    whole = Preprocessing(resize_px=(SIDE, SIDE), crop_px=(SIDE, SIDE)).geometry(SIDE, SIDE)
    painted = paint(strokes, whole) > 127
    assert (painted != mask).mean() < 0.02


def test_a_mask_that_paints_nothing(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 0).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match="no pixel of it is white"):
        strokes_of_mask(tmp_path / "mask.png")


def test_a_query_whose_mask_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    text = (
        "title: T\npictures: {source: demo, name: photos}\nnetworks: [{name: n, layers: [a]}]\nqueries:\n"
        "  - {title: A, image: i, mask: a.png}\n  - {title: B, image: i, mask: b.png}\n"
        "  - {title: C, image: i, mask: c.png}\n  - {title: D, image: i, box: [0, 0, 1, 1]}\n"
    )
    (tmp_path / "t.yml").write_text(text)
    (tmp_path / "a.png").write_text("no picture")
    Image.new("L", (8, 8), 255).save(tmp_path / "c.png")
    assert [query.title for query in read_entry(tmp_path / "t.yml").suggested()] == ["C", "D"]
