"""Which pictures of a store have some value: of a column of its index, or among their findings."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vfs_panel.errors import QueryError
from vfs_panel.features import layout
from vfs_panel.features.store import FeatureStore

_SHOWN = 8


def pictures_with(store: FeatureStore, wanted: Mapping[str, str | Iterable[str]]) -> NDArray[np.bool_]:
    """Return which pictures of a store have the wanted values.

    Parameters
    ----------
    wanted : {column of the index: value or values}; a picture must have one value of each column. The column
        "findings" stands for its findings, of which it may have several.

    Returns
    -------
    bool array, one value per picture.

    Raises
    ------
    QueryError
        If the store has no such column, or no picture has such a value.
    """
    found: NDArray[np.bool_] = np.ones(store.n_images, bool)
    for column, asked in wanted.items():
        values = [asked] if isinstance(asked, str) else [str(value) for value in asked]
        found = found & _having(store, column, values)
    return found


def columns_of(store: FeatureStore) -> list[str]:
    """Return the columns that pictures can be chosen by."""
    return store.pictures_index.names + ([layout.FINDINGS] if store.findings is not None else [])


def _having(store: FeatureStore, column: str, values: Sequence[str]) -> NDArray[np.bool_]:
    has: NDArray[np.bool_]
    findings = store.findings
    if column == layout.FINDINGS and findings is not None:
        known = set(map(str, findings.columns))
        has = np.asarray(findings[[value for value in values if value in known]].to_numpy(bool).any(1), bool)
    elif column in columns_of(store):
        codes, meanings = store.pictures_index.codes(column)
        known = {meanings[code] for code in np.unique(codes).tolist()}
        has = np.isin(codes, [meanings.index(value) for value in values if value in known])
    else:
        raise QueryError(f"The store {store.name} has no column {column!r}; it has {', '.join(columns_of(store))}.")
    missing = sorted(set(values) - known)
    if missing:
        some = ", ".join(sorted(known)[:_SHOWN])
        raise QueryError(f"No picture has {column} {missing[0]!r}; there is, for example, {some}.")
    return has
