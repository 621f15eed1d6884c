"""A chest drawn as an X-ray shows it: what lies in the beam is added up, and dense parts come out light. NumPy only.

Schematic drawings: shapes and proportions are chosen to tell findings apart by eye, and measure no patient.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from vfs_panel.images.demo.picture import SIZE_PX, Floats

RIBS = 9
LUNG, HEART, FLUID, MASS = -0.62, 0.42, 0.5, 0.3  # added to the density of the trunk, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Thorax:
    """The measures of one drawing. Sides are the picture's: the patient's right lung is on the left.

    Attributes
    ----------
    middle, top : x of the spine and y of the lungs' tips, in pixels.
    half_width, height : of the lungs, in pixels: spine to ribs, tip to dome.
    turn : how far the patient is rotated; the breastbone's shift in half widths.
    ratio : width of the heart over that of the chest (the cardiothoracic ratio).
    tall : height of the heart over its width.
    shoulder_blades : share of the shoulder blades that lies over the lungs.
    collar : y of the collar bones over the tips, in heights.
    soft : density of the breasts over the lower lungs.
    fluid : side (-1 left, 1 right in the picture) and height (in lung heights) of an effusion; None without one.
    mass : x, y and radius in pixels of a mass; None without one.
    """

    middle: float
    top: float
    half_width: float
    height: float
    turn: float
    ratio: float
    tall: float
    shoulder_blades: float
    collar: float
    soft: float
    fluid: tuple[int, float] | None = None
    mass: tuple[float, float, float] | None = None

    @property
    def heart(self) -> tuple[float, float, float, float]:
        """Centre x, y and half width, half height of the heart in pixels."""
        half = self.ratio * self.half_width
        right = 0.34 * half + 0.1 * self.half_width  # how far it reaches over the spine to the picture's left
        x = self.middle + half - right + self.turn * self.half_width
        half_height = self.tall * half
        return x, self.top + self.height * 0.99 - 0.75 * half_height, half, half_height

    @property
    def regions(self) -> dict[str, tuple[int, int, int, int]]:
        """Rectangles x0, y0, x1, y1 in pixels: the heart down to the dome, the right lung's middle, the shoulder."""
        x, y, half, half_height = self.heart
        boxes = {"heart": (x - half, y - half_height, x + half, self.top + 0.95 * self.height)}
        x, y = self.lung_at(-1, 0.64, 0.45)  # clear of the widest heart
        across, down = 0.25 * self.half_width, 0.25 * self.height
        boxes["right lung"] = (x - across, y - down, x + across, y + down)
        x, y = self.lung_at(-1, 1.15, 0.05)
        boxes["shoulder"] = (x - 20, y - 12, x + 20, y + 28)
        return {name: _inside(box) for name, box in boxes.items()}

    def lung_at(self, side: int, across: float, down: float) -> tuple[float, float]:
        """Return x, y in pixels of a spot in a lung.

        Parameters
        ----------
        side : -1 for the lung on the picture's left, 1 for the other.
        across : 0 at the spine, 1 at the ribs.
        down : 0 at the tip, 1 at the dome of the diaphragm.
        """
        return self.middle + side * across * self.half_width, self.top + down * self.height


def _inside(box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(min(max(side, 0.0), SIZE_PX)) for side in box)
    return x0, y0, x1, y1


def edge(distance: Floats, softness: float = 1.2) -> Floats:
    """Return 1 where a distance in pixels is well above 0 and 0 where it is well below."""
    return np.asarray(1 / (1 + np.exp(-np.clip(distance / softness, -30, 30))))


def density(thorax: Thorax, rng: np.random.Generator) -> Floats:
    """Return how much lies in the beam, (y, x): 0 for air, 1 for the trunk."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX].astype(np.float32) + 0.5
    u, v = (x - thorax.middle) / thorax.half_width, (y - thorax.top) / thorax.height
    far = np.abs(u)
    trunk = _trunk(thorax, u, y)
    lungs = _lungs(thorax, u, v)
    total = trunk * (1 + 0.12 * v + 0.1 * np.clip(far - 0.9, 0, 1))
    total = total + LUNG * lungs * (1 - 0.15 * v)
    total = total + lungs * _vessels(thorax, rng) + _ribs(thorax, u, y) * trunk * (0.35 + 0.65 * lungs)
    total = total + _spine(thorax, x, y) * trunk + _middle(thorax, u, v)
    total = total + _shoulders(thorax, u, x, y) * trunk + thorax.soft * _breasts(thorax, x, y) * trunk
    # Below the dome the liver is as dense as the heart, whose outline is lost there.
    total = np.maximum(total, 0) + HEART * _heart(thorax, x, y) * (0.12 + 0.88 * lungs)
    if thorax.fluid is not None:
        total = total + FLUID * lungs * _fluid(thorax.fluid, u, v)
    if thorax.mass is not None:
        at_x, at_y, radius = thorax.mass
        total = total + MASS * edge(radius - np.hypot(x - at_x, y - at_y), 1.6)
    return np.asarray(total, float)


def _trunk(thorax: Thorax, u: Floats, y: Floats) -> Floats:
    """The body's outline: neck, sloping shoulders, arms that leave the picture."""
    far = np.abs(u)
    shoulder = thorax.top - 22 + 30 * np.clip(far - 0.35, 0, None) ** 1.4
    neck = edge((0.33 - far) * thorax.half_width, 2)
    side = 1.27 + 0.3 * np.clip((60 + thorax.top - y) / 60, 0, 1)  # below the arms there is air beside the body
    return np.asarray(np.maximum(edge(y - shoulder, 2.5) * edge((side - far) * thorax.half_width, 2), neck * 0.8))


def _lungs(thorax: Thorax, u: Floats, v: Floats) -> Floats:
    """Both lungs, 0 to 1: between the ribs and the middle, from the tips down to the domes of the diaphragm."""
    depth = np.clip(1 - v / 0.85, 0, 1)
    wall = 0.3 + 0.68 * (1 - depth**2.3) ** 0.6
    inner = 0.14 + 0.05 * np.abs(v - 0.4)
    side = np.abs(u)
    dome = 1 - 0.11 * np.cos(np.clip((side - 0.45) / 0.55, -1, 1) * np.pi / 2) + 0.16 * np.clip(side - 0.75, 0, 1)
    dome = dome - np.where(u < 0, 0.045, 0)  # the liver lifts the dome on the picture's left
    width, height = thorax.half_width, thorax.height
    inside = np.minimum((wall - side) * width, (side - inner) * width)
    return edge(np.minimum(inside, np.minimum(v * height, (dome - v) * height)), 1.6)


def _ribs(thorax: Thorax, u: Floats, y: Floats) -> Floats:
    """Nine pairs: behind from the spine down to the side, lighter at their rims; in front fainter and steeper."""
    side = np.abs(u)
    gap = thorax.height * 1.02 / RIBS
    inside = edge((1.02 - side) * thorax.half_width, 1.5) * edge((side - 0.1) * thorax.half_width, 1.5)
    curve, rise = gap * (2.2 * side * side - 0.9 * side), gap * (3.4 - 2.2 * side)
    ahead = edge((side - 0.35) * thorax.half_width, 4)
    total = np.zeros_like(u)
    for number in range(RIBS):
        start = thorax.top + (number - 0.1) * gap
        behind = ((y - start - curve) / 3.0) ** 2
        total += 0.1 * np.exp(-behind * behind) * (0.7 + 0.55 * behind)
        if number < 6:
            front = ((y - start - rise) / 3.4) ** 2
            total += 0.05 * np.exp(-front * front) * ahead
    return np.asarray(total * inside)


def _spine(thorax: Thorax, x: Floats, y: Floats) -> Floats:
    """Vertebrae behind the middle, hardly to be seen behind the heart."""
    side = np.abs(x - thorax.middle)
    period = 11.5
    discs = 0.5 + 0.5 * np.cos(2 * np.pi * (y - thorax.top) / period)
    return np.asarray(edge(10 - side, 1.5) * (0.12 + 0.07 * (1 - discs**4)) + 0.06 * np.exp(-((side - 6) ** 2) / 3))


def _shoulders(thorax: Thorax, u: Floats, x: Floats, y: Floats) -> Floats:
    """Collar bones, shoulder blades and the heads of the arm bones."""
    side = np.abs(u)
    level = thorax.top + thorax.height * thorax.collar
    collar = ((y - level + 10 * side - 5 * np.sin(side * 4)) / 3.6) ** 2
    length = edge((1.12 - side) * 40) * edge((side - 0.13) * 40)
    total = 0.17 * np.exp(-collar * collar) * (0.7 + 0.5 * collar) * length
    for sign in (-1, 1):
        inner = 1.0 - 0.42 * thorax.shoulder_blades
        along = sign * (x - thorax.middle) / thorax.half_width
        down = (y - thorax.top) / thorax.height
        blade = edge((along - inner - 0.22 * np.clip(0.55 - down, 0, 1)) * 30) * edge((1.35 - along) * 30)
        total = total + 0.12 * blade * edge((0.62 - down) * 40) * edge((down - 0.02) * 40)
        head = 11 - np.hypot(x - thorax.middle - sign * 1.22 * thorax.half_width, y - thorax.top - 16)
        total = total + 0.22 * edge(head, 1.5)
    return np.asarray(total)


def _breasts(thorax: Thorax, x: Floats, y: Floats) -> Floats:
    total = np.zeros_like(x)
    for side in (-1, 1):
        at_x, at_y = thorax.lung_at(side, 0.62, 0.82)
        total += edge(1 - np.hypot((x - at_x) / 34, (y - at_y) / 30), 0.06)
    return total


def _middle(thorax: Thorax, u: Floats, v: Floats) -> Floats:
    """What lies before the spine above the heart: windpipe, great vessels and the knob of the aorta."""
    shifted = u - 0.6 * thorax.turn
    band = edge((0.17 + 0.05 * np.sin(v * 5) - np.abs(shifted)) * thorax.half_width, 1.6) * edge((0.75 - v) * 30, 2)
    knob = edge((0.16 - np.hypot(shifted - 0.17, (v - 0.27) * thorax.height / thorax.half_width)) * 60, 1.6)
    across = (shifted * thorax.half_width / 4.5) ** 2
    pipe = np.exp(-across * across) * edge((0.36 - v) * 60, 2)
    return np.asarray((0.17 * np.maximum(band, knob) * edge(v * 40 + 12, 3)) - 0.16 * pipe)


def _heart(thorax: Thorax, x: Floats, y: Floats) -> Floats:
    """A tilted ellipse, thick in its middle, whose apex points down to the picture's right."""
    at_x, at_y, half, half_height = thorax.heart
    lean = (x - at_x) / half
    # Shearing keeps the half width: the heart's ratio stays what it says.
    rise = (y - at_y) / half_height - 0.42 * lean
    reach = np.sqrt(lean**2 + rise**2)
    thick = np.sqrt(np.clip(1 - reach**2, 0, 1))
    return np.asarray(edge((1 - reach) * half, 1.3) * (0.62 + 0.38 * thick))


def _fluid(fluid: tuple[int, float], u: Floats, v: Floats) -> Floats:
    """Fluid that fills one lung from below, its surface rising towards the ribs."""
    side, height = fluid
    across = np.clip(side * u, 0, 1)
    surface = 0.98 - height * (0.55 + 0.6 * across**2)
    return np.asarray(edge((v - surface) * 120, 4) * (side * u > 0))


def _vessels(thorax: Thorax, rng: np.random.Generator) -> Floats:
    """Branching vessels from the roots of the lungs outwards, finer as they go."""
    canvas = Image.new("L", (2 * SIZE_PX, 2 * SIZE_PX))
    draw = ImageDraw.Draw(canvas)
    for side in (-1, 1):
        start = np.array(thorax.lung_at(side, 0.2, 0.5))
        for first in rng.uniform(-1.35, 1.35, 11):
            at, angle, length, width = start, first, rng.uniform(14, 22), 7.0
            for _ in range(4):
                angle += rng.normal(0, 0.25)
                end = at + length * np.array([side * np.cos(angle), np.sin(angle)])
                draw.line([*(2 * at), *(2 * end)], fill=int(26 * width), width=max(1, int(width)))
                at, length, width = end, length * 0.85, width * 0.62
    return np.asarray(ndimage.gaussian_filter(np.asarray(canvas, float)[::2, ::2] / 255, 1.2) * 0.26)
