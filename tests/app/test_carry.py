"""What is carried away says what was seen, and brings it back."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from vfs_panel.app import explore, exports, links
from vfs_panel.app.remembered import Remembered, read, remember, reopen
from vfs_panel.app.session import Session
from vfs_panel.app.snippets import snippet
from vfs_panel.app.sources import sources_of
from vfs_panel.app.views.carry import Carry
from vfs_panel.errors import VFSError
from vfs_panel.plots.figure import KINDS, figure_bytes, search_figure
from vfs_panel.plots.text import score_text
from vfs_panel.search import Stroke
from vfs_panel.settings import settings


@pytest.fixture
def painted(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    session.add(Stroke(((30.0, 30.0), (44.0, 34.0)), 8.0))
    session.add(Stroke(((60.0, 60.0),), 6.0, "exclude"))
    session.set_matches(k=5, filters={"label": "cat"})
    session.open_tab("scores")
    session.search_now()
    return session


def test_a_session_comes_back_from_its_document(painted: Session, kept_store: Path, picture_folder: Path) -> None:
    document = read(remember(painted).model_dump_json())
    other = Session(sources_of(kept_store, images=picture_folder), layer="stage4")
    assert reopen(other, document) == []
    other.search_now()
    ours, theirs = painted.state, other.state
    assert theirs.strokes == ours.strokes
    assert (theirs.layer, theirs.k, theirs.filters, theirs.tab) == (ours.layer, 5, {"label": "cat"}, "scores")
    xr.testing.assert_equal(theirs.result["score"], ours.result["score"])
    assert [score for _, score in document.matches] == pytest.approx(ours.result["score"].values[:12], abs=1e-6)


def test_what_is_gone_is_said_and_the_rest_opened(painted: Session) -> None:
    document = remember(painted).model_copy(
        update={"layer": "layer9", "picture": "nowhere/x.png", "weights_sha256": "0" * 64, "k": 7}
    )
    missing = reopen(painted, document)
    assert len(missing) == 3
    assert "layer9" in missing[0]
    assert "other weights" in missing[1]
    assert "nowhere/x.png" in missing[2]
    assert painted.state.k == 7
    gone = reopen(painted, document.model_copy(update={"dataset": "elsewhere", "layer": "stage3"}))
    assert "elsewhere is not in this catalog" in gone[0]


def test_an_upload_goes_along_in_a_file_but_not_in_a_link(painted: Session) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 90, 3), np.uint8)).save(buffer, "PNG")
    painted.uploads.open(buffer.getvalue(), "mine.png")
    painted.add(Stroke(((30.0, 30.0),), 8.0))
    rgb = painted.state.upload.rgb
    document = remember(painted, with_upload=True)
    painted.open_picture("photo/cat/0.png")
    assert reopen(painted, read(document.model_dump_json())) == []
    assert painted.state.upload.name == "mine.png"
    assert np.array_equal(painted.state.upload.rgb, rgb)
    assert not links.find(links.keep(document)).upload


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"version": 2}', '{"k": 1000}', '{"evil": 1}', '{"strokes": [{"points": []}]}', '{"tab": "x"}',
     json.dumps({"dataset": "x" * 1000}), json.dumps({"strokes": [{"points": [[0, 0]]}] * 600})],
)  # fmt: skip
def test_what_is_no_session_is_one_sentence(text: str) -> None:
    with pytest.raises(VFSError, match="no session"):
        read(text)


def test_links_are_the_same_for_the_same_and_stay_in_their_folder(painted: Session) -> None:
    name = links.keep(remember(painted))
    assert links.keep(remember(painted)) == name
    assert links.find(name).strokes == remember(painted).strokes
    for bad in ("../../etc/passwd", "", "x" * 20, name.upper() + "/"):
        with pytest.raises(VFSError):
            links.find(bad)
    (links.folder() / f"{name}.json").write_text("{")
    with pytest.raises(VFSError, match="no session"):
        links.find(name)
    with pytest.raises(VFSError, match="not on this server"):
        links.find("0" * 20)
    far = Remembered(strokes=[{"points": [[float(i), 0.123456] for i in range(20_000)]}])
    with pytest.raises(VFSError, match="too large"):
        links.keep(far)


def test_old_links_go_first(painted: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MOST_KEPT", 3)
    names = [links.keep(Remembered(k=k)) for k in range(1, 6)]
    assert len(list(links.folder().glob("*.json"))) == 3
    assert links.find(names[-1]).k == 5


def test_every_format_holds_the_same_matches(painted: Session) -> None:
    result = painted.state.result
    scores = result["score"].values
    made = {kind: form.write(result) for kind, form in exports.FORMATS.items()}
    assert pd.read_csv(io.BytesIO(made["csv"]))["score"].to_numpy() == pytest.approx(scores)
    assert pd.read_parquet(io.BytesIO(made["parquet"]))["score"].to_numpy() == pytest.approx(scores)
    assert [match["score"] for match in json.loads(made["json"])["matches"]] == pytest.approx(scores)
    with xr.open_dataset(io.BytesIO(made["nc"]), engine="scipy") as back:
        np.testing.assert_array_equal(back["score"], result["score"])
        np.testing.assert_array_equal(back["image_score"], result["image_score"])
        assert [str(i) for i in back["image_id"].values.astype(str)] == result["image_id"].values.tolist()
        assert back.attrs["layer"] == "stage3"
        assert [str(i) for i in back["image"].values.astype(str)] == result["image"].values.tolist()


def test_file_names_hold_nothing_odd() -> None:
    name = exports.file_name("photos", "layer4.2/conv", "../<b>cat</b>", suffix="csv")
    assert name == "vfs_photos_layer4.2-conv_b-cat-b.csv"


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_figure_is_one_and_holds_its_words(painted: Session, kind: str) -> None:
    result = painted.state.result
    preprocessing = painted.store.preprocessing
    images = painted.source.images()
    pictures = {str(i): preprocessing.frame(images.rgb(str(i))) for i in result["image_id"].values}

    def draw() -> bytes:
        frame = preprocessing.frame(painted.picture_rgb())
        return figure_bytes(search_figure(result, frame, painted.state.mask, pictures, title="<b>set</b>"), kind)

    data = draw()
    assert len(data) > 5000
    assert data == draw(), "a figure made twice is not the same"
    if kind == "png":
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert (np.ptp(pixels, axis=2) > 60).mean() > 0.01
    if kind == "svg":
        assert b"&lt;b&gt;set" in data
        assert score_text(float(result["score"].values[0])).encode() in data


@pytest.mark.parametrize("mode", ["picture", "several", "domain"])
def test_the_snippet_repeats_the_search(painted: Session, mode: str) -> None:
    painted.set_matches(mode=mode)
    painted.search_now()
    code = snippet(painted) + "\nimport json\nprint('@' + json.dumps(result['score'].values.astype(float).tolist()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    scores = json.loads(done.stdout.split("@")[-1])
    assert scores == pytest.approx(painted.state.result["score"].values.tolist(), abs=1e-6)


def test_nothing_painted_has_no_snippet(session: Session) -> None:
    with pytest.raises(VFSError, match="Nothing is painted"):
        snippet(session)


def test_a_notebook_shares_a_view_that_explore_opens(
    painted: Session, kept_store: Path, picture_folder: Path, tmp_path: Path
) -> None:
    told: dict[str, Any] = {}
    Carry(painted, lambda **view: told.update(view), page=False).do({"do": "share"})
    assert told["gift"]["kind"] == "copied"
    name = told["gift"]["text"].removeprefix('view="').removesuffix('"')
    again = explore(kept_store, picture_folder, view=name).state
    assert (again.picture, again.history.strokes) == (painted.state.picture, painted.state.history.strokes)
    saved = tmp_path / "mine.vfs.json"
    saved.write_text(remember(painted).model_dump_json())
    assert explore(kept_store, picture_folder, view=saved).state.k == painted.state.k
    with pytest.raises(VFSError, match="There is no view 'nowhere'"):
        explore(kept_store, picture_folder, view="nowhere")
