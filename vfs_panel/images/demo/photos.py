"""The `photos` demo set: crops of 22 photographs at several scales and places, in four styles (its domains)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

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
    vignette,
)
from vfs_panel.images.demo.sources import CREDITS, load_sources

SUBJECTS = tuple(name for name in CREDITS if name != "horse")  # the horse is a silhouette, no photograph
CROPS = {"photo": 20, "night": 12, "sketch": 12, "poster": 12}  # of every subject, by domain
TRAINED_DOMAINS = ("photo", "night")

POSTER_INKS = (
    np.array(
        [
            [[20, 24, 60], [196, 40, 52], [240, 150, 60], [250, 236, 200]],
            [[40, 16, 54], [24, 110, 140], [120, 190, 150], [248, 240, 190]],
            [[16, 50, 40], [60, 130, 60], [230, 190, 50], [250, 246, 230]],
            [[60, 20, 80], [200, 60, 140], [250, 160, 160], [230, 250, 250]],
            [[10, 40, 80], [40, 120, 200], [250, 130, 90], [255, 240, 225]],
        ]
    )
    / 255
)


@dataclass(frozen=True, slots=True)
class PhotoPlan:
    """Which picture to render: the `number`-th crop of a subject in a domain. Rendering it needs no other picture."""

    subject: str
    domain: str
    number: int

    @property
    def image_id(self) -> str:
        """The picture's id, for example "sketch/cat/03"."""
        return image_id(self.domain, self.subject, self.number)


def plans() -> Iterator[PhotoPlan]:
    """Yield the plans of all 1,232 pictures."""
    for domain, count in CROPS.items():
        for subject in SUBJECTS:
            for number in range(count):
                yield PhotoPlan(subject, domain, number)


def render(plan: PhotoPlan) -> Picture:
    """Crop the photograph at a random place and scale, flip it in 3 of 10 cases, and draw it in the domain's style."""
    key = (SEED, 1, SUBJECTS.index(plan.subject), list(CROPS).index(plan.domain), plan.number)
    rng = np.random.default_rng(key)
    image = Image.fromarray(load_sources()[plan.subject])
    side = min(image.size) * (1.0 if plan.number == 0 else rng.uniform(0.5, 0.95))
    x0, y0 = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
    box = (x0, y0, x0 + side, y0 + side)
    pixels = np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC, box=box, reducing_gap=3))
    scale = side / SIZE_PX
    matrix = np.array([[scale, 0, x0], [0, scale, y0]])
    if rng.random() < 0.3:
        pixels, matrix = pixels[:, ::-1], np.array([[-scale, 0, x0 + side], [0, scale, y0]])
    split = split_of(plan.number, seen=plan.domain in TRAINED_DOMAINS)
    layers = (Layer(plan.subject, matrix),)
    pixels = STYLES[plan.domain](pixels / 255.0, rng)
    return Picture(plan.image_id, pixels, plan.subject, plan.domain, split, layers)


def _photo(x: Floats, rng: np.random.Generator) -> Rgb:
    """As taken, up to white balance, contrast and exposure."""
    balance = 1 + rng.uniform(-0.06, 0.06, 3)
    contrast, light = rng.uniform(0.85, 1.15), rng.uniform(-0.06, 0.06)
    return to_uint8(((x - 0.5) * contrast + 0.5 + light) * balance)


def _night(x: Floats, rng: np.random.Generator) -> Rgb:
    """Moonlight: dark, little colour, a blue shift, darker corners, sensor noise."""
    x = ndimage.gaussian_filter(x, (0.6, 0.6, 0))
    x = 0.45 * x + 0.55 * luma(x)[..., None]
    dimmed = x ** rng.uniform(1.1, 1.5) * rng.uniform(0.45, 0.65)
    blue = dimmed * np.array([0.72, 0.88, 1.25]) * vignette(0.5)
    return to_uint8(blue + 0.012 + rng.normal(0, 0.028, x.shape) * (0.5 + rng.random()))


def _local_contrast(g: Floats) -> Floats:
    """Stretch brightness (y, x) to a like contrast everywhere, so that faint detail can be drawn at all."""
    mean = ndimage.gaussian_filter(g, 24)
    spread = np.sqrt(ndimage.gaussian_filter((g - mean) ** 2, 24))
    return np.asarray(np.clip(0.5 + 0.22 * (g - mean) / (spread + 0.02), 0, 1))


def _sketch(x: Floats, rng: np.random.Generator) -> Rgb:
    """Pencil on grained paper: lines where the picture is darker than its blur, hatching where it is dark."""
    g = ndimage.gaussian_filter(luma(x), 0.8)
    low, high = np.percentile(g, (1, 99))
    g = np.clip((g - low) / max(high - low, 0.15), 0, 1)
    g = 0.5 * g + 0.5 * _local_contrast(g)
    blurred = ndimage.gaussian_filter(g, rng.uniform(3.5, 5.5))
    line = np.clip((g + 0.08) / (blurred + 0.08), 0, 1) ** rng.uniform(2.2, 3.2)
    grain = ndimage.gaussian_filter(rng.normal(0, 1, g.shape), 0.7)
    hatching = 0.3 * (1 - g) ** 1.5 * np.clip(0.5 + 2 * grain, 0, 1)
    tone = 1 - (1 - line) * np.clip(1 + 0.5 * grain, 0.3, 1.6) - hatching
    paper = np.array([1.0, 0.985, 0.95]) * (0.97 + 0.01 * grain[..., None])
    return to_uint8(0.12 + tone[..., None] * 0.88 * paper)


def _poster(x: Floats, rng: np.random.Generator) -> Rgb:
    """Screen print: four flat inks by brightness, with the edges of a smoothed picture."""
    g = ndimage.median_filter(ndimage.gaussian_filter(luma(x), 1.0), 5)
    cuts = np.quantile(g, (0.28, 0.55, 0.8)) + rng.uniform(-0.03, 0.03, 3)
    # An ink's edge is about two grey levels soft, as in a scan of a print.
    shade: Any = sum(1 / (1 + np.exp(-(g - cut) * 120)) for cut in np.sort(cuts))
    inks = POSTER_INKS[rng.integers(len(POSTER_INKS))]
    lower = np.clip(shade.astype(int), 0, 2)
    part = (shade - lower)[..., None]
    return to_uint8(inks[lower] * (1 - part) + inks[lower + 1] * part)


STYLES = {"photo": _photo, "night": _night, "sketch": _sketch, "poster": _poster}
