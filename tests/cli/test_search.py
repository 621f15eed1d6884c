"""`search`: what is painted is found, and printed as table, JSON or CSV."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vfs_panel.cli import run
from vfs_panel.cli.region import QueryPicture, parse_box, read_alpha
from vfs_panel.errors import ImageError, QueryError
from vfs_panel.features import open_store
from vfs_panel.search import RegionSearch, Stroke
from vfs_panel.search.mask import paint

CAT = "photo/cat/0.png"
BOX = ("--box", "20,10,50,40")


def _search(store: Path, pictures: Path, *more: str, image: str = CAT) -> list[str]:
    return ["search", str(store), "--image", image, "--images", str(pictures), *more]


def test_the_same_as_the_library(tiny_store: Path, picture_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_search(tiny_store, picture_folder, *BOX, "--layer", "stage3", "--format", "json")) == 0
    found = json.loads(capsys.readouterr().out)
    store = open_store(tiny_store)
    picture = QueryPicture.find(store, CAT, images=picture_folder)
    query = picture.query("stage3", picture.paint_box((20, 10, 50, 40)))
    expected = RegionSearch(store, "stage3").search(query, k=10)
    assert [match["image_id"] for match in found["matches"]] == list(expected["image_id"].values)
    assert [match["score"] for match in found["matches"]] == pytest.approx(expected["score"].values.tolist())
    assert CAT not in expected["image_id"].values
    assert found["search"]["layer"] == "stage3"
    assert found["search"]["query_image"] == CAT


def test_pictures_are_found_where_they_were(tiny_store: Path, picture_folder: Path) -> None:
    assert QueryPicture.find(open_store(tiny_store), CAT).file == picture_folder / CAT


def test_formats_agree(
    tiny_store: Path, picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _search(tiny_store, picture_folder, *BOX, "-k", "3")
    assert run([*arguments, "--format", "csv"]) == 0
    text = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert run(arguments) == 0
    table = capsys.readouterr().out
    assert all(row["image_id"] in line for row, line in zip(rows, table.splitlines()[1:], strict=True))
    assert run([*arguments, "--format", "csv", "--out", str(tmp_path / "found.csv")]) == 0
    assert (tmp_path / "found.csv").read_text() == text


def test_one_per_domain(tiny_store: Path, picture_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_search(tiny_store, picture_folder, *BOX, "--unique", "domain", "--format", "csv")) == 0
    domains = [row["domain"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert sorted(domains) == ["photo", "sketch"]


def test_only_what_is_asked_for(tiny_store: Path, picture_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = _search(tiny_store, picture_folder, *BOX, "--format", "csv")
    assert run([*arguments, "--where", "domain=sketch", "--where", "label=cat"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows
    assert {(row["domain"], row["label"]) for row in rows} == {("sketch", "cat")}
    mistakes = {
        "domain": "expected COLUMN=VALUE",
        "colour=red": "no column 'colour'",
        "label=cow": "No picture has label",
    }
    for wrong, said in mistakes.items():
        assert run([*arguments, "--where", wrong]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["white", "opaque", "network's size"])
def test_a_mask_is_as_good_as_a_box(tiny_store: Path, picture_folder: Path, tmp_path: Path, kind: str) -> None:
    """A painted rectangle on the picture lands on the same cells as the box, by whichever way it comes."""
    picture = QueryPicture.find(open_store(tiny_store), CAT, images=picture_folder)
    box = (20, 10, 50, 40)
    alpha = np.zeros((64, 72), np.uint8)
    alpha[10:40, 20:50] = 255
    file = tmp_path / "mask.png"
    if kind == "white":
        Image.fromarray(alpha).save(file)
    elif kind == "opaque":
        Image.fromarray(np.dstack([np.full((64, 72, 3), 90, np.uint8), alpha])).save(file)
    else:
        geometry = picture.geometry()
        assert geometry is not None
        Image.fromarray(paint([Stroke.box(*box)], geometry)).save(file)
    painted, expected = picture.paint_mask(file, (224, 224)), picture.paint_box(box)
    assert painted.shape == expected.shape == (224, 224)
    assert np.abs(painted.astype(int) - expected).mean() < 2  # only the edges differ, by their softness


def test_a_mask_of_the_networks_size_needs_no_picture(tiny_store: Path, tmp_path: Path) -> None:
    mask = np.zeros((224, 224), np.uint8)
    mask[60:120, 60:120] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    picture = QueryPicture.find(open_store(tiny_store), CAT, images=tmp_path)
    assert picture.file is None
    with pytest.raises(ImageError, match="--images FOLDER"):
        picture.paint_box((20, 10, 50, 40))
    np.testing.assert_array_equal(picture.paint_mask(tmp_path / "mask.png", (224, 224)), mask)


def test_alpha_of_every_kind_of_file(tmp_path: Path) -> None:
    painted = np.zeros((6, 5), np.uint8)
    painted[2:4, 1:3] = 255
    file = tmp_path / "mask.png"
    for image in (
        Image.fromarray(painted),
        Image.fromarray(painted).convert("1"),
        Image.fromarray(painted).convert("RGB"),
        Image.fromarray(painted).convert("RGBA"),  # opaque all over: white counts
        Image.merge("LA", (Image.new("L", (5, 6)), Image.fromarray(painted))),
    ):
        image.save(file)
        np.testing.assert_array_equal(read_alpha(file), painted)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4"])
def test_boxes_that_are_none(text: str) -> None:
    with pytest.raises(QueryError, match="left,top,right,bottom"):
        parse_box(text)


def test_a_box() -> None:
    assert parse_box("1, 2.5,30,-4") == (1.0, 2.5, 30.0, -4.0)
