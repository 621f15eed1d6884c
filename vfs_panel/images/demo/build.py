"""Render a demo set once into the cache folder, and open it from there: pictures, index and known answers."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image

from vfs_panel.errors import CatalogError, StoreError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.demo.places import Places
from vfs_panel.images.metadata import findings_from
from vfs_panel.images.reading import read_rgb
from vfs_panel.settings import settings

if TYPE_CHECKING:
    from vfs_panel.images.demo.picture import Picture

PLACED_NAMES = ("photos", "camera-traps")
"""Sets made of photographs, each pixel's place in them known; the bundled networks were trained on these."""

DEMO_NAMES = (*PLACED_NAMES, "chest-films")
_PHOTOGRAPHS = ("picture", "sources", "photos", "cut_outs", "scenes", "camera_traps", "places", "build")
RECIPES = {  # modules that make the files
    "photos": _PHOTOGRAPHS,
    "camera-traps": _PHOTOGRAPHS,
    "chest-films": ("picture", "thorax", "chest_films", "build"),
}
BOX = ("x0", "y0", "x1", "y1")
WORKERS = 2

Progress = Callable[[int, int], None]


@cache
def recipe_version(name: str) -> str:
    """Return 8 hexadecimal digits that change with the code that draws a set's pictures and writes their files."""
    folder = Path(__file__).parent
    text = "".join((folder / f"{module}.py").read_text("utf-8") for module in RECIPES[name])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def demo_folder(name: str) -> Path:
    """Return where a demo set lies, or will lie, on this machine; its name changes with the recipe.

    Raises
    ------
    CatalogError
        If there is no demo set of that name.
    """
    if name not in DEMO_NAMES:
        raise CatalogError(f"There is no demo set {name!r}; there are {', '.join(DEMO_NAMES)}.")
    return settings().cache_dir / "demo" / f"{name}-{recipe_version(name)}"


def build_demo(name: str, progress: Progress | None = None) -> ImageDataset:
    """Return a demo set, rendering it first if it is not in the cache folder yet (10 to 20 s on two cores).

    Parameters
    ----------
    name : {"photos", "camera-traps", "chest-films"}
    progress : callable, optional
        Called with pictures done and pictures in all while rendering.

    Returns
    -------
    ImageDataset
        224×224 pictures, ordered by id ("photo/cat/07"), with domain, label, split and path; camera traps also with
        night ("yes" by infrared flash, else "no") and the subject's box x0, y0, x1, y1 in pixels ("" without one);
        chest films with view, age, sex, heart (its width over the chest's) and findings.

    Raises
    ------
    CatalogError
        If there is no demo set of that name.
    StoreError
        If the pictures cannot be written.
    """
    folder = demo_folder(name)
    if not (folder / "index.csv").exists():
        try:
            _render_into(folder, name, progress)
        except OSError as error:
            raise StoreError(
                f"The demo pictures cannot be written to {folder}: {error.strerror or error}. "
                "Free some space (about 350 MB), or set VFS_CACHE_DIR to another folder."
            ) from error
    table = pd.read_csv(folder / "index.csv", index_col="image", dtype=str, keep_default_na=False)
    paths = {str(image_id): folder / path for image_id, path in table["path"].items()}
    table["path"] = [str(path) for path in paths.values()]
    findings = None
    if "findings" in table:
        findings, _ = findings_from(table, "findings", name)
        table = table.drop(columns="findings")
    return ImageDataset(table, lambda image_id: read_rgb(paths[image_id]), name=name, findings=findings)


def open_places(name: str) -> Places:
    """Return the known answers of a demo set, in the order of its pictures; renders it if needed.

    Raises
    ------
    CatalogError
        If there is no such set, or its pictures show no known places.
    """
    if name not in PLACED_NAMES:
        raise CatalogError(f"Pictures of {name!r} show no known places; those of {' and '.join(PLACED_NAMES)} do.")
    build_demo(name)
    return Places.load(demo_folder(name) / "places.npz")


def render_demo(name: str) -> Iterator["Picture"]:
    """Yield the pictures of a demo set in the order of their ids, without writing any."""
    render, plans = _recipe(name)
    with ThreadPoolExecutor(WORKERS) as pool:  # NumPy, SciPy and Pillow let go of the GIL for most of it
        yield from pool.map(render, plans)


def places_of(pictures: Iterable["Picture"]) -> Places:
    """Return the known answers of some rendered pictures."""
    from vfs_panel.images.demo.cut_outs import cut_outs

    return Places.of(pictures, {name: (cut.alpha > 0.5, cut.origin) for name, cut in cut_outs().items()})


def _recipe(name: str) -> tuple[Callable[[Any], "Picture"], list[Any]]:
    """Return what renders a plan, and the plans sorted by id; what threads share is loaded before they start."""
    from vfs_panel.images.demo import camera_traps, chest_films, cut_outs, photos, sources

    if name == "chest-films":
        return chest_films.render, sorted(chest_films.plans(), key=lambda plan: plan.image_id)
    sources.load_sources()
    if name == "photos":
        return photos.render, sorted(photos.plans(), key=lambda plan: plan.image_id)
    cut_outs.cut_outs()
    return camera_traps.render, sorted(camera_traps.plans(), key=lambda plan: plan.image_id)


def _render_into(folder: Path, name: str, progress: Progress | None) -> None:
    """Render everything beside the folder and rename it into place, so that it is either whole or absent."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(unfinished, name, progress)
        unfinished.chmod(0o755)  # mkdtemp keeps others out
        try:
            os.replace(unfinished, folder)
        except OSError:
            if not (folder / "index.csv").exists():  # else another process was first, with the same pictures
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(folder: Path, name: str, progress: Progress | None) -> None:
    render, plans = _recipe(name)

    def draw(plan: Any) -> "Picture":
        picture = render(plan)
        path = folder / f"{picture.image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.pixels).save(path, compress_level=1)  # grain hardly compresses
        return replace(picture, pixels=picture.pixels[:0].copy())  # only its places are needed from here on

    pictures = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for picture in pool.map(draw, plans):
            pictures.append(picture)
            if progress:
                progress(len(pictures), len(plans))
    if name in PLACED_NAMES:
        places_of(pictures).save(folder / "places.npz")
    index_of(pictures, boxes=name == "camera-traps").to_csv(folder / "index.csv")


def index_of(pictures: Iterable["Picture"], *, boxes: bool) -> pd.DataFrame:
    """Return a table of pictures by image id: label, domain, split, path, facts; with `boxes` also night and box."""
    rows = []
    for picture in pictures:
        row: dict[str, Any] = {
            "image": picture.image_id,
            "label": picture.label,
            "domain": picture.domain,
            "split": picture.split,
            "path": f"{picture.image_id}.png",
            **picture.facts,
        }
        if boxes:
            row["night"] = "yes" if picture.night else "no"
            row |= dict(zip(BOX, map(str, picture.box or ("",) * 4), strict=True))
        rows.append(row)
    return pd.DataFrame(rows).set_index("image")
