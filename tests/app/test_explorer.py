"""The page is made of parts that hold no live text from the data as HTML."""

import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from vfs_panel.app import Explorer, explore
from vfs_panel.app.component import WEB, Part
from vfs_panel.app.settling import SWITCH_S, settle
from vfs_panel.errors import VFSError
from vfs_panel.search import Stroke


def parts(explorer: Explorer) -> list[Part]:
    return list(explorer.__panel__().select(Part))


def test_a_store_opens_and_shows_its_matches(kept_store: Path, picture_folder: Path) -> None:
    explorer = explore(kept_store, images=picture_folder, layer="stage3")
    explorer.session.search_now()
    explorer.session.add(Stroke(((30.0, 30.0),), 9.0))
    explorer.session.search_now()
    assert explorer.state.result is not None
    views = {type(part).__name__: part.view for part in parts(explorer)}
    assert views["StatusLine"]["lead"] == "Exact."
    assert views["Header"]["layer"] == "stage3"
    assert len(views["SelectedBar"]["list"]) == explorer.state.result.sizes["rank"]


def test_it_renders_to_bokeh_models_and_follows_the_theme(kept_store: Path, picture_folder: Path) -> None:
    explorer = explore(kept_store, images=picture_folder)
    explorer.session.search_now()
    root = explorer.__panel__()
    root.get_root()
    explorer.session.add(Stroke(((30.0, 30.0),), 9.0))
    explorer.session.search_now()
    explorer.state.theme = "dark"
    assert "dark" in root.css_classes


def test_a_message_that_makes_no_sense_is_ignored(kept_store: Path, picture_folder: Path) -> None:
    explorer = explore(kept_store, images=picture_folder)
    odd = [None, 3, "x", {}, {"do": 1}, {"do": "box", "box": "abc"}, {"do": "piece"}, {"do": "matches", "k": 1e9},
           {"do": "picture", "id": "../../etc/passwd"}, {"do": "dataset", "value": "nowhere"},
           {"do": "example", "number": 99},
           {"do": "size", "value": float("nan")}, {"do": "width", "value": -5}, {"do": "layer"}]  # fmt: skip
    before = explorer.state.picture, explorer.state.k, explorer.state.dataset
    for part in parts(explorer):
        for message in odd:
            part._handle_msg(message)
    assert (explorer.state.picture, explorer.state.k, explorer.state.dataset) == before
    assert np.isfinite(explorer.state.brush_px)


def test_a_missing_target_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VFSError, match="no store"):
        explore(tmp_path / "nothing.zarr")


def test_scripts_write_no_html_but_the_icons() -> None:
    for file in WEB.glob("*.js"):
        text = file.read_text("utf-8")
        assert text.count("innerHTML") == (1 if file.name == "common.js" else 0)
        for banned in ("http://", "https://", "outerHTML", "insertAdjacentHTML", "eval("):
            assert banned not in text.replace("http://www.w3.org/2000/svg", ""), (file.name, banned)


def test_a_process_that_serves_pages_settles_once() -> None:
    before = sys.getswitchinterval()
    try:
        settle.__wrapped__()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
        assert gc.get_freeze_count() > 100_000
        assert settle() is settle()
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
