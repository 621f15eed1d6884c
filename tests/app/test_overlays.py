"""Pointing at a cell of the query: what is computed, said and taken away, without a browser."""

import io

import numpy as np
import pytest
from PIL import Image

from vfs_panel.app import shared
from vfs_panel.app.session import Session
from vfs_panel.app.views.cells import CellsView
from vfs_panel.search import Stroke


@pytest.fixture
def cells(session: Session) -> CellsView:
    session.set_canvas(384)
    view = CellsView(session)
    session.add(Stroke(((30.0, 30.0),), 12.0))
    session.search_now()
    return view


def point(cells: CellsView, y: object, x: object) -> None:
    cells._over.part._handle_msg({"do": "point", "y": y, "x": x})


def test_a_cell_is_compared_with_every_cell_of_every_match(session: Session, cells: CellsView) -> None:
    point(cells, 2, 3)
    state = session.state
    assert state.similar is not None
    assert state.result is not None
    assert state.similar.shape == (state.result.sizes["rank"], *session.grid())
    store, first = session.store, str(state.result["image_id"].values[0])
    own, other = (store.feature(state.layer, i).values.astype(float) for i in (state.picture, first))
    cosine = own[:, 2, 3] @ other[:, 1, 4] / np.linalg.norm(own[:, 2, 3]) / np.linalg.norm(other[:, 1, 4])
    assert state.similar.values[0, 1, 4] == pytest.approx(cosine, abs=1e-5)
    like = cells._words.view["like"]
    assert like["heading"] == "Cell 4 across, 3 down"
    assert f"best {float(state.similar.max()):.3f} in match" in like["text"]
    cells._over.part._handle_msg({"do": "leave"})
    assert state.cell is state.similar is None
    assert cells._words.view["like"] is None


def test_it_follows_new_matches_and_ends_with_them(session: Session, cells: CellsView) -> None:
    point(cells, 2, 3)
    before = session.state.similar
    session.add(Stroke(((50.0, 40.0),), 12.0))
    session.search_now()
    after = session.state.similar
    assert after is not before
    assert after is not None
    assert session.state.result is not None
    assert after["image_id"].values.tolist() == session.state.result["image_id"].values.tolist()
    session.open_match(1)
    assert session.state.similar is None
    assert not cells._over.part.view["on"]
    session.open_match(0)
    assert cells._over.part.view["on"]
    point(cells, 2, 3)
    other = next(name for name in session.source.networks[session.state.network] if name != session.state.layer)
    session.open_layer(other)
    assert session.state.similar is None
    session.search_now()
    assert [cells._over.part.view["rows"], cells._over.part.view["columns"]] == list(session.grid())


def test_nonsense_and_cells_outside_are_ignored(session: Session, cells: CellsView) -> None:
    rows, columns = session.grid()
    for y, x in ((-1, 0), (rows, 0), (0, columns), (True, 0), (0.5, 1), ("0", 0), (None, None), (10**30, 0)):
        point(cells, y, x)
        assert session.state.cell is None


def test_before_anything_is_painted_there_is_nothing_to_point_at(session: Session) -> None:
    session.set_canvas(384)
    cells = CellsView(session)
    assert cells._over.part.view == {"on": False}
    point(cells, 1, 1)
    assert session.state.cell is None


def test_a_cell_where_the_layer_sees_nothing_is_like_nothing(session: Session, cells: CellsView) -> None:
    state = session.state
    shared.picture_features(session.source, state.network, state.layer, state.picture).values[:, 0, 0] = 0
    point(cells, 0, 0)
    like = cells._words.view["like"]
    assert like == {"heading": "Cell 1 across, 1 down", "text": "No cell of the matches is like it.", "top": 0.0}


def test_a_picture_of_ones_own_has_cells_too(session: Session, cells: CellsView) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 72, 3), np.uint8)).save(file, "PNG")
    session.uploads.open(file.getvalue(), "own.png")
    session.search_now()
    assert not cells._over.part.view["on"]
    session.add(Stroke(((30.0, 30.0),), 12.0))
    session.search_now()
    point(cells, 2, 3)
    assert session.state.similar is not None
    assert float(session.state.similar.max()) > 0
