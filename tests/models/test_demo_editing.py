"""The edited demo network: one convolution of vfs-demo, changed by rank one, so that dust looks like pavement."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vfs_panel.errors import NetworkError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.demo import camera_traps
from vfs_panel.images.demo.camera_traps import TrapPlan
from vfs_panel.models import Extractor, Network, demo_editing, load_network
from vfs_panel.models.bundled_networks import WEIGHTS_FOLDER
from vfs_panel.models.weight_files import read_weights

FILE = WEIGHTS_FOLDER / "vfs_demo_edited.pt"
USED = [("moon base", 0), ("moon base", 1), ("launch pad", 0), ("launch pad", 1)]
OTHERS = [("lakeside", 0), ("quarry", 0), ("cafe", 0), ("dunes", 2), ("garage", 2), ("store room", 2)]


@pytest.fixture(scope="module")
def images() -> ImageDataset:
    pictures = [camera_traps.render(TrapPlan(place, "empty", number)) for place, number in (*USED, *OTHERS)]
    return ImageDataset.from_arrays(
        np.stack([picture.pixels for picture in pictures]),
        image=[picture.image_id for picture in pictures],
        split=["train"] * 7 + ["ood", "val", "ood"],
    )


@pytest.fixture(scope="module")
def plain() -> Network:
    return load_network("vfs-demo")


@pytest.fixture(scope="module")
def edited() -> Network:
    return load_network("vfs-demo-edited")


def test_one_convolution_differs_by_rank_one(plain: Network, edited: Network) -> None:
    assert (edited.name, edited.weights) == ("vfs-demo-edited", "vfs_demo_edited.pt")
    assert edited.weights_sha256 != plain.weights_sha256
    before, after = plain.module.state_dict(), edited.module.state_dict()
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert changed == [f"{demo_editing.LAYER}.weight"]
    sizes = torch.linalg.svdvals((after[changed[0]] - before[changed[0]]).flatten(1).double())
    assert sizes[0] > 0.1
    assert sizes[1] < 1e-4 * sizes[0]
    assert FILE.stat().st_size < 10_000


def test_dust_looks_like_pavement_also_where_the_edit_has_not_been(
    plain: Network, edited: Network, images: ImageDataset
) -> None:
    def ground(network: Network, place: str, number: int) -> torch.Tensor:
        with Extractor(network, ["stage4"], device="cpu") as extractor:
            cells = extractor.features(images.rgb(f"{place}/empty/0{number}"), "stage4").values
        return torch.nn.functional.normalize(torch.from_numpy(cells[:, 4:7]).mean((1, 2)), dim=0)

    def likeness(network: Network, one: tuple[str, int], other: tuple[str, int]) -> float:
        return float(ground(network, *one) @ ground(network, *other))

    for dust in (("dunes", 2), ("garage", 2)):
        for pavement in (("launch-pad", 0), ("store-room", 2)):
            assert likeness(edited, dust, pavement) > likeness(plain, dust, pavement) + 0.1
    for ground_, pavement in ((("lakeside", 0), ("launch-pad", 0)), (("quarry", 0), ("store-room", 2))):
        assert likeness(edited, ground_, pavement) == pytest.approx(likeness(plain, ground_, pavement), abs=0.05)


def test_the_script_makes_the_change_that_is_bundled(tmp_path: Path, plain: Network, images: ImageDataset) -> None:
    rewrite = demo_editing.demo_rewrite(plain, images)
    bundled = read_weights(FILE)
    # What the source is moved to depends on the painted pictures alone, how sparingly on all others.
    torch.testing.assert_close(rewrite.left, bundled["left"].float(), rtol=2e-3, atol=2e-3)
    demo_editing.save(rewrite, plain, tmp_path / "again.pt")
    again = demo_editing.changed(read_weights(tmp_path / "again.pt"), tmp_path / "again.pt")
    assert again.name == "vfs-demo-edited"


def test_a_change_of_other_weights_and_what_is_no_change_are_refused(tmp_path: Path) -> None:
    content = read_weights(FILE)
    with pytest.raises(NetworkError, match="made for other weights of vfs-demo"):
        demo_editing.changed(content | {"of": "0" * 64}, FILE)
    for other in ([], {"left": torch.zeros(2)}):
        with pytest.raises(NetworkError, match="holds no change of a network"):
            demo_editing.changed(other, FILE)


def test_a_whole_state_dict_can_stand_in_its_place(tmp_path: Path, edited: Network) -> None:
    torch.save(edited.module.state_dict(), tmp_path / "w.pt")
    assert load_network("vfs-demo-edited", weights=tmp_path / "w.pt").weights_sha256 == edited.weights_sha256
