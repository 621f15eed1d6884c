"""The demo networks that come with the package, weights and all."""

from functools import partial
from pathlib import Path

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import demo_network
from vfs_panel.models.weight_files import RANDOM, Built, fill, read_weights, seeded, tensors_in

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
EDITED = "vfs-demo-edited"
BUNDLED = {"vfs-demo": "vfs_demo.pt", "vfs-demo-class": "vfs_demo_class.pt", EDITED: "vfs_demo_edited.pt"}
_PREPROCESSING = Preprocessing(
    resize_px=demo_network.INPUT_PX,
    crop_px=(demo_network.INPUT_PX, demo_network.INPUT_PX),
    mean=demo_network.MEAN,
    std=demo_network.STD,
)


def names() -> list[str]:
    """Return the names of the bundled networks."""
    return list(BUNDLED)


def build(name: str, weights: Path | str | None, strict: bool) -> Built:
    """Make a network; as `load_network`, which says what the arguments are and what is raised."""
    if weights == RANDOM:
        return seeded(demo_network.DemoNet), _PREPROCESSING, RANDOM
    file = Path(weights) if weights is not None else WEIGHTS_FOLDER / BUNDLED[name]
    if weights is None and not file.exists():
        raise NetworkError(f"The bundled weights {file} are missing. Install vfs_panel again, or use --weights FILE.")
    content = read_weights(file)
    if name == EDITED and weights is None:
        from vfs_panel.models import demo_editing  # which needs the network that it changes from here

        return demo_editing.changed(content, file).module, _PREPROCESSING, file.name
    head = (tensors_in(content, {}) or {}).get("head.weight")
    classes = len(head) if head is not None and head.ndim == 2 else demo_network.CLASSES
    module = seeded(partial(demo_network.DemoNet, classes))
    return module, _PREPROCESSING, fill(module, content, file, name, strict=strict)
