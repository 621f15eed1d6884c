"""What is known of each picture besides its pixels: clean text columns, and findings of which several can hold."""

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vfs_panel.errors import ImageError

COLUMNS = ("domain", "label", "split", "path")
RESERVED = frozenset({"image", "broken", "features", "findings", "finding"})  # names that a feature store has taken
_TRUE = frozenset({"1", "1.0", "true", "yes", "y", "t"})
_FALSE = frozenset({"", "0", "0.0", "false", "no", "n", "f", "nan", "none", "<na>"})
_NO_FINDING = frozenset({"", "no finding", "no findings", "nan", "none"})


def text_of(value: Any) -> str:
    """Return one cell as text: "" for what is missing, "3" for 3.0, "true" and "false", dates without idle hours."""
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        whole = bool(np.isfinite(value)) and abs(float(value)) < 1e15 and value == int(value)
        return str(int(value)) if whole else "" if np.isnan(value) else str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, list | tuple | np.ndarray):
        return "|".join(text_of(part) for part in value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def text_column(values: Iterable[Any]) -> list[str]:
    """Return a column as text, as `text_of` does; a column with both 3.0 and 3.5 keeps its decimals."""
    if isinstance(values, pd.Series):
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            values = values.astype(object)
        own = isinstance(values.dtype, np.dtype) and values.dtype.kind == "f"  # float32 prints shorter than float
        values = values.to_numpy() if own else values.to_numpy(object)
    cells = list(values)
    if all(type(v) is str for v in cells):
        return cells
    decimals = any(_is_number(v) and v != int(v) for v in cells)
    return [str(v) if decimals and _is_number(v) else text_of(v) for v in cells]


def _is_number(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isfinite(value))


def text_table(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a table of text only, indexed by picture id, that can be kept in a feature store.

    The columns domain, label, split and path are added, empty, where missing. A column name becomes text; one that a
    store has taken (image, broken, features, findings, finding) gets an underscore at its end; "/" becomes "_".

    Raises
    ------
    ImageError
        If an id or a column name stands twice.
    """
    ids = text_column(table.index)
    index = pd.Index(ids, dtype=object, name="image")
    doubled = index[index.duplicated()]
    if len(doubled):
        raise ImageError(
            f"Picture id {doubled[0]!r} stands {ids.count(doubled[0])} times in {name}; ids must be unique."
        )
    columns = [_column_name(column) for column in table.columns]
    for column in columns:
        if columns.count(column) > 1:
            raise ImageError(f"Column {column!r} stands {columns.count(column)} times in {name}. Rename all but one.")
    cells: dict[str, Any] = {
        column: pd.Series(text_column(table.iloc[:, at]), index=index, dtype=object)
        for at, column in enumerate(columns)
    }
    for column in COLUMNS:
        cells.setdefault(column, pd.Series([""] * len(index), index=index, dtype=object))
    return pd.DataFrame(cells, index=index)


def _column_name(column: object) -> str:
    text = re.sub(r"[/\\]", "_", text_of(column).strip())
    if text in RESERVED:
        return f"{text}_"
    # The names of a store's arrays: not empty, not only dots, no leading underscores.
    return text if text.strip(".") and not text.startswith("__") else f"column{text.replace('.', '_')}"


def checked_findings(findings: pd.DataFrame | None, index: pd.Index, name: str) -> pd.DataFrame | None:
    """Return findings as bool, one row per picture in the index's order, one column per finding.

    Raises
    ------
    ImageError
        If a picture has no row, a name stands twice or is empty, or a value is neither true nor false.
    """
    if findings is None:
        return None
    names = [text_of(column).strip() for column in findings.columns]
    if "" in names or len(set(names)) < len(names):
        raise ImageError(f"The findings of {name} are named {', '.join(names)}; expected different names, none empty.")
    rows = findings.set_axis(pd.Index(text_column(findings.index), dtype=object, name="image"), axis=0)
    missing = index.difference(rows.index)
    if len(missing) or rows.index.has_duplicates:
        what = f"none for picture {missing[0]!r}" if len(missing) else "several for one picture"
        raise ImageError(f"The findings of {name} have {len(rows)} rows, {what}. Expected one row per picture id.")
    rows = rows.set_axis(pd.Index(names, dtype=object), axis=1).loc[index]
    if any(dtype != np.bool_ for dtype in rows.dtypes):
        rows = pd.DataFrame({column: _truth(rows[column], column, name) for column in names}, index=index)
    return rows


def _truth(values: Iterable[Any], column: str, name: str) -> list[bool]:
    found = []
    for row, text in enumerate(text_column(values)):
        word = text.strip().lower()
        if word not in _TRUE and word not in _FALSE:
            raise ImageError(
                f"Finding {column!r} of {name} is {text!r} in row {row + 1}; expected 1 or 0, true or false, or blank. "
                "Decide what other values mean before."
            )
        found.append(word in _TRUE)
    return found


def findings_from(table: pd.DataFrame, columns: str | Sequence[str], name: str) -> tuple[pd.DataFrame, list[str]]:
    """Take the findings of a table: several can hold for one picture, or none.

    Parameters
    ----------
    table : DataFrame, one row per picture.
    columns : one column with the names of all that hold, as "Mass|Nodule" (split at | and ;, not at commas; empty or
        "No Finding" is none) or a list of names; or several columns, one per finding, of 1, 0, true, false or blank.
    name : what to call the table in an error.

    Returns
    -------
    DataFrame of bool, shape (picture, finding), index as in the table; and one text per picture that joins them by |.

    Raises
    ------
    ImageError
        If a column is missing, a value is neither true nor false, or there is no finding at all.
    """
    wanted = [columns] if isinstance(columns, str) else list(columns)
    for column in wanted:
        need_column(table, column, name)
    if not wanted:
        raise ImageError(f"No column of {name} is named for the findings; it has {', '.join(map(str, table))}.")
    if isinstance(columns, str):
        held = [_names(cell) for cell in table[columns]]
        names = sorted({n for names in held for n in names})
        if not names:
            raise ImageError(f"Column {columns!r} of {name} names no finding. Expected text such as Mass|Nodule.")
        values = np.zeros((len(table), len(names)), bool)
        at = {n: k for k, n in enumerate(names)}
        for row, some in enumerate(held):
            values[row, [at[n] for n in some]] = True
        found = pd.DataFrame(values, index=table.index, columns=pd.Index(names, dtype=object))
    else:
        found = pd.DataFrame({c: _truth(table[c], c, name) for c in wanted}, index=table.index)
    return found, joined(found)


def _names(cell: Any) -> list[str]:
    parts = re.split(r"[|;]", text_of(cell))
    return list(dict.fromkeys(part.strip() for part in parts if part.strip().lower() not in _NO_FINDING))


def joined(findings: pd.DataFrame) -> list[str]:
    """Return the names of the findings that hold for each picture, joined by |; "" for none."""
    names = np.array([str(c) for c in findings.columns], object)
    return ["|".join(names[row]) for row in findings.to_numpy(bool)]


def need_column(table: pd.DataFrame, column: str, name: str) -> None:
    """Raise ImageError if the table has no such column."""
    if column not in table.columns:
        raise ImageError(f"{name} has no column {column!r}; it has {', '.join(map(str, table))}.")


def columns_for(count: int, columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Turn columns given as one text for all, or one value per picture, into lists.

    Raises
    ------
    ImageError
        If a column has another number of values than there are pictures.
    """
    lists = {}
    for column, values in columns.items():
        if values is None:
            continue
        cells = [values] * count if isinstance(values, str) else list(values)
        if len(cells) != count:
            raise ImageError(f"Column {column!r} has {len(cells)} values for {count} pictures. Give one per picture.")
        lists[column] = cells
    return lists
