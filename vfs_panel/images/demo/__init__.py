"""Three demo sets that are rendered here: two from photographs, with known answers, and drawings of chest films."""

from vfs_panel.images.demo.build import DEMO_NAMES, PLACED_NAMES, build_demo, demo_folder, open_places
from vfs_panel.images.demo.chest_films import film_regions
from vfs_panel.images.demo.places import Places

__all__ = ["DEMO_NAMES", "PLACED_NAMES", "Places", "build_demo", "demo_folder", "film_regions", "open_places"]
