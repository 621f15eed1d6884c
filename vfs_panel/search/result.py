"""The result of a search: one labelled xr.Dataset, and how it is written out."""

import numpy as np
import pandas as pd
import xarray as xr

RANK_COLUMNS = ("score", "image_id", "y", "x", "height", "width", "label", "domain", "path")


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return the matches as a DataFrame, one row each, indexed by rank from 1."""
    columns = {name: result[name].values for name in RANK_COLUMNS}
    return pd.DataFrame(columns, index=pd.Index(result["rank"].values, name="rank"))


def to_csv(result: xr.Dataset) -> str:
    """Return the matches as CSV text."""
    return str(table(result).to_csv())


def to_json(result: xr.Dataset) -> str:
    """Return provenance and matches as JSON text: {"search": {…}, "matches": [{…}, …]}."""
    import json

    rows = table(result).reset_index().to_dict(orient="records")
    return json.dumps({"search": dict(result.attrs), "matches": rows}, default=_plain, indent=2, ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON value")
