"""Columns: the metadata of a store that pictures are filtered and grouped by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vfs_panel.features import FeatureStore, layout
from vfs_panel.features.selecting import columns_of

MOST_VALUES = 200
"""A column of more values, such as a path, is none to choose from."""


@dataclass(frozen=True, slots=True)
class Column:
    """A metadata column with few enough values to choose from.

    Attributes
    ----------
    name : as the store has it; "findings" for what several of may be true of a picture.
    values : in order of appearance for domains, else sorted.
    """

    name: str
    values: tuple[str, ...]


def columns(store: FeatureStore, *, most: int = MOST_VALUES) -> Sequence[Column]:
    """Return the columns that have from two to `most` values among the pictures that could be read.

    Domain and label come first, then the others in the store's order.
    """
    found = []
    for name in sorted(columns_of(store), key=lambda name: {"domain": 0, "label": 1}.get(name, 2)):
        values = _values(store, name, most)
        if 2 <= len(values) <= most or (name == layout.FINDINGS and values):
            found.append(Column(name, values))
    return found


def _values(store: FeatureStore, name: str, most: int) -> tuple[str, ...]:
    if name == layout.FINDINGS:
        return tuple(map(str, store.findings.columns)) if store.findings is not None else ()
    codes, meanings = store.pictures_index.codes(name)
    codes = codes[~store.pictures_index.broken & (codes >= 0)]
    present, first = np.unique(codes, return_index=True)
    if len(present) > most:
        return ()
    if name == "domain":
        return tuple(str(meanings[code]) for code in present[np.argsort(first)].tolist())
    return tuple(sorted(str(meanings[code]) for code in present.tolist()))
