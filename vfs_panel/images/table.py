"""A table that lists picture files and what is known of them: CSV, TSV, Parquet or a DataFrame."""

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd

from vfs_panel.errors import ImageError
from vfs_panel.images.listing import FileReader, Listing, need_pictures, picture_folder
from vfs_panel.images.metadata import findings_from, need_column, text_column
from vfs_panel.images.quiet import quiet
from vfs_panel.images.reading import is_picture

SUFFIXES = frozenset({".csv", ".tsv", ".parquet", ".pq"})
# Usual names of the column with a picture's path, in lower case, without blanks and underscores; the likeliest first.
_PATHS = ("path", "file", "filename", "filepath", "imagepath", "image", "imageindex", "imagefile", "imagefilename")
_LABELS = ("label", "class")
_SHOWN = "path, file, filename, image, image_path or 'Image Index'"


def table_listing(
    source: Path | str | pd.DataFrame,
    *,
    folder: Path | str | None,
    domain: str | None,
    label: str | None,
    split: str | None,
    findings: str | Sequence[str] | None,
    name: str | None,
) -> Listing:
    """List the pictures that a table names; `ImageDataset.from_table`, which says what the arguments are.

    `domain` and `label` may be "parent": the first of several folders in a path, and the last.

    Raises
    ------
    ImageError
        If the table cannot be read, a column is missing, a path leads out of the folder, or no picture is there.
    """
    if isinstance(source, pd.DataFrame):
        called, table = name or "The table", source.copy()
        if folder is None:
            raise ImageError("A table in memory needs folder=, the folder that its paths start at.")
    else:
        called, table = f"Labels file {source}", read_table(source)
    root = picture_folder(Path(str(source)).parent if folder is None else folder)
    key = _path_column(table, called, root)
    paths = text_column(table[key])
    table = table.assign(path=paths)
    for role, column in (("domain", domain), ("label", label), ("split", split)):
        if column is not None and (column != "parent" or role == "split"):
            need_column(table, column, called)
            table[role] = table[column]
    if "label" not in table:
        guessed = next((c for c in table if _letters(c) in _LABELS), None)
        if guessed is not None:
            table["label"] = table[guessed]
    if domain == "parent" and "domain" not in table:
        table["domain"] = [Path(p).parts[0] if len(Path(p).parts) > 2 else "" for p in paths]
    if label == "parent" and "label" not in table:
        table["label"] = [Path(p).parts[-2] if len(Path(p).parts) > 1 else "" for p in paths]
    first_line = 1 if isinstance(source, pd.DataFrame) else 2  # a file has a line of column names
    rows, below, skipped = _present(paths, root, called, first_line=first_line)
    need_pictures(len(rows), f"{called}, looked for in {root},", skipped)
    table = table.iloc[rows].assign(path=below)
    table.index = pd.Index(text_column(table["image"]) if "image" in table and key != "image" else below, dtype=object)
    found = None
    if findings is not None:
        found, texts = findings_from(table, findings, called)
        if "label" not in table:
            table["label"] = table[findings] if isinstance(findings, str) else texts
    taken = {"image", key, *([findings] if findings == "findings" else [])} - {"path"}
    return Listing(
        table.drop(columns=[column for column in table if column in taken]),
        FileReader(root.resolve(), dict(zip(table.index, below, strict=True))),
        name or (root.resolve().name if folder is not None else Path(str(source)).stem),
        skipped,
        folder=str(root.resolve()),
        findings=found,
    )


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file.

    Cells of a CSV stay the text that they are, but whole numbers that a missing value had turned into 3.0 are 3.

    Raises
    ------
    ImageError
        If it is missing or cannot be read, or pyarrow is missing for Parquet.
    """
    file = Path(path)
    if not file.is_file():
        raise ImageError(f"Labels file {file} {'is a folder' if file.exists() else 'does not exist'}.")
    if file.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(file)
    try:
        table = _read_csv(file, "\t" if file.suffix.lower() == ".tsv" else ",")
        if len(table.columns) == 1 and ";" in str(table.columns[0]):  # as spreadsheets write it in much of Europe
            table = _read_csv(file, ";")
    except (ValueError, OSError) as error:
        raise ImageError(f"Labels file {file} cannot be read as CSV: {str(error).splitlines()[0]}.") from None
    for column in table:
        cells = table[column]
        if (cells == "").any() and cells.str.fullmatch(r"(-?\d+\.0)?").all():
            table[column] = cells.str.removesuffix(".0")
    return table


def _read_csv(file: Path, separator: str) -> pd.DataFrame:
    table = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("rows have more cells than there are column names")
    return table


def _read_parquet(file: Path) -> pd.DataFrame:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ImageError(
            f'{file} is a Parquet file, and pyarrow is not installed. Run: pip install "vfs_panel[parquet]"'
        ) from None
    try:
        return pd.read_parquet(file, engine="pyarrow")
    except Exception as error:  # pyarrow has errors of its own
        raise ImageError(f"Labels file {file} cannot be read as Parquet: {str(error).splitlines()[0]}.") from None


def _letters(column: object) -> str:
    return re.sub(r"[\W_]", "", str(column).lower())


def _path_column(table: pd.DataFrame, called: str, root: Path) -> str:
    columns = [str(column) for column in table.columns]
    if len(set(columns)) < len(columns):
        twice = next(c for c in columns if columns.count(c) > 1)
        raise ImageError(f"{called} has several columns {twice!r}. Rename all but one.")
    table.columns = pd.Index(columns, dtype=object)
    for usual in _PATHS:
        for column in columns:
            if _letters(column) == usual:
                return column
    raise ImageError(f"{called} has columns {', '.join(columns)}; it needs 'path' (below {root}), or one of {_SHOWN}.")


def _present(
    paths: list[str], root: Path, called: str, *, first_line: int
) -> tuple[list[int], list[str], list[tuple[str, str]]]:
    """Return the rows whose picture is there, their paths below the folder, and the others with a reason."""
    inside = os.path.realpath(root)

    @lru_cache(maxsize=4096)
    def real(folder: str) -> str:
        return os.path.realpath(os.path.join(inside, folder))

    rows, kept, skipped = [], [], []
    with quiet():
        for row, path in enumerate(paths):
            if not path or "\0" in path:
                skipped.append((path, f"no path in row {row + first_line}"))
                continue
            folder, file = os.path.split(path)
            place = os.path.join(real(folder), file)  # a folder is looked up once, not for each of its pictures
            if file in ("", ".", "..") or os.path.islink(place):
                place = os.path.realpath(place)
            if not place.startswith(inside.rstrip(os.sep) + os.sep) and place != inside:
                raise ImageError(
                    f"{called}, line {row + first_line}: path {path!r} leads out of {root}. "
                    "Give the folder that holds all of the pictures, and the list as --labels (labels=) of it."
                )
            why = is_picture(place)
            if why is not None:
                skipped.append((path, why))
                continue
            rows.append(row)
            kept.append(os.path.relpath(place, inside) if os.path.isabs(path) else path)
    return rows, kept, skipped
