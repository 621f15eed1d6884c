"""The fields of a catalog entry's YAML file: what each means, and what it may hold. Pure data, nothing is opened."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from vfs_panel.catalog.describing import Described, LabelFile
from vfs_panel.catalog.parts import Part, SetFile, SourceFile, Text, below, resolved, web_address

XY = tuple[float, float]


class DemoPictures(Part):
    """Pictures that vfs_panel renders itself: from photographs that its requirements carry, or drawn in code."""

    source: Literal["demo"] = Field(description="Always `demo`.")
    name: Literal["photos", "camera-traps", "chest-films"] = Field(
        description="Which demo set: `photos`, `camera-traps` or `chest-films`."
    )


class FolderPictures(Described):
    """Pictures in a folder tree on this machine."""

    source: Literal["folder"] = Field(description="Always `folder`.")
    path: Text = Field(description="The folder: absolute, from `~`, or below the entry's own folder.")

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str, info: ValidationInfo) -> str:
        return resolved(value, info)

    @field_validator("labels")
    @classmethod
    def _absolute_labels(cls, value: LabelFile | None, info: ValidationInfo) -> LabelFile | None:
        return None if value is None else value.model_copy(update={"file": resolved(value.file, info)})


class FetchedPictures(Described):
    """Pictures of a published data set: downloaded, or put into place by hand, then checked and unpacked."""

    source: Literal["fetched"] = Field(description="Always `fetched`.")
    files: list[SetFile] = Field(min_length=1, description="The data set's files: archives to unpack, and others.")
    folder: Text = Field(".", description="Folder where the pictures' paths start, below the data set's own.")
    layout: Literal["files", "cifar-10"] = Field(
        "files", description="`files`: one per picture; `cifar-10`: CIFAR-10's binary batches."
    )

    @field_validator("folder")
    @classmethod
    def _below(cls, value: str) -> str:
        return below(value)

    @field_validator("labels")
    @classmethod
    def _labels_below(cls, value: LabelFile | None) -> LabelFile | None:
        if value is not None:
            below(value.file)
        return value

    @model_validator(mode="after")
    def _places_differ(self) -> Self:
        places = [file.place for file in self.files]
        doubled = {place for place in places if places.count(place) > 1}
        if doubled:
            raise ValueError(f"two files end up in {min(doubled)!r}; give each its own `into`")
        if self.layout != "files" and (self.labels or self.label or self.domain or self.split):
            raise ValueError(f"layout {self.layout!r} brings its own labels and splits; leave out rules for them")
        return self


def _pictures_kind(value: Any) -> str | None:
    source = value.get("source") if isinstance(value, dict) else getattr(value, "source", None)
    return f":{source}" if isinstance(source, str) else None


Pictures = Annotated[
    Annotated[DemoPictures, Tag(":demo")]
    | Annotated[FolderPictures, Tag(":folder")]
    | Annotated[FetchedPictures, Tag(":fetched")],
    Discriminator(_pictures_kind),
]


class DownloadedFeatures(SourceFile):
    """A ready-made feature store, downloaded once: a zipped Zarr store."""

    source: Literal["downloaded"] = Field(description="Always `downloaded`.")

    @model_validator(mode="after")
    def _is_zipped(self) -> Self:
        if not self.file_name.endswith(".zip"):
            raise ValueError(f"{self.file_name!r} is no zipped store; expected a name that ends in .zarr.zip")
        return self


class RemoteFeatures(Part):
    """A ready-made feature store that is read in its place, over the network."""

    source: Literal["remote"] = Field(description="Always `remote`.")
    url: Text = Field(description="Web address of the store.")

    @field_validator("url")
    @classmethod
    def _of_the_web(cls, value: str) -> str:
        return web_address(value)


Features = Annotated[
    Annotated[DownloadedFeatures, Tag(":downloaded")] | Annotated[RemoteFeatures, Tag(":remote")],
    Discriminator(_pictures_kind),
]


def _weights_kind(value: Any) -> str:
    return ":file" if isinstance(value, dict | SourceFile) else ":name"


Weights = Annotated[
    Annotated[Text, Tag(":name")] | Annotated[SourceFile, Tag(":file")],
    Discriminator(_weights_kind),
]


class NetworkEntry(Part):
    """A network, and the layers of it that are searched."""

    name: Text = Field(description="Name of the network, as `vfs-panel models` lists it.")
    weights: Weights | None = Field(
        None,
        description="State dict file (with its ending), published weights' name, `random`, a checkpoint to fetch "
        "(url, name, size, sha256, md5), or nothing for the best published weights.",
    )
    access: str = Field("", description="What to do by hand to get a checkpoint or features that have no url.")
    strict: bool = Field(True, description="Whether the weights file must fit the network exactly.")
    layers: list[Text] = Field(min_length=1, description="Layers to search, as `vfs-panel models NAME` lists them.")
    default_layer: Text | None = Field(None, description="The layer shown first; the first of `layers` by default.")
    dtype: Literal["float16", "float32", "int8"] = Field("float16", description="Number type of the stored features.")
    features: Features | None = Field(
        None,
        description="A ready-made store: `source: downloaded` (a .zarr.zip: url, size, sha256) or `source: remote` "
        "(url, read in its place); without it the features are extracted here.",
    )

    @field_validator("weights")
    @classmethod
    def _absolute(cls, value: str | SourceFile | None, info: ValidationInfo) -> str | SourceFile | None:
        if isinstance(value, str) and any(mark in value for mark in "./\\"):  # IMAGENET1K_V2 is a name
            return resolved(value, info)
        return value

    @model_validator(mode="after")
    def _layers_agree(self) -> Self:
        doubled = {layer for layer in self.layers if self.layers.count(layer) > 1}
        if doubled:
            raise ValueError(f"layer {min(doubled)!r} stands twice in layers")
        if self.default_layer is not None and self.default_layer not in self.layers:
            raise ValueError(f"default_layer {self.default_layer!r} is none of the layers {', '.join(self.layers)}")
        for what, file in (("weights", self.weights), ("features", self.features)):
            if isinstance(file, SourceFile) and file.url is None and not self.access:
                raise ValueError(f"{what} without a url are got by hand; say in `access` how")
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
    mask: Text | None = Field(
        None,
        description="Or a PNG as large as the picture, white where it is painted: beside the entry's file, or below "
        "the data set's own folder.",
    )

    @field_validator("mask")
    @classmethod
    def _png(cls, value: str | None) -> str | None:
        if value is not None and not value.lower().endswith(".png"):
            raise ValueError(f"mask {value!r} is no PNG; save it as one")
        return None if value is None else below(value)

    @model_validator(mode="after")
    def _one_region(self) -> Self:
        if sum(region is not None for region in (self.strokes, self.box, self.mask)) != 1:
            raise ValueError("a query needs either strokes or a box, or a mask, and only one of them")
        if self.strokes is not None and not self.strokes:
            raise ValueError("strokes is an empty list; paint something")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("the box is empty; give left, top, right, bottom")
        return self
