"""The twelve locations of `camera-traps`: a backdrop above, a ground texture in perspective below."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from vfs_panel.images.demo.picture import Floats, to_uint8
from vfs_panel.images.demo.sources import load_sources

SCENE_PX = 264
"""Height and width of a scene: the camera shakes by up to SCENE_PX - SIZE_PX pixels."""

Box = tuple[int, int, int, int]
Colour = tuple[float, float, float]
WHOLE: Box = (0, 0, 512, 512)
WHITE: Colour = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Location:
    """A fixed camera: what stands behind, what lies on the ground, and how they are coloured.

    Parameters
    ----------
    backdrop, ground : tuple
        A photograph's name and a box x0, y0, x1, y1 in it.
    tint : tuple of float
        Colour of the ground.
    horizon : float
        Share of the scene's height above it.
    light : tuple of float
        Colour of the whole scene.
    rough : float
        Height of the bumps along the horizon.
    seen : bool
        False for a location held out of training.
    """

    backdrop: tuple[str, Box]
    ground: tuple[str, Box]
    tint: Colour
    horizon: float
    light: Colour = WHITE
    rough: float = 1.0
    seen: bool = True


LOCATIONS = {
    "lakeside": Location(("pagoda", (335, 60, 640, 330)), ("grass", WHOLE), (0.75, 0.95, 0.4), 0.5),
    "quarry": Location(("pagoda", (345, 0, 560, 95)), ("gravel", WHOLE), (1.1, 1.0, 0.88), 0.25),
    "courtyard": Location(
        ("brick", (40, 60, 440, 300)),
        ("gravel", (0, 100, 400, 500)),
        (1.0, 0.92, 0.75),
        0.42,
        light=(1.08, 0.95, 0.85),
        rough=0.3,
    ),
    "launch pad": Location(
        ("rocket", (0, 120, 300, 427)), ("brick", WHOLE), (0.7, 0.75, 0.9), 0.55, light=(0.95, 0.98, 1.1), rough=0
    ),
    "garage": Location(("motorcycle", (0, 0, 320, 150)), ("moon", (0, 0, 512, 340)), (1.25, 1.15, 1.05), 0.42, rough=0),
    "moon base": Location(("galaxies", (100, 200, 500, 500)), ("moon", WHOLE), (1.0, 1.0, 1.05), 0.35),
    "cafe": Location(("dahlia", (0, 40, 170, 330)), ("coffee", (482, 20, 600, 400)), WHITE, 0.38, rough=0),
    "orchard": Location(
        ("pagoda", (380, 275, 560, 427)), ("grass", (60, 0, 460, 512)), (1.0, 0.9, 0.5), 0.4, light=(1.05, 1.0, 0.85)
    ),
    "dunes": Location(
        ("pagoda", (400, 20, 640, 150)),
        ("moon", (40, 0, 300, 300)),
        (1.75, 1.35, 0.9),
        0.34,
        light=(1.05, 1.0, 0.95),
        seen=False,
    ),
    "garden": Location(
        ("dahlia", (455, 20, 640, 370)),
        ("grass", WHOLE),
        (0.5, 0.85, 0.55),
        0.45,
        light=(0.95, 1.05, 0.95),
        seen=False,
    ),
    "store room": Location(
        ("motorcycle", (575, 0, 735, 150)),
        ("brick", (0, 0, 300, 512)),
        (1.3, 0.95, 0.75),
        0.45,
        light=(1.05, 1.0, 0.9),
        rough=0,
        seen=False,
    ),
    "campus": Location(
        ("cameraman", (345, 90, 512, 245)),
        ("cameraman", (160, 400, 235, 480)),
        (0.95, 1.0, 0.8),
        0.45,
        light=(0.95, 1.0, 1.05),
        seen=False,
    ),
}


def scene(location: Location) -> Floats:
    """Return a location by day, (SCENE_PX, SCENE_PX, 3) in 0..1: the ground in perspective below the backdrop."""
    sources = load_sources()
    double, horizon = 2 * SCENE_PX, int(2 * SCENE_PX * location.horizon)
    name, box = location.backdrop
    size = (double, horizon + 24)
    behind = Image.fromarray(sources[name]).crop(box).resize(size, Image.Resampling.BICUBIC)
    name, (x0, y0, x1, y1) = location.ground
    texture = sources[name][y0:y1, x0:x1] / 255.0
    if min(texture.shape[:2]) < 200:  # a small patch: enlarge it a little
        texture = ndimage.zoom(texture, (2, 2, 1), order=1)
    y, x = np.mgrid[horizon - 12 : double, :double]
    depth = 1 / (0.42 + 0.58 * (y - horizon + 12) / (double - horizon + 12))  # 1 near, 2.4 far
    # The perspective stays mostly inside the texture: mirrored ones look like faces.
    u, v = (x - SCENE_PX) * depth * 0.55 + texture.shape[1] / 2, (depth - 1) * 330
    bands = [ndimage.map_coordinates(texture[..., c], [v, u], order=1, mode="mirror") for c in range(3)]
    ground = np.clip(np.stack(bands, -1) * location.tint * (0.78 + 0.3 / depth)[..., None], 0, 1)
    canvas = np.zeros((double, double, 3))
    canvas[: horizon + 24] = np.asarray(behind) / 255
    bumps = np.random.default_rng(horizon).normal(0, 40, double)
    edge = ndimage.gaussian_filter1d(bumps, 12) * location.rough
    mix = np.clip((y - horizon - edge[None]) / 8 + 0.5, 0, 1)[..., None]
    canvas[horizon - 12 :] = canvas[horizon - 12 :] * (1 - mix) + ground * mix
    small = Image.fromarray(to_uint8(canvas * location.light)).resize((SCENE_PX, SCENE_PX), Image.Resampling.BOX)
    return np.asarray(small) / 255
