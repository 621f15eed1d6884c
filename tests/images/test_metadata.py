"""Columns of any type become clean text; findings become true or false."""

import datetime

import numpy as np
import pandas as pd
import pytest

from vfs_panel.errors import ImageError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.metadata import RESERVED, findings_from, text_column

GAP = pd.NA
DAY = datetime.datetime(2024, 2, 29)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1, 2]), ["1", "2"]),
        (pd.Series([3.0, None]), ["3", ""]),
        (pd.Series([3.0, 3.5, np.nan]), ["3.0", "3.5", ""]),
        (pd.Series([3, None], dtype="Int64"), ["3", ""]),
        (pd.Series([0.1], dtype="float32"), ["0.1"]),
        (pd.Series([np.inf, 1.0]), ["inf", "1"]),
        (pd.Series([True, False]), ["true", "false"]),
        (pd.Series([True, None], dtype="boolean"), ["true", ""]),
        (pd.Series(["a", None]), ["a", ""]),
        (pd.Series(["a", GAP], dtype="string"), ["a", ""]),
        (pd.Series(["a", None, "a"], dtype="category"), ["a", "", "a"]),
        (pd.Series([3, None], dtype="Int64").astype("category"), ["3", ""]),
        (pd.Series([DAY, None]), ["2024-02-29", ""]),
        (pd.Series([DAY.replace(hour=5)]), ["2024-02-29 05:00:00"]),
        (pd.Series([DAY.date()]), ["2024-02-29"]),
        (pd.Series([["x", "y"], None]), ["x|y", ""]),
        (pd.Series([b"bytes", 1, None]), ["bytes", "1", ""]),
        ([1, "b", None], ["1", "b", ""]),
        (np.array([1, 2], np.uint8), ["1", "2"]),
    ],
)
def test_cells_become_text(values: object, expected: list[str]) -> None:
    assert text_column(values) == expected  # type: ignore[arg-type]


def load(image_id: str) -> np.ndarray:
    return np.zeros((2, 2, 3), np.uint8)


def test_a_table_is_text_with_text_names() -> None:
    table = pd.DataFrame({7: [1.0, None], "age": [30, 40], "a/b": ["x", "y"], "..": ["", ""]}, index=[10, 20])
    images = ImageDataset(table, load, name="set")
    assert images.ids == ["10", "20"]
    assert list(images.table) == ["7", "age", "a_b", "column__", "domain", "label", "split", "path"]
    assert images.table.map(type).eq(str).all(axis=None)
    assert images.table["7"].tolist() == ["1", ""]


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_names_that_a_store_has_taken_are_changed(name: str) -> None:
    images = ImageDataset(pd.DataFrame({name: ["x"]}, index=["a"]), load, name="set")
    assert images.table.at["a", f"{name}_"] == "x"
    assert name not in images.table
    with pytest.raises(ImageError, match=f"Column '{name}_' stands 2 times"):
        ImageDataset(pd.DataFrame({name: ["x"], f"{name}_": ["y"]}, index=["a"]), load, name="set")


def test_findings_in_one_column() -> None:
    table = pd.DataFrame({"seen": ["Mass|Nodule", "No Finding", "", "Nodule; Edema, mild ", None, "Mass|Mass"]})
    found, texts = findings_from(table, "seen", "The table")
    assert list(found) == ["Edema, mild", "Mass", "Nodule"]
    assert texts == ["Mass|Nodule", "", "", "Edema, mild|Nodule", "", "Mass"]
    assert found.to_numpy().dtype == bool
    lists, _ = findings_from(pd.DataFrame({"seen": [["Mass", "Nodule"], []]}), "seen", "The table")
    assert lists.to_numpy().tolist() == [[True, True], [False, False]]


def test_findings_in_columns() -> None:
    table = pd.DataFrame({"Mass": [1, 0, None], "Edema": ["true", "", "NO"], "Gas": [True, False, True]})
    found, texts = findings_from(table, ["Mass", "Edema", "Gas"], "The table")
    assert found.to_numpy().tolist() == [[True, True, True], [False, False, False], [False, False, True]]
    assert texts == ["Mass|Edema|Gas", "", "Gas"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("Gas", "no column 'Gas'; it has Mass"),
        (["Mass", "Gas"], "no column 'Gas'"),
        (["Mass"], "is '-1' in row 2; expected 1 or 0"),
        ([], "No column"),
        ("none", "names no finding"),
    ],
)
def test_findings_that_cannot_be_taken(columns: str | list[str], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        findings_from(pd.DataFrame({"Mass": [1.0, -1.0], "none": ["", "No Finding"]}), columns, "The table")


def test_findings_follow_their_pictures() -> None:
    table = pd.DataFrame({"label": ["x", "y", "z"]}, index=["a", "b", "c"])
    findings = pd.DataFrame({"Mass": [1, 0, 1], "Gas": [0, 0, 1]}, index=["c", "b", "a"])
    images = ImageDataset(table, load, name="set", findings=findings)
    assert images.findings is not None
    assert images.findings.loc["a"].tolist() == [True, True]
    assert images.findings.index.tolist() == images.ids
    some = images.subset(["c", "a"])
    assert some.findings is not None
    assert some.findings.to_numpy().tolist() == [[True, False], [True, True]]
    assert some.table["label"].tolist() == ["z", "x"]
    assert "2 findings" in repr(some)


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        (pd.DataFrame({"Mass": [True]}, index=["a"]), "none for picture 'b'"),
        (pd.DataFrame({"Mass": [True] * 3}, index=["a", "b", "b"]), "several for one picture"),
        (pd.DataFrame({"Mass": ["maybe", "0"]}, index=["a", "b"]), "'maybe' in row 1"),
        (pd.DataFrame([[True, True]] * 2, columns=["Mass", "Mass "], index=["a", "b"]), "different names"),
    ],
)
def test_findings_that_do_not_fit_are_refused(findings: pd.DataFrame, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        ImageDataset(pd.DataFrame(index=["a", "b"]), load, name="set", findings=findings)
