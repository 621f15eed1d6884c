"""Two demo sets rendered from photographs that scikit-image and scikit-learn carry, with known answers."""

from vfs_panel.images.demo.build import DEMO_NAMES, build_demo, demo_folder, open_places
from vfs_panel.images.demo.places import Places

__all__ = ["DEMO_NAMES", "Places", "build_demo", "demo_folder", "open_places"]
