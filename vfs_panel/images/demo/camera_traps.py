"""The `camera-traps` demo set: ten cut-outs pasted at known places into twelve fixed scenes (its domains)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image
from scipy import ndimage

from vfs_panel.images.demo.cut_outs import NAMES, cut_outs
from vfs_panel.images.demo.picture import (
    SEED,
    SIZE_PX,
    Floats,
    Layer,
    Picture,
    Rgb,
    image_id,
    luma,
    split_of,
    to_uint8,
    transform,
    vignette,
)
from vfs_panel.images.demo.scenes import LOCATIONS, SCENE_PX, scene

PER_SUBJECT, EMPTY = 12, 5  # pictures per location: of each subject, and without one
UPRIGHT = ("pagoda", "motorcycle", "horse")  # these hardly tilt


@dataclass(frozen=True, slots=True)
class TrapPlan:
    """Which picture to render: the `number`-th of a subject (or "empty") at a location. Needs no other picture."""

    location: str
    subject: str
    number: int

    @property
    def image_id(self) -> str:
        """The picture's id, for example "lakeside/cat/03"."""
        return image_id(self.location, self.subject, self.number)


@dataclass(frozen=True, slots=True)
class _Pose:
    """How a cut-out stands in a picture: its size (width, height) in pixels, and picture pixels -> its own pixels."""

    size: tuple[int, int]
    matrix: Floats
    flip: bool


def plans() -> Iterator[TrapPlan]:
    """Yield the plans of all 1,500 pictures."""
    for location in LOCATIONS:
        for subject in (*NAMES, "empty"):
            for number in range(EMPTY if subject == "empty" else PER_SUBJECT):
                yield TrapPlan(location, subject, number)


@cache
def _day(location: str) -> Floats:
    return scene(LOCATIONS[location])


def render(plan: TrapPlan) -> Picture:
    """Shake the camera, paste the subject, and take the picture by day or, in 3 of 10 cases, by night."""
    location = LOCATIONS[plan.location]
    subjects = (*NAMES, "empty")
    key = (SEED, 2, list(LOCATIONS).index(plan.location), subjects.index(plan.subject), plan.number)
    rng = np.random.default_rng(key)
    dx, dy = rng.integers(0, SCENE_PX - SIZE_PX, 2)
    pixels = _day(plan.location)[dy : dy + SIZE_PX, dx : dx + SIZE_PX]
    layers: tuple[Layer, ...] = (Layer(plan.location, np.array([[1.0, 0, dx], [0, 1.0, dy]])),)
    box, night = None, bool(rng.random() < 0.3)
    if plan.subject != "empty":
        horizon_px = location.horizon * SCENE_PX - dy
        pose = _stand(plan.subject, horizon_px, rng)
        cut = cut_outs()[plan.subject]
        ratio = np.array([cut.alpha.shape[1] / pose.size[0], cut.alpha.shape[0] / pose.size[1]])
        to_source = ratio[:, None] * pose.matrix + np.array([[0, 0, cut.origin[0]], [0, 0, cut.origin[1]]])
        pixels, box = _paste(pixels, plan.subject, pose, rng)
        layers = (Layer(cut.place, to_source, plan.subject), *layers)
    taken = _camera(pixels, night, rng)
    split = split_of(plan.number, seen=location.seen)
    return Picture(plan.image_id, taken, plan.subject, plan.location, split, layers, box, night)


def _stand(name: str, horizon_px: float, rng: np.random.Generator) -> _Pose:
    """Choose where a cut-out stands: nearer means lower in the picture and larger."""
    cut = cut_outs()[name]
    near = rng.random()
    far_px, near_px = cut.height_px
    height = far_px + (near_px - far_px) * near * rng.uniform(0.85, 1.1)
    width = height * cut.alpha.shape[1] / cut.alpha.shape[0]
    margin = 0.35 * width
    centre_x = rng.uniform(min(margin, SIZE_PX / 2), max(SIZE_PX - margin, SIZE_PX / 2))
    ground = horizon_px + (0.97 * SIZE_PX - horizon_px) * (0.25 + 0.75 * near) + rng.uniform(-6, 6)
    bottom = SIZE_PX + 2 if cut.to_border else min(max(ground, height * 0.75), SIZE_PX + 4)
    tilt = np.deg2rad(rng.uniform(-12, 12) * (0.25 if cut.to_border or name in UPRIGHT else 1))
    flip = bool(rng.random() < 0.5)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    turn[0] *= -1 if flip else 1
    size = (max(2, round(width)), max(2, round(height)))
    centre = np.array([centre_x, bottom - height / 2])
    matrix = np.hstack([turn, (np.array(size) / 2 - turn @ centre)[:, None]])
    return _Pose(size, matrix, flip)


def _paste(
    background: Floats, name: str, pose: _Pose, rng: np.random.Generator
) -> tuple[Floats, tuple[int, int, int, int]]:
    """Draw the cut-out with a soft shadow, in the light of its surroundings; return the picture and its box."""
    cut = cut_outs()[name]
    premultiplied = np.dstack([cut.pixels / 255 * cut.alpha[..., None], cut.alpha]).astype(np.float32)
    channels = [
        np.asarray(Image.fromarray(premultiplied[..., c]).resize(pose.size, Image.Resampling.BOX)) for c in range(4)
    ]
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] + 0.5
    u, v = transform(pose.matrix, np.stack([x, y], -1)).transpose(2, 0, 1) - 0.5
    drawn = np.stack([ndimage.map_coordinates(c, [v, u], order=1, mode="constant") for c in channels], -1)
    alpha = ndimage.gaussian_filter(drawn[..., 3], 0.5)[..., None]
    colour = np.where(drawn[..., 3:] > 0.02, drawn[..., :3] / np.maximum(drawn[..., 3:], 0.02), 0)

    solid = alpha[..., 0] > 0.5
    around = background[ndimage.binary_dilation(solid, iterations=8) & ~solid].mean(0)
    cast = around / max(around.mean(), 0.05)
    exposure = np.clip((around.mean() / 0.45) ** 0.35, 0.65, 1.2) * rng.uniform(0.85, 1.1)
    colour = colour * exposure * (0.75 + 0.25 * cast)
    behind = ndimage.shift(alpha[..., 0], (5, 4 if pose.flip else -4), order=1)
    shadow = ndimage.gaussian_filter(behind, (3, 6))[..., None]
    result = background * (1 - 0.5 * shadow) * (1 - alpha) + np.clip(colour, 0, 1) * alpha
    ys, xs = np.nonzero(solid)
    return result, (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)


def _camera(picture: Floats, night: bool, rng: np.random.Generator) -> Rgb:
    """What a cheap camera makes of it: by night an infrared flash (grey, a bright middle, grain)."""
    if night:
        flash = np.clip(1.25 - 0.95 * (1 - vignette(1.0)), 0.15, None)
        picture = (luma(picture)[..., None] ** 0.8 * 0.72 * flash + 0.02) * np.array([0.97, 1.0, 1.02])
        noise = 0.035
    else:
        picture = picture * rng.uniform(0.82, 1.12) * (1 + rng.uniform(-0.05, 0.05, 3)) * vignette(0.25)
        noise = 0.014
    picture = ndimage.gaussian_filter(picture, (0.55, 0.55, 0))
    shared, own = rng.normal(0, noise, picture.shape[:2])[..., None], rng.normal(0, noise / 2, picture.shape)
    return to_uint8(picture + shared + own)
