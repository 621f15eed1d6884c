"""What an entry says of its pictures -> an ImageDataset: label files read, rules applied, splits chosen."""

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from vfs_panel.catalog.describing import TEMPLATE, Described, LabelFile, NamesFile, Rule
from vfs_panel.errors import CatalogError, ImageError
from vfs_panel.images.annotations import FINDINGS, coco_table, imagenet_devkit_table
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.metadata import need_column
from vfs_panel.images.table import read_table


def described_images(
    pictures: Described, *, folder: Path, labels: Path | None, beside: tuple[Path, ...], name: str
) -> ImageDataset:
    """Return the pictures of a folder with what an entry says of them.

    Parameters
    ----------
    pictures : the entry's rules.
    folder : where the pictures' paths start.
    labels : the labels file, if there is one.
    beside : folders that tables of names are looked for in.
    name : what people call the set.

    Raises
    ------
    ImageError
        If the folder or the labels are missing or hold no picture, or a column is missing.
    CatalogError
        If no picture is left, or a table of names is missing.
    """
    if labels is None or pictures.labels is None:
        images = ImageDataset.from_folder(folder, name=name)
    else:
        table = label_table(pictures.labels, labels)
        findings = pictures.findings or (FINDINGS if pictures.labels.format == "coco" else None)
        if pictures.splits is not None:
            table = _only(table, pictures, beside)
        images = ImageDataset.from_table(
            table, folder, domain=_own(pictures.domain, table), label="parent", findings=findings, name=name
        )
    if pictures.label is None and pictures.domain is None and pictures.split is None and pictures.splits is None:
        return images
    known = images.table.copy()
    for role in ("label", "domain", "split"):
        rule = getattr(pictures, role)
        if rule is not None:
            known[role] = values_of(rule, known, beside, f"The labels of {name}")
    found = images.findings
    images = ImageDataset(known, images.load, name=name, skipped=images.skipped, folder=images.folder, findings=found)
    if pictures.splits is None:
        return images
    chosen = known.index[known["split"].isin(pictures.splits)]
    if not len(chosen):
        there = ", ".join(sorted(set(known["split"]))) or "none"
        raise CatalogError(f"No picture of {name} is of split {' or '.join(pictures.splits)}; there are {there}.")
    return images.subset(chosen)


def _own(domain: Rule | None, table: pd.DataFrame) -> str | None:
    """Return what reading the table itself makes of the domain: the folder, where no rule and no column says it."""
    return "parent" if domain is None and "domain" not in table else None


def _only(table: pd.DataFrame, pictures: Described, beside: tuple[Path, ...]) -> pd.DataFrame:
    """Return the rows of the chosen splits, before every picture is looked for; all, where paths decide."""
    rule = pictures.split or Rule.model_validate({"column": "split"})
    if rule.column is None or rule.column not in table:
        return table
    split = values_of(rule, table, beside, "The labels")
    return table[split.isin(pictures.splits or [])]


def label_table(labels: LabelFile, file: Path) -> pd.DataFrame:
    """Read a labels file, with a column `path` where the entry says how paths are made.

    Raises
    ------
    ImageError
        If it is missing, is not what the entry says, or lacks a column.
    """
    if labels.format == "coco":
        table = coco_table(file)
    elif labels.format == "imagenet-devkit":
        table = imagenet_devkit_table(file)
    elif labels.columns is None:
        table = read_table(file)
    else:
        table = _unnamed(file, labels.columns)
    if labels.path is None:
        return table
    called = f"Labels file {file}"
    parts = TEMPLATE.split(labels.path)  # text, column, text, column, … text
    for column in parts[1::2]:
        need_column(table, column, called)
    paths = pd.Series(parts[0], index=table.index, dtype=object)
    for column, text in zip(parts[1::2], parts[2::2], strict=True):
        paths = paths + table[column].astype(str) + text
    return table.drop(columns="path", errors="ignore").assign(path=paths)


def _unnamed(file: Path, columns: list[str]) -> pd.DataFrame:
    separator = {".csv": ",", ".tsv": "\t"}.get(file.suffix.lower(), r"\s+")
    if not file.is_file():
        raise ImageError(f"Labels file {file} does not exist.")
    try:
        table = pd.read_csv(
            file, sep=separator, names=columns, comment="#", dtype=str, keep_default_na=False, index_col=False,
            encoding="utf-8-sig",
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise ImageError(f"Labels file {file} cannot be read: {str(error).splitlines()[0]}.") from None
    if not len(table) or (table[columns[-1]] == "").all():
        raise ImageError(f"Labels file {file} has fewer columns than the {len(columns)} that the entry names.")
    return table


def values_of(rule: Rule, table: pd.DataFrame, beside: tuple[Path, ...], called: str) -> pd.Series:
    """Return what a rule finds for each picture, as text.

    Parameters
    ----------
    rule : the rule.
    table : one row per picture, with the columns that the rule needs; `path` for folders and patterns.
    beside : folders that a table of names is looked for in.
    called : what to call the table in an error.

    Raises
    ------
    ImageError
        If a column is missing.
    CatalogError
        If a table of names is missing or has no such column.
    """
    if rule.column is not None:
        need_column(table, rule.column, called)
        found = table[rule.column].astype(str)
    elif rule.value is not None:
        found = pd.Series(rule.value, index=table.index, dtype=object)
    else:
        paths = [str(path) for path in table["path"]]
        values = [_matched(rule.pattern, p) if rule.pattern else _folder(str(rule.folder), p) for p in paths]
        found = pd.Series(values, index=table.index, dtype=object)
    names = rule.names if rule.names_file is None else _names(rule.names_file, beside)
    return found if names is None else found.map(lambda value: names.get(value, value))


def _matched(pattern: str, path: str) -> str:
    match = re.search(pattern, path)
    return "" if match is None else match[1] or ""


def _folder(which: str, path: str) -> str:
    folders = PurePosixPath(path).parts[:-1]
    if which == "last":
        return folders[-1] if folders else ""
    return folders[0] if len(folders) > 1 else ""


def _names(names: NamesFile, beside: tuple[Path, ...]) -> dict[str, str]:
    """Read a table of names, from the first folder that has it."""
    for folder in beside:
        file = folder / names.file
        if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
            break
    else:
        places = " or ".join(str(folder) for folder in beside)
        raise CatalogError(f"The table of names {names.file} is not there. Expected it below {places}.")
    table = read_table(file)
    for column in (names.key, names.name):
        need_column(table, column, f"Table of names {file}")
    return dict(zip(table[names.key].astype(str), table[names.name].astype(str), strict=True))
