"""Remembered: a session as a plain document, for links, files and collections; and how it is opened again."""

import base64
import io
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vfs_panel.app.session import Session
from vfs_panel.app.state import MOST_COMPARED, MOST_K, TABS, TOOLS
from vfs_panel.errors import QueryError, VFSError
from vfs_panel.search import Stroke

VERSION: Literal[1] = 1
MOST_STROKES, MOST_IDS = 500, 20_000
_SUMMARY = 12

Name = Annotated[str, Field(max_length=400)]


class Remembered(BaseModel):
    """Everything that brings a session back; data only, checked when it comes from elsewhere.

    Attributes
    ----------
    version : of this form.
    upload : PNG of a picture from elsewhere, base64; only in files.
    strokes : as `Stroke.to_dict` has them.
    weights_sha256 : of the network whose features were searched, to tell whether they are others now.
    matches : (picture, score) of the best, to read without opening anything.
    """

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = VERSION
    dataset: Name = ""
    network: Name = ""
    layer: Name = ""
    picture: Name = ""
    upload: Annotated[str, Field(max_length=40_000_000)] = ""
    strokes: Annotated[list[dict[str, Any]], Field(max_length=MOST_STROKES)] = []
    brush_px: Annotated[float, Field(gt=0, lt=1e5)] = 40
    tool: Literal["brush", "eraser", "lasso", "box"] = "brush"
    polarity: Literal["include", "exclude"] = "include"
    apart: bool = False
    k: Annotated[int, Field(ge=1, le=MOST_K)] = 12
    mode: Literal["picture", "several", "domain"] = "picture"
    per: Name = "domain"
    sort: Literal["score", "label", "domain", "image_id"] = "score"
    filters: Annotated[dict[Name, Name], Field(max_length=50)] = {}
    among: Annotated[list[Name], Field(max_length=MOST_IDS)] | None = None
    tab: Literal["domains", "scores", "compare", "statistics", "map"] = "domains"
    enlarged: bool = False
    score_range: tuple[float, float] | None = None
    compared: Annotated[list[tuple[Name, Name, Name]], Field(max_length=MOST_COMPARED)] = []
    theme: Literal["light", "dark"] = "light"
    weights_sha256: Name = ""
    matches: Annotated[list[tuple[Name, float]], Field(max_length=_SUMMARY)] = []


def read(text: str | bytes) -> Remembered:
    """Read a document.

    Raises
    ------
    VFSError
        If it is none, with the first thing that is wrong.
    """
    try:
        found = Remembered.model_validate_json(text)
        for stroke in found.strokes:
            Stroke.from_dict(stroke)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise VFSError(f"This is no session that can be opened: {where}: {first['msg']}.") from None
    except QueryError as error:
        raise VFSError(f"This is no session that can be opened: {error}") from None
    return found


def remember(session: Session, *, with_upload: bool = False) -> Remembered:
    """Return a session as a document; a picture from elsewhere goes along only where asked for."""
    state = session.state
    upload = ""
    if with_upload and state.upload is not None:
        buffer = io.BytesIO()
        Image.fromarray(state.upload.rgb).save(buffer, "PNG")
        upload = base64.b64encode(buffer.getvalue()).decode()
    try:
        weights = session.store.weights_sha256
    except VFSError:
        weights = ""
    result = state.result
    matches: list[tuple[str, float]] = []
    if result is not None and not state.stale:
        best = result.isel(rank=slice(_SUMMARY))
        scores = (round(float(score), 6) for score in best["score"].values)
        matches = list(zip(best["image_id"].values.astype(str).tolist(), scores, strict=True))
    kept = (
        "dataset", "network", "layer", "picture", "brush_px", "tool", "polarity", "apart", "k", "mode", "per", "sort",
        "filters", "tab", "enlarged", "score_range", "theme",
    )  # fmt: skip
    values = {name: getattr(state, name) for name in kept}
    return Remembered.model_validate(
        {
            **values,
            "upload": upload,
            "strokes": [stroke.to_dict() for stroke in state.history.strokes],
            "among": None if state.among is None else sorted(state.among)[:MOST_IDS],
            "compared": list(state.compared),
            "weights_sha256": weights,
            "matches": matches,
        }
    )


def reopen(session: Session, document: Remembered) -> list[str]:
    """Bring a document's state back, as far as it can be; what could not be is returned, a sentence each."""
    missing: list[str] = []
    state = session.state
    session.offers.withdraw()
    if document.dataset in session.sources:
        if document.dataset != state.dataset:
            session.open_dataset(document.dataset)
        if state.offer is not None and state.offer.dataset == document.dataset:
            return [f"{session.sources[document.dataset].title} is not built here. Build it, then open this again."]
    else:
        missing.append(f"The data set {document.dataset or 'without a name'} is not in this catalog.")
    if state.dataset == document.dataset:
        _open_layer(session, document, missing)
    _open_picture(session, document, missing)
    state.param.update(
        tool=document.tool if document.tool in TOOLS else "brush", polarity=document.polarity, apart=document.apart,
        k=document.k, mode=document.mode, per=document.per, sort=document.sort, filters=dict(document.filters),
        among=None if document.among is None else frozenset(document.among), theme=document.theme,
    )  # fmt: skip
    session.set_brush(document.brush_px)
    session.paint_anew(*(Stroke.from_dict(stroke) for stroke in document.strokes))
    session.compare_with(tuple(document.compared))
    if document.tab in TABS:
        session.open_tab(document.tab)
    state.param.update(enlarged=document.enlarged, score_range=document.score_range)
    session.kick()
    return missing


def _open_layer(session: Session, document: Remembered, missing: list[str]) -> None:
    if document.network in session.source.networks:
        session.open_network(document.network)
        if document.layer in session.source.networks[document.network]:
            session.open_layer(document.layer)
        else:
            missing.append(f"The layer {document.layer} is not there; {session.state.layer} is shown.")
    else:
        missing.append(f"The network {document.network} is not there; {session.state.network} is shown.")
    try:
        weights = session.store.weights_sha256
    except VFSError:
        return
    if document.network == session.state.network and document.weights_sha256 not in ("", weights):
        missing.append("These features were made by other weights than when this was saved: scores may differ.")


def _open_picture(session: Session, document: Remembered, missing: list[str]) -> None:
    if document.upload:
        try:
            data = base64.b64decode(document.upload, validate=True)
        except ValueError:
            missing.append("The uploaded picture in it is damaged.")
            return
        session.uploads.open_now(data, document.picture or "picture")
        return
    try:
        known = document.picture in session.store.pictures_index.ids
    except VFSError:
        known = False
    if known:
        session.open_picture(document.picture)
    else:
        missing.append(f"The picture {document.picture} is not in this set; the drawing lies on another one.")
