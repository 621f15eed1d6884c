"""Pages are whole, hold a strict policy and lead to one another; what cannot be run is said."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from vfs_panel.cli import run
from vfs_panel.errors import ExportError
from vfs_panel.gallery import export_gallery, exporting, running
from vfs_panel.gallery.kernel import MEDIA
from vfs_panel.gallery.page import Card, card_of, index_page, notebook_page

HOSTILE = "</script><script>alert(1)</script><!--"


def notebook(*cells: object) -> nbformat.NotebookNode:
    made = new_notebook()
    made.cells = list(cells)
    return made


def saved(path: Path, *sources: str) -> Path:
    nbformat.write(notebook(*(new_code_cell(source) for source in sources)), path)
    return path


def test_a_page_has_its_own_nonce_and_all_it_needs() -> None:
    figure = {
        "root_id": "p1",
        "doc": {"version": HOSTILE, "roots": [{"type": "object", "name": "Figure", "id": "p1", "title": HOSTILE}]},
    }
    cells = [
        new_markdown_cell(
            f"# A *title*\n\nFirst words.\n\n{HOSTILE}\n\n[other](other.ipynb#x) [gone](gone.ipynb) [on](#on)"
        ),
        new_code_cell("print(1)\nx < 2", outputs=[new_output("display_data", {MEDIA: [{"figure": figure}]})]),
        new_code_cell(""),
    ]
    pages = [notebook_page(notebook(*cells), Path("a.ipynb"), {"other.ipynb": "other.html"}) for _ in range(2)]
    nonces = [re.findall(r'<script nonce="([^"]+)"', page) for page in pages]
    assert len(nonces[0]) == 2
    assert len(set(nonces[0] + nonces[1])) == 2
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', pages[0])
    assert policy is not None
    assert f"default-src 'none'; script-src 'nonce-{nonces[0][0]}'" in policy[1]
    assert "unsafe-eval" not in policy[1]
    assert "http" not in policy[1]
    # Every script element is one of ours: two of data, and two with the nonce.
    assert len(re.findall(r"<script\b", pages[0].split("<style>")[0])) == 1
    assert pages[0].count("<script>") == pages[0].count("alert(1)<") == 0
    assert 'href="other.html#x"' in pages[0]
    assert "gone.ipynb" not in pages[0]
    assert 'href="#on"' in pages[0]
    assert "<title>A title</title>" in pages[0]
    assert "Code<span>2 lines</span>" in pages[0]


def test_the_index_tells_pages_from_other_files(tmp_path: Path) -> None:
    page = notebook_page(notebook(new_markdown_cell("# One & two\n\nWords <b>of</b> it.")), Path("one.ipynb"), {})
    (tmp_path / "one.html").write_text(page, "utf-8")
    (tmp_path / "other.html").write_text("<html>", "utf-8")
    (tmp_path / "bad.html").write_text('<script type="application/json" id="card">{"title": 1}</script>', "utf-8")
    card = card_of(tmp_path / "one.html")
    assert card == Card("One & two", "Words of it.", "")
    assert card_of(tmp_path / "other.html") is card_of(tmp_path / "bad.html") is card_of(tmp_path / "none.html") is None
    hostile = Card("<script>", "<script>", 'data:image/jpeg;base64,"><script>')
    html = index_page({"one.html": card, '"><script>.html': hostile})
    assert "One &amp; two" in html
    assert "<script>" not in html


def test_a_failing_cell_writes_nothing_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = saved(tmp_path / "bad.ipynb", "1", "raise ValueError('no such layer')", "2")
    good = saved(tmp_path / "good.ipynb", "print('fine')")
    before = bad.read_bytes()
    monkeypatch.setattr(running, "_FIRST", "pass")  # no figures here, so the kernels start in half the time
    assert run(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "bad.ipynb stops in cell 2 of 3: ValueError: no such layer. Mend it, and export again." in said
    assert bad.read_bytes() == before
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"good.html", "index.html"}
    assert "fine" in (tmp_path / "out" / "good.html").read_text("utf-8")
    assert good.stem in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_a_cell_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_FIRST", "pass")
    path = saved(tmp_path / "slow.ipynb", "1", "import time; time.sleep(60)")
    with pytest.raises(ExportError, match=r"slow.ipynb takes more than 1 s in cell 2 of 2. Give it more by --timeout"):
        export_gallery([path], tmp_path / "out", timeout_s=1)
    assert not (tmp_path / "out").exists()


def test_what_is_no_notebook(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="does not exist"):
        export_gallery([tmp_path / "none.ipynb"], tmp_path)
    with pytest.raises(ExportError, match="There is no notebook there"):
        export_gallery([tmp_path], tmp_path)
    for text in ("", "{}", "[1]", json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3})):
        (tmp_path / "bad.ipynb").write_text(text)
        with pytest.raises(ExportError, match="is no notebook that can be read"):
            export_gallery([tmp_path / "bad.ipynb"], tmp_path)


def test_names_that_would_meet(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        saved(tmp_path / folder / "same.ipynb")
    with pytest.raises(ExportError, match=r"would both become same.html"):
        export_gallery([tmp_path / "a", tmp_path / "b"], tmp_path)
    with pytest.raises(ExportError, match=r"would become index.html"):
        export_gallery([saved(tmp_path / "index.ipynb")], tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot be written"):
        exporting._write(tmp_path / "file" / "a.html", "x")


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "nbclient", None)
    with pytest.raises(ExportError, match=r'pip install "vfs_panel\[gallery\]"'):
        export_gallery([saved(tmp_path / "a.ipynb", "1")], tmp_path)
