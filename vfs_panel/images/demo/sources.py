"""The 22 photographs that scikit-image and scikit-learn carry, with their licences: nothing is downloaded."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from vfs_panel.images.demo.picture import Rgb

CREDITS = {
    "astronaut": "NASA (public domain)",
    "brick": "CC0",
    "cameraman": "Lav Varshney (CC0)",
    "cat": "Stefan van der Walt (CC0)",
    "cell": "CC0",
    "clock": "Stefan van der Walt (public domain)",
    "coffee": "Rachel Michetti (CC0)",
    "coins": "Brooklyn Museum (no known copyright restrictions)",
    "colour wheel": "scikit-image (no licence of its own stated)",
    "dahlia": "danielbuechele / vultilion on Flickr, as scikit-learn's flower.jpg (CC BY 2.0)",
    "galaxies": "NASA and ESA, Hubble eXtreme Deep Field (public domain)",
    "gecko": "scikit-image's logo (no licence of its own stated)",
    "grass": "CC0",
    "gravel": "CC0",
    "handwriting": "public domain",
    "horse": "Andreas Preuss (CC0)",
    "moon": "scikit-image (no licence of its own stated)",
    "motorcycle": "Middlebury 2014 stereo, Scharstein et al. and Nešić et al. (no licence stated)",
    "pagoda": "danielbuechele on Flickr, as scikit-learn's china.jpg (CC BY 2.0)",
    "print": "scikit-image (no licence of its own stated)",
    "retina": "Mikael Häggström (CC0)",
    "rocket": "SpaceX (public domain)",
    "tissue": "National Eye Institute / Human Protein Atlas antibody (no known copyright restrictions)",
}
"""Author and licence of every photograph, as the docstrings and README files of the two packages state them."""


def to_rgb(picture: Rgb) -> Rgb:
    """Turn any uint8 picture into RGB (y, x, 3); transparent parts lie over white."""
    image = Image.fromarray(picture)
    if image.mode == "RGBA":
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return np.asarray(image.convert("RGB"))


@cache
def load_sources() -> dict[str, Rgb]:
    """Return the 22 subjects of `photos` by name, as RGB (y, x, 3); read once, not to be written to."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    loaders: dict[str, Callable[[], Any]] = {
        "astronaut": data.astronaut,
        "brick": data.brick,
        "cameraman": data.camera,
        "cat": data.cat,
        "cell": data.cell,
        "clock": data.clock,
        "coffee": data.coffee,
        "coins": data.coins,
        "colour wheel": data.colorwheel,
        "dahlia": lambda: load_sample_image("flower.jpg"),
        "galaxies": data.hubble_deep_field,
        "gecko": data.logo,
        "grass": data.grass,
        "gravel": data.gravel,
        "handwriting": data.text,
        "moon": data.moon,
        "motorcycle": lambda: data.stereo_motorcycle()[0],
        "pagoda": lambda: load_sample_image("china.jpg"),
        "print": data.page,
        "retina": data.retina,
        "rocket": data.rocket,
        "tissue": data.immunohistochemistry,
    }
    return {name: to_rgb(load()) for name, load in loaders.items()}
