"""The fields of a catalog entry's YAML file: what each means, and what it may hold. Pure data, nothing is opened."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Text = Annotated[str, Field(min_length=1)]
XY = tuple[float, float]


class Part(BaseModel):
    """Base of every part of an entry: unknown fields are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def inside(folder: Path, path: str) -> Path:
    """Return a path of an entry's file as an absolute one.

    Parameters
    ----------
    folder : Path
        Where the entry's file lies; relative paths start there.
    path : str
        As written in the file. An absolute path, or one that starts with ~, is taken as it is.

    Raises
    ------
    ValueError
        If a relative path leads out of the folder.
    """
    own = Path(path).expanduser()
    if own.is_absolute():
        return own
    found = (folder / own).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise ValueError(f"path {path!r} leads out of the entry's own folder; write it as an absolute path")
    return found


def _resolved(path: str, info: ValidationInfo) -> str:
    return str(inside((info.context or {}).get("folder", Path.cwd()), path))


class DemoPictures(Part):
    """Pictures that vfs_panel renders itself: from photographs that its requirements carry, or drawn in code."""

    source: Literal["demo"] = Field(description="Always `demo`.")
    name: Literal["photos", "camera-traps", "chest-films"] = Field(
        description="Which demo set: `photos`, `camera-traps` or `chest-films`."
    )


class FolderPictures(Part):
    """Pictures in a folder tree on this machine."""

    source: Literal["folder"] = Field(description="Always `folder`.")
    path: Text = Field(description="The folder: absolute, from `~`, or below the entry's own folder.")
    domain: Text = Field(
        "parent",
        description="`parent`: the first folder level is the domain and the last the label; else a column of `labels`.",
    )
    labels: Text | None = Field(
        None, description="CSV with a column `path` or `image`, and `label`, `domain`, `split` or others."
    )

    @field_validator("path", "labels")
    @classmethod
    def _absolute(cls, value: str | None, info: ValidationInfo) -> str | None:
        return None if value is None else _resolved(value, info)

    @model_validator(mode="after")
    def _column_needs_table(self) -> Self:
        if self.domain != "parent" and self.labels is None:
            raise ValueError(f"domain is the column {self.domain!r}, but there is no labels CSV that could hold it")
        return self


class NetworkEntry(Part):
    """A network, and the layers of it that are searched."""

    name: Text = Field(description="Name of the network, as `vfs-panel models` lists it.")
    weights: Text | None = Field(
        None,
        description="State dict file (with its ending), published weights' name, `random`, or nothing for the best "
        "published weights.",
    )
    strict: bool = Field(True, description="Whether the weights file must fit the network exactly.")
    layers: list[Text] = Field(min_length=1, description="Layers to search, as `vfs-panel models NAME` lists them.")
    default_layer: Text | None = Field(None, description="The layer shown first; the first of `layers` by default.")
    dtype: Literal["float16", "float32", "int8"] = Field("float16", description="Number type of the stored features.")

    @field_validator("weights")
    @classmethod
    def _absolute(cls, value: str | None, info: ValidationInfo) -> str | None:
        is_file = value is not None and any(mark in value for mark in "./\\")  # IMAGENET1K_V2 is a name
        return _resolved(value, info) if value is not None and is_file else value

    @model_validator(mode="after")
    def _layers_agree(self) -> Self:
        doubled = {layer for layer in self.layers if self.layers.count(layer) > 1}
        if doubled:
            raise ValueError(f"layer {min(doubled)!r} stands twice in layers")
        if self.default_layer is not None and self.default_layer not in self.layers:
            raise ValueError(f"default_layer {self.default_layer!r} is none of the layers {', '.join(self.layers)}")
        return self

    @property
    def layer(self) -> str:
        """The layer shown first."""
        return self.default_layer or self.layers[0]


class QueryStroke(Part):
    """One stroke of a suggested query; the fields are those of `vfs_panel.Stroke`."""

    points: list[XY] = Field(min_length=1, description="Points x, y in pixels of the picture.")
    radius_px: float = Field(12.0, ge=0, description="Half the brush's width, in pixels of the picture.")
    mode: Literal["include", "erase"] = Field("include", description="`include` paints, `erase` takes away.")
    shape: Literal["line", "fill"] = Field("line", description="`line`: a round brush; `fill`: the polygon inside.")


class SuggestedQuery(Part):
    """A region worth searching for: a picture, and what is painted on it."""

    title: Text = Field(description="Name of the query, as a button shows it.")
    note: str = Field("", description="What to look for in the matches.")
    image: Text = Field(description="Id of the picture that is painted on.")
    strokes: list[QueryStroke] | None = Field(None, description="What is painted, stroke by stroke.")
    box: tuple[float, float, float, float] | None = Field(
        None, description="Or a rectangle: left, top, right, bottom in pixels of the picture."
    )

    @model_validator(mode="after")
    def _one_region(self) -> Self:
        if (self.strokes is None) == (self.box is None):
            raise ValueError("a query needs either strokes or a box")
        if self.strokes is not None and not self.strokes:
            raise ValueError("strokes is an empty list; paint something")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("the box is empty; give left, top, right, bottom")
        return self
