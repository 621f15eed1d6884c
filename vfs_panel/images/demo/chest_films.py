"""The `chest-films` demo set: schematic drawings of chest films, no medical images; views are its domains.

As in real collections the view is a confound: sick patients are taken lying (AP) more often than standing (PA), and an
AP film shows the heart wider, the lungs lower, the shoulder blades over them and everything flatter in contrast.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import ndimage

from vfs_panel.errors import ImageError
from vfs_panel.images.demo.picture import SEED, SIZE_PX, Floats, Picture, Rgb, image_id, split_of, to_uint8
from vfs_panel.images.demo.thorax import Thorax, density

CLASSES = {
    "no finding": {"PA": 80, "AP": 36},
    "cardiomegaly": {"PA": 30, "AP": 42},
    "effusion": {"PA": 18, "AP": 26},
    "cardiomegaly|effusion": {"PA": 4, "AP": 10},
    "mass": {"PA": 16, "AP": 10},
}
"""Films of each label, by view."""

VIEWS = ("PA", "AP")
NONE = "no finding"
MAGNIFIED = 1.1  # by how much an AP film widens the heart, which lies further from it


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """Which film to draw: the `number`-th of a label in a view. Drawing it needs no other film."""

    view: str
    label: str
    number: int

    @property
    def image_id(self) -> str:
        """The film's id, for example "pa/cardiomegaly/03"."""
        return image_id(self.view.lower(), self.label.replace("|", "-"), self.number)


def plans() -> Iterator[FilmPlan]:
    """Yield the plans of all 272 films."""
    for label, counts in CLASSES.items():
        for view, count in counts.items():
            for number in range(count):
                yield FilmPlan(view, label, number)


def patient_of(plan: FilmPlan) -> tuple[Thorax, dict[str, str]]:
    """Return the measures of a film, and its facts: view, age, sex, heart (cardiothoracic ratio), findings."""
    rng = np.random.default_rng((*_key(plan), 0))
    standing = plan.view == "PA"
    findings = () if plan.label == NONE else tuple(plan.label.split("|"))
    wide = "cardiomegaly" in findings
    age = int(np.clip(rng.normal(58 if findings else 48, 15), 18, 90))
    sex = "F" if rng.random() < 0.46 else "M"
    ratio = rng.normal(0.585, 0.03) if wide else rng.normal(0.45, 0.025) + 0.0008 * (age - 50)
    ratio = float(np.clip(ratio, 0.53, 0.66) if wide else np.clip(ratio, 0.37, 0.5))
    size = rng.normal(1, 0.045) * (0.96 if sex == "F" else 1.0)
    thorax = Thorax(
        middle=SIZE_PX / 2 + rng.normal(0, 4),
        top=36 + rng.normal(0, 4) + (0 if standing else 6),
        half_width=80 * size * rng.normal(1, 0.03),
        height=138 * size * rng.normal(1, 0.04) * (1.0 if standing else 0.87),
        turn=rng.normal(0, 0.02 if standing else 0.04),
        ratio=ratio * (1 if standing else MAGNIFIED),
        tall=rng.normal(0.8, 0.04) * (1 if standing else 0.92) * (0.45 / ratio) ** 0.3,
        shoulder_blades=float(np.clip(rng.normal(0.1 if standing else 0.75, 0.15), 0, 1)),
        collar=rng.normal(0.12 if standing else 0.05, 0.02),
        soft=float(rng.uniform(0.05, 0.14)) if sex == "F" else 0.0,
    )
    side = int(rng.choice((-1, 1)))
    if "effusion" in findings:
        thorax = replace(thorax, fluid=(side, float(rng.uniform(0.22, 0.48))))
    if "mass" in findings:
        x, y = thorax.lung_at(side, rng.uniform(0.45, 0.72), rng.uniform(0.3, 0.6))
        thorax = replace(thorax, mass=(x, y, float(rng.uniform(8, 14))))
    facts = {"view": plan.view, "age": str(age), "sex": sex, "heart": f"{thorax.ratio:.2f}"}
    return thorax, facts | {"findings": "|".join(findings)}


def render(plan: FilmPlan) -> Picture:
    """Draw a film: the chest's density, then what film and exposure make of it."""
    thorax, facts = patient_of(plan)
    rng = np.random.default_rng((*_key(plan), 1))
    pixels = _film(density(thorax, rng), plan.view == "PA", rng)
    split = split_of(plan.number, seen=False)  # the bundled networks never saw any
    return Picture(plan.image_id, pixels, plan.label, plan.view, split, (), facts=facts)


def film_regions(image_id: str) -> dict[str, tuple[int, int, int, int]]:
    """Return rectangles x0, y0, x1, y1 in pixels of a film: "heart", "right lung" and "shoulder" (the right one).

    Right is the patient's, on the picture's left.

    Raises
    ------
    ImageError
        If there is no such film.
    """
    plan = _plans_by_id().get(image_id)
    if plan is None:
        raise ImageError(f"There is no chest film {image_id!r}; there are {len(_plans_by_id())}, such as 'pa/mass/00'.")
    return patient_of(plan)[0].regions


@cache
def _plans_by_id() -> dict[str, FilmPlan]:
    return {plan.image_id: plan for plan in plans()}


def _key(plan: FilmPlan) -> tuple[int, int, int, int, int]:
    return SEED, 3, list(CLASSES).index(plan.label), VIEWS.index(plan.view), plan.number


def _film(total: Floats, standing: bool, rng: np.random.Generator) -> Rgb:
    """Blur, expose and develop: an AP film is flatter, lighter and grainier."""
    total = ndimage.gaussian_filter(total, 0.6 if standing else 1.0)
    uneven = ndimage.gaussian_filter(rng.normal(0, 1, total.shape), 20) * 20 * 0.05
    total = total * (1 + uneven * 0.5)
    contrast = rng.normal(1.0, 0.06) * (1.0 if standing else 0.8)
    middle = 0.82 + rng.normal(0, 0.04)
    light = (0.46 if standing else 0.53) + rng.normal(0, 0.025)
    film = light + 0.5 * np.tanh(1.15 * contrast * (total - middle) / 0.55)
    film = np.where(total < 0.12, film * 0.6, film)
    grain = ndimage.gaussian_filter(rng.normal(0, 1, total.shape), 0.6)
    film = film + grain * (0.022 if standing else 0.034)
    return np.repeat(to_uint8(film)[..., None], 3, axis=2)
