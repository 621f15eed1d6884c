"""What is not built is offered beside what is open; a build by one session is followed and opened by others."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vfs_panel.app import builds, shared
from vfs_panel.app.builds import BUILDS, Build
from vfs_panel.app.explorer import Explorer
from vfs_panel.app.offering import mark, offer_view, progress_view
from vfs_panel.app.page import page
from vfs_panel.app.remembered import Remembered, reopen
from vfs_panel.app.session import Session
from vfs_panel.app.sources import sources_of
from vfs_panel.app.state import Offer
from vfs_panel.app.views.offer import news
from vfs_panel.catalog import Catalog, Needs
from vfs_panel.catalog.needs import NOTHING
from vfs_panel.errors import VFSError
from vfs_panel.search import Stroke

TEXT = """\
title: {title}
description: Twelve pictures.
licence: CC0
order: {order}
pictures: {{source: folder, path: {folder}}}
networks:
  - {{name: vfs-demo, layers: [stage4]}}
  - {{name: vfs-demo-class, layers: [stage4]}}
"""


def write(folder: Path, name: str, pictures: Path, order: int = 1) -> None:
    (folder / f"{name}.yml").write_text(TEXT.format(title=name.title(), folder=pictures, order=order))


@pytest.fixture
def catalog(picture_folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder of two entries: `open` is built with its first network, `shut` is not, and comes first by its order."""
    write(tmp_path, "open", picture_folder, order=2)
    write(tmp_path, "shut", picture_folder, order=1)
    Catalog.open(tmp_path)["open"].build("vfs-demo")
    shared.forget()
    yield tmp_path
    BUILDS.close()
    for build in BUILDS.all():
        BUILDS.forget(build.file)
    shared.forget()


@pytest.fixture
def session(catalog: Path) -> Session:
    return Session(sources_of(Catalog.open(catalog)))


def finished(session: Session, file: Path) -> Build:
    """Wait for a build, as an event loop would tell of it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        build = BUILDS.of(file)
        assert build is not None
        if not build.is_active:
            session.offers.follow()
            return build
        time.sleep(0.02)
    raise AssertionError(build)


def test_what_is_built_comes_first_and_is_opened(session: Session) -> None:
    assert list(session.sources) == ["open", "shut"]
    assert session.state.dataset == "open"
    assert session.state.offer is None
    assert session.source.networks == {"vfs-demo": ["stage4"]}
    assert session.source.unbuilt == ("vfs-demo-class",)


def test_an_offer_leaves_open_what_is_open_and_goes_with_the_next_stroke(session: Session) -> None:
    session.search_now()
    session.add(Stroke(((30.0, 30.0),), 9.0))
    session.search_now()
    before, k = session.state.result, session.state.k
    session.open_dataset("shut")
    assert session.state.offer == Offer("shut")
    assert session.state.dataset == "open"
    assert session.state.result is before
    assert session.state.status.lead == "Not opened."
    session.add(Stroke(((40.0, 40.0),), 9.0))
    assert session.state.offer is None
    session.open_network("vfs-demo-class")
    assert session.state.offer == Offer("open", "vfs-demo-class")
    session.offers.withdraw()
    assert session.state.offer is None
    assert session.state.k == k


def test_a_build_is_followed_by_every_session_and_opened(session: Session, catalog: Path) -> None:
    other = Session(sources_of(Catalog.open(catalog)))
    session.open_dataset("shut")
    session.offers.start()
    assert news(session) is None  # the panel says it
    session.offers.withdraw()
    session.offers.start()  # nothing is offered: nothing happens
    build = finished(session, catalog / "shut.yml")
    assert build.phase == "done", build.error
    assert build.built == ("vfs-demo", "vfs-demo-class")
    said = news(session)
    assert said is not None
    assert (said["phase"], said["name"], said["mine"]) == ("done", "shut", True)
    other.offers.follow()
    assert other.sources["shut"].ready
    assert news(other) is None  # somebody else's that is over
    session.offers.open("shut")
    assert session.state.dataset == "shut"
    assert news(session) is None
    other.open_dataset("shut")
    assert other.state.dataset == "shut"


def test_one_network_is_built_alone(session: Session, catalog: Path) -> None:
    session.open_network("vfs-demo-class")
    session.offers.start()
    assert finished(session, catalog / "open.yml").built == ("vfs-demo-class",)
    session.offers.open("open")
    assert session.state.network == "vfs-demo-class"
    assert session.source.unbuilt == ()


def test_others_cancel_only_when_they_are_sure(session: Session, catalog: Path) -> None:
    other = Session(sources_of(Catalog.open(catalog)))
    session.open_dataset("shut")
    session.offers.start()
    file = catalog / "shut.yml"
    other.offers.cancel("shut", sure=False)
    build = BUILDS.of(file)
    assert build is not None
    assert build.phase in ("waiting", "running")
    other.offers.cancel("shut", sure=True)
    assert finished(session, file).phase == "cancelled"
    assert not session.sources["shut"].ready


def test_what_was_built_elsewhere_opens_at_once(session: Session, catalog: Path) -> None:
    Catalog.open(catalog)["shut"].build("vfs-demo")
    session.open_dataset("shut")
    assert session.state.dataset == "shut"
    assert session.state.offer is None


def test_nothing_is_built_where_pages_may_not(session: Session) -> None:
    builds.listen_outside(True)
    try:
        session.open_dataset("shut")
        with pytest.raises(VFSError, match="vfs-panel catalog build shut"):
            session.offers.start()
    finally:
        builds.listen_outside(False)
    assert BUILDS.all() == []


def test_nothing_built_at_all_is_a_page_with_an_offer(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (catalog / "open.yml").unlink()
    shown = page(lambda: Catalog.open(catalog))
    assert isinstance(shown, Explorer)
    session = shown.session
    assert session.state.offer == Offer("shut")
    assert session.state.picture == ""
    session.offers.withdraw()  # there is nothing to go back to
    assert session.state.offer is not None
    Catalog.open(catalog)["shut"].build("vfs-demo")
    session.offers.open("shut")
    assert session.state.picture
    (catalog / "shut.yml").unlink()
    assert not isinstance(page(lambda: Catalog.open(catalog)), Explorer)


def test_a_reload_sees_new_and_changed_files(catalog: Path, picture_folder: Path) -> None:
    def opened() -> Any:
        return page(lambda: Catalog.open(catalog)).session.sources  # type: ignore[union-attr]

    first = opened()
    write(catalog, "more", picture_folder)
    (catalog / "open.yml").write_text((catalog / "open.yml").read_text().replace("title: Open", "title: Other"))
    second = opened()
    assert set(second) == {"open", "shut", "more"}
    assert second["open"].title == "Other"
    assert second["open"].key == first["open"].key  # the same pictures and features: nothing is read again
    text = (catalog / "open.yml").read_text().replace("layers: [stage4]", "layers: [stage3]")
    (catalog / "open.yml").write_text(text)
    session = Session(opened())
    assert not session.sources["open"].ready
    session.open_dataset("open")
    assert session.state.offer is not None
    assert "asks for stage3 too" in session.state.offer.reason


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (Needs("nothing", "", "", 0, None), ""),
        (Needs("build", "", "", 0, None), "not built"),
        (Needs("fetch", "", "", 800_000_000, None), "needs 800 MB download"),
        (Needs("fetch", "", "", None, None), "needs a download"),
        (Needs("fetch", "", "", 0, None), "needs unpacking"),
        (Needs("by hand", "", "", 0, None), "needs files by hand"),
    ],
)
def test_the_menu_says_what_is_needed(needs: Needs, expected: str) -> None:
    assert mark(needs, None) == expected
    running = Build(Path("x.yml"), "X", ("a",), "me", phase="running")
    assert mark(needs, running) == "being built"


def test_an_offer_says_what_to_do(session: Session, catalog: Path) -> None:
    source = session.sources["shut"]
    fetch = Needs("fetch", "Download it.", "vfs-panel catalog fetch shut", 800_000_000, None)
    view = offer_view(source, Offer("shut"), fetch, pictures=12, allowed=True, back="Open")
    assert dict(view["facts"])["Download"] == "800 MB"
    assert dict(view["facts"])["Networks"] == "vfs-demo (layer stage4); vfs-demo-class (layer stage4)"
    assert dict(view["credits"]) == {"Licence": "CC0"}
    assert view["button"] == "Download and build"
    assert view["command"].startswith("vfs-panel catalog fetch shut && vfs-panel catalog build shut")
    by_hand = Needs("by hand", "Get an account.", "", 0, catalog)
    view = offer_view(source, Offer("shut"), by_hand, pictures=0, allowed=True, back="")
    assert (view["button"], view["again"], view["place"]) == ("", "Look again", str(catalog))
    view = offer_view(source, Offer("shut"), session.offers.needs(source), pictures=0, allowed=False, back="")
    assert (view["button"], view["off"]) == ("", True)
    assert view["command"].startswith("vfs-panel catalog build shut --catalog")
    again = offer_view(source, Offer("shut", "vfs-demo", "Why.", True), NOTHING, pictures=0, allowed=True, back="")
    assert (again["button"], again["reason"]) == ("Build again", "Why.")
    assert "--network vfs-demo" in again["command"]
    assert again["command"].endswith(" --again")


def test_progress_is_in_words() -> None:
    fetching = Build(Path("x.yml"), "X", ("a", "b"), "me", "running", (), "fetch", "", 200_000_000, 800_000_000, 5e6)
    view = progress_view(fetching, "you", 0)
    assert view is not None
    assert (view["stage"], view["amount"]) == ("Downloading", "200 MB of 800 MB, 5 MB a second")
    assert (view["left"], view["share"], view["mine"]) == ("2 min left", 0.25, False)
    second = Build(Path("x.yml"), "X", ("a", "b"), "me", "running", ("a",), "features", "b", 412, 1500, 48.2)
    view = progress_view(second, "me", 0)
    assert view is not None
    assert view["stage"] == "Extracting features with b (2 of 2)"
    assert view["amount"] == "412 of 1,500 pictures, 48 a second"
    assert view["left"] == "23 s left"
    waiting = progress_view(Build(Path("x.yml"), "X", ("a",), "me"), "me", 2)
    assert waiting is not None
    assert waiting["stage"] == "Waits for 2 other builds"


def test_a_link_to_what_is_not_built_shows_the_offer(session: Session) -> None:
    missing = reopen(session, Remembered(dataset="shut", strokes=[Stroke(((30.0, 30.0),), 9.0).to_dict()]))
    assert missing == ["Shut is not built here. Build it, then open this again."]
    assert session.state.offer == Offer("shut")
    assert not session.state.strokes


def test_features_that_do_not_serve_are_offered_anew(session: Session) -> None:
    assert session.offers.offer_anew("open", "They are of others. Build it anew: vfs-panel catalog build open --again")
    assert session.state.offer == Offer("open", "", "They are of others.", again=True)
    shutil.rmtree(session.sources["open"].entry.store_path("vfs-demo"))  # type: ignore[union-attr]
    assert session.offers.offer_anew("open", "It is gone.")
    assert session.state.offer == Offer("open")
