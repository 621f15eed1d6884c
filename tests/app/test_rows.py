"""Which layers a row of Compare offers."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from vfs_panel.app.rows import another_row, changed_row, default_row


def source(**networks: list[str]) -> Any:
    return SimpleNamespace(ready=True, networks=networks, first_layer=lambda name: networks[name][0])


SOURCES = cast("Any", {
    "photos": source(big=["s2", "s3", "s4"], small=["t1", "s3"]),
    "traps": source(small=["t1"], big=["s4"]),
    "alone": source(tiny=["u1"]),
})  # fmt: skip


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (("photos", "big", "s4"), ("photos", "big", "s3")),
        (("photos", "big", "s2"), ("photos", "big", "s3")),
        (("traps", "big", "s4"), ("traps", "small", "t1")),
        (("alone", "tiny", "u1"), ("photos", "big", "s2")),
    ],
)
def test_the_first_row_is_the_nearest(own: Any, expected: Any) -> None:
    assert default_row(SOURCES, own) == expected


def test_nothing_else_is_none() -> None:
    assert default_row({"alone": SOURCES["alone"]}, ("alone", "tiny", "u1")) is None


def test_added_rows_are_new_as_long_as_there_are_any() -> None:
    own, rows = ("photos", "big", "s3"), [("photos", "big", "s2")]
    for _ in range(5):
        rows.append(another_row(SOURCES, own, rows))
    assert rows[1:] == [
        ("photos", "big", "s4"), ("photos", "small", "s3"), ("traps", "big", "s4"), ("traps", "small", "t1"),
        ("alone", "tiny", "u1"),
    ]  # fmt: skip
    assert another_row(SOURCES, own, rows) == rows[-1]


def test_a_change_keeps_what_it_can() -> None:
    row = ("photos", "big", "s4")
    assert changed_row(SOURCES, row, "dataset", "traps") == ("traps", "big", "s4")
    assert changed_row(SOURCES, row, "dataset", "alone") == ("alone", "tiny", "u1")
    assert changed_row(SOURCES, row, "network", "small") == ("photos", "small", "t1")
    assert changed_row(SOURCES, row, "layer", "s2") == ("photos", "big", "s2")
    for what, value in (("layer", "t1"), ("network", "tiny"), ("dataset", "x"), ("nonsense", "big")):
        assert changed_row(SOURCES, row, what, value) is None
