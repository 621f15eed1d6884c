"""Snippets: Python that repeats a session's search."""

from vfs_panel.app.session import Session
from vfs_panel.app.state import PER_IMAGE
from vfs_panel.errors import VFSError
from vfs_panel.search import Stroke


def snippet(session: Session) -> str:
    """Return code that searches for what is drawn, in the same layer, with the same choices.

    Raises
    ------
    VFSError
        If nothing is drawn.
    """
    state = session.state
    if not state.history.strokes:
        raise VFSError("Nothing is painted, so there is no search to repeat.")
    height, width = session.picture_px
    lines = [
        "import vfs_panel as vfs",
        "from vfs_panel.search import Stroke",
        "from vfs_panel.search.mask import paint_both, parts_of, to_grid",
        "",
        f"store = vfs.open_store({session.store.path!r})",
        f"engine = vfs.RegionSearch(store, layer={state.layer!r})",
        "strokes = [",
        *(f"    {_stroke(stroke)}," for stroke in state.history.strokes),
        "]",
    ]
    if state.upload is None:
        lines += [
            f"image = {state.picture!r}",
            "features = store.feature(engine.layer, image)",
        ]
    else:
        lines += [
            "from vfs_panel.features.origin import network_of",
            "from vfs_panel.images.reading import read_rgb",
            "from vfs_panel.models import Extractor",
            "",
            "image = None  # a picture from elsewhere",
            f"picture = read_rgb({state.upload.name!r}, max_side_px={max(height, width)})",
            "features = Extractor(network_of(store, None), [engine.layer]).features(picture, engine.layer)",
        ]
    lines += [
        f"geometry = engine.spec.preprocessing.geometry({height}, {width})  # height and width of the picture",
        "included, excluded = (to_grid(cover, engine.spec.grid[1:]) for cover in paint_both(strokes, geometry))",
        "",
        "",
        "def region(mask):",
        "    return vfs.RegionQuery.from_mask(features, mask, image_id=image, spec=engine.spec)",
        "",
        "",
        f"wanted = {'parts_of(included)' if state.apart else '[included]'}",
        "unwanted = parts_of(excluded)",
        "query = vfs.RegionQuery.combine([*map(region, wanted)], [*map(region, unwanted)])",
        f"result = engine.search(query, {_options(session)})",
        'print(result[["image_id", "score", "label", "domain"]].to_dataframe())',
        "",
    ]
    return "\n".join(lines)


def _stroke(stroke: Stroke) -> str:
    points = ", ".join(f"({x:.2f}, {y:.2f})" for x, y in stroke.points) + ("," if len(stroke.points) == 1 else "")
    further = {"radius_px": stroke.radius_px, "mode": stroke.mode, "shape": stroke.shape}
    if stroke.pressures:
        further["pressures"] = tuple(round(pressure, 3) for pressure in stroke.pressures)  # type: ignore[assignment]
    return f"Stroke(({points}), {', '.join(f'{name}={value!r}' for name, value in further.items())})"


def _options(session: Session) -> str:
    state = session.state
    options = [f"k={state.k}"]
    if state.mode == "several":
        options.append(f"per_image={PER_IMAGE}")
    if state.mode == "domain":
        options.append(f"unique={state.per!r}")
    if state.among is not None:
        chosen = f"store.index.index.isin({sorted(state.among)!r})"
        if state.filters:
            chosen += f" & engine.matching({dict(state.filters)!r})"
        options.append(f"where={chosen}")
    elif state.filters:
        options.append(f"where={dict(state.filters)!r}")
    return ", ".join(options)
