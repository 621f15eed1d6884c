"""The ten subjects of `camera-traps`, cut out of the photographs: outlines, ellipses, colour, disparity."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from vfs_panel.images.demo.picture import Floats, Rgb, to_uint8
from vfs_panel.images.demo.sources import load_sources

OUTLINES = {  # x, y in source pixels
    "cat": "40,60 50,28 72,8 110,2 200,1 300,1 350,2 392,3 383,28 366,62 361,90 363,130 350,165 334,192 317,222 "
    "312,250 292,268 250,280 210,274 165,258 128,228 78,190 52,160 36,118",
    "astronaut": "235,16 270,24 294,48 301,85 291,118 277,135 264,160 262,175 290,200 304,236 330,252 346,276 "
    "356,312 362,346 330,362 305,390 288,430 280,470 278,512 27,512 22,440 28,330 45,280 70,246 108,214 116,186 "
    "135,160 163,148 182,149 180,136 171,120 157,103 153,70 165,42 195,24",
    "shuttle": "400,0 430,0 438,26 444,40 452,56 455,100 455,230 456,258 462,281 366,284 374,264 388,238 356,223 "
    "356,213 378,188 380,130 384,104 388,84 384,58 389,42 394,34 394,18",
    "pagoda": "196,30 214,30 217,50 223,66 262,94 318,118 318,126 296,139 296,156 330,171 328,182 320,190 320,226 "
    "328,231 326,241 352,254 342,268 341,304 349,314 345,324 308,344 180,346 76,334 78,306 81,283 63,271 92,244 "
    "94,234 101,190 84,181 87,168 118,157 118,140 96,130 97,110 122,101 190,64 192,48",
    "cameraman": "198,64 216,64 236,72 256,90 268,108 270,126 266,140 300,140 324,139 325,156 320,162 320,176 "
    "328,170 332,180 331,196 322,212 312,226 300,240 304,272 288,288 262,305 246,312 225,305 207,295 190,320 "
    "168,346 66,346 34,312 4,262 20,230 36,204 54,164 72,143 96,130 130,123 146,110 158,106 165,94 175,78 187,68",
}
SPOON = "398,72 404,66 418,67 424,78 414,112 400,118"
FUR = (95, 5, 215, 75)  # x0, y0, x1, y1 of a piece of the cat's fur

NAMES = (
    "cat",
    "astronaut",
    "shuttle",
    "pagoda",
    "cameraman",
    "coffee",
    "dahlia",
    "motorcycle",
    "coin",
    "horse",
)


@dataclass(frozen=True, slots=True)
class CutOut:
    """A subject cut out of a photograph.

    Parameters
    ----------
    pixels : array, shape (y, x, 3)
        RGB of the smallest box around it.
    alpha : array, shape (y, x)
        How much of every pixel is the subject, 0..1.
    origin : tuple of int
        The box's x, y in the photograph.
    place : str
        The photograph.
    height_px : tuple of float
        Its height on a picture when far and when near.
    to_border : bool
        Cut off below in the photograph, so it stands on the lower border of the picture.
    """

    pixels: Rgb
    alpha: Floats
    origin: tuple[int, int]
    place: str
    height_px: tuple[float, float]
    to_border: bool = False


def outline(points: str, shape: tuple[int, ...]) -> Floats:
    """Return a soft mask (y, x) of a polygon "x,y x,y …", drawn at four times the size and averaged."""
    corners = [tuple(4 * int(v) for v in point.split(",")) for point in points.split()]
    canvas = Image.new("L", (shape[1] * 4, shape[0] * 4))
    ImageDraw.Draw(canvas).polygon(corners, fill=255)
    return np.asarray(canvas.resize((shape[1], shape[0]), Image.Resampling.BOX)) / 255


def ellipse(centre: tuple[float, float], radii: tuple[float, float], shape: tuple[int, ...]) -> Floats:
    """Return a soft mask (y, x) of an ellipse with centre and radii (x, y)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    return np.asarray(np.clip((1 - distance) * min(radii) + 0.5, 0, 1))


def _largest(mask: NDArray[Any]) -> Floats:
    """Return the largest connected part of a boolean mask (y, x) with its holes closed, slightly soft."""
    parts, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    part = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(part, iterations=2))
    return np.asarray(ndimage.gaussian_filter(filled.astype(float), 0.75))


def _motorcycle() -> Floats:
    """Nearer than the wall and nearer than the floor, by the disparity of the stereo pair."""
    from skimage import data

    disparity = np.nan_to_num(data.stereo_motorcycle()[2], posinf=0)
    rows = np.arange(disparity.shape[0])[:, None]
    floor = disparity[400:490, 20:100]
    slope, start = np.polyfit(rows[400:490, 0], np.median(floor, axis=1), 1)
    near = (disparity > 41) & (disparity > start + slope * rows + 2.0)
    near[456:] = False
    return _largest(ndimage.median_filter(near, 3))


def _dahlia(source: Rgb) -> Floats:
    """The reddish pixels of the flower in the middle."""
    red, blue = source[..., 0].astype(int), source[..., 2].astype(int)
    return _largest((red > blue + 40) & (ellipse((307, 222), (146, 146), source.shape) > 0))


def _coffee(source: Rgb) -> Floats:
    """Saucer, cup and spoon."""
    saucer = ellipse((278, 222), (200, 166), source.shape)
    cup = ellipse((291, 112), (118, 95), source.shape)
    return np.maximum(np.maximum(saucer, cup), outline(SPOON, source.shape))


def _horse() -> tuple[Rgb, Floats]:
    """The horse's silhouette, filled with the cat's fur and shaded as if lit from above."""
    from skimage import data

    alpha = (~data.horse()).astype(float)
    x0, y0, x1, y1 = FUR
    fur = load_sources()["cat"][y0:y1, x0:x1]
    tile = np.tile(np.block([[[fur], [fur[:, ::-1]]], [[fur[::-1]], [fur[::-1, ::-1]]]]), (3, 2, 1))
    tile = tile[: alpha.shape[0], : alpha.shape[1]] / 255
    depth = np.minimum(ndimage.distance_transform_edt(alpha), 40) / 40
    normal = ndimage.gaussian_filter(ndimage.sobel(ndimage.gaussian_filter(depth, 3), axis=0), 2)
    light = 0.55 + 0.35 * depth + 0.9 * normal
    rows = np.linspace(1.1, 0.75, alpha.shape[0])[:, None]
    coat = (0.6 + 0.75 * (tile - tile.mean())) * np.array([1.0, 0.72, 0.5])
    return to_uint8(coat * (light * rows)[..., None]), np.asarray(ndimage.gaussian_filter(alpha, 0.8))


@cache
def cut_outs() -> dict[str, CutOut]:
    """Return the ten subjects by name; built once, not to be written to."""
    sources = load_sources()

    def cut(
        place: str, alpha: Floats, height_px: tuple[float, float], *, to_border: bool = False, source: Rgb | None = None
    ) -> CutOut:
        ys, xs = np.nonzero(alpha > 0.02)
        rows, cols = slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1)
        pixels = (sources[place] if source is None else source)[rows, cols]
        return CutOut(pixels, alpha[rows, cols], (int(cols.start), int(rows.start)), place, height_px, to_border)

    def drawn(name: str, place: str) -> Floats:
        # A pixel inside the outline, so that no halo of the old background comes along.
        soft = ndimage.gaussian_filter(outline(OUTLINES[name], sources[place].shape), 1.5)
        return np.asarray(np.clip((soft - 0.5) / 0.45, 0, 1))

    coat, silhouette = _horse()
    coins = sources["coins"]
    return {
        "cat": cut("cat", drawn("cat", "cat"), (52, 112)),
        "astronaut": cut("astronaut", drawn("astronaut", "astronaut"), (110, 165), to_border=True),
        "shuttle": cut("astronaut", drawn("shuttle", "astronaut"), (80, 150)),
        "pagoda": cut("pagoda", drawn("pagoda", "pagoda"), (80, 145)),
        "cameraman": cut("cameraman", drawn("cameraman", "cameraman"), (85, 150), to_border=True),
        "coffee": cut("coffee", _coffee(sources["coffee"]), (55, 115)),
        "dahlia": cut("dahlia", _dahlia(sources["dahlia"]), (55, 115)),
        "motorcycle": cut("motorcycle", _motorcycle(), (70, 130)),
        "coin": cut("coins", ellipse((346.5, 186.5), (31.5, 30.5), coins.shape), (45, 95)),
        "horse": cut("horse", silhouette, (80, 140), source=coat),
    }
