"""Networks of published experiments: files laid out as their authors' programs write them, and files that are not."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from vfs_panel.cli import run
from vfs_panel.errors import NetworkError
from vfs_panel.models import checkpoint_networks, find_networks, list_layers, load_network, network_names
from vfs_panel.models.checkpoints import CHECKPOINTS
from vfs_panel.models.weight_files import seeded

State = dict[str, Tensor]
IMAGENET, NO_NORM = (0.485, 0.456, 0.406), (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def resnet() -> models.ResNet:
    net = seeded(lambda: models.resnet50(num_classes=182))
    assert isinstance(net, models.ResNet)
    return net.eval()


def renamed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def without_head(state: State) -> State:
    return {key: value for key, value in state.items() if not key.startswith("fc.")}


def moco(state: State) -> dict[str, object]:
    body = without_head(state)
    heads = {"fc.0.weight": torch.zeros(2048, 1), "fc.0.bias": torch.zeros(1), "fc.2.weight": torch.zeros(128, 1)}
    queue = {"module.queue": torch.zeros(128, 2), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    both = renamed(body | heads, "module.encoder_q.") | renamed(heads, "module.encoder_k.")
    return {"epoch": 800, "state_dict": both | queue, "optimizer": {"state": {}, "param_groups": []}}


def simclr_google(state: State) -> dict[str, object]:
    return {"state_dict": without_head(state) | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}}


def simclr_vissl(state: State) -> dict[str, object]:
    trunk = renamed(without_head(state), "_feature_blocks.")
    return {"phase_idx": 799, "classy_state_dict": {"base_model": {"model": {"trunk": trunk, "heads": {}}}}}


def simclr_bolts(state: State) -> dict[str, object]:
    head = {"projection.model.0.weight": torch.zeros(2), "encoder.fc.weight": torch.zeros(2)}
    return {"state_dict": renamed(without_head(state), "encoder.") | head, "hyper_parameters": argparse.Namespace(lr=1)}


def wilds_erm(state: State) -> dict[str, object]:
    return {"algorithm": renamed(state, "model."), "epoch": 11, "best_val_metric": np.float64(0.3)}


def wilds_coral(state: State) -> dict[str, object]:
    body, head = without_head(state), {k.removeprefix("fc."): v for k, v in state.items() if k.startswith("fc.")}
    twice = renamed(body, "featurizer.") | renamed(head, "classifier.")
    return {"algorithm": renamed(body, "model.0.") | renamed(head, "model.1.") | twice}


def wilds_parallel(state: State) -> dict[str, object]:
    return {"algorithm": renamed(state, "model.module.")}


@pytest.mark.parametrize(
    ("name", "layout", "mean", "input_px"),
    [
        ("moco-v2", moco, IMAGENET, (224, 224)),
        ("moco-v2-pass", moco, IMAGENET, (224, 224)),
        ("moco-v2", without_head, IMAGENET, (224, 224)),
        ("simclr", simclr_google, NO_NORM, (224, 224)),
        ("simclr", simclr_vissl, IMAGENET, (224, 224)),
        ("simclr", simclr_bolts, IMAGENET, (224, 224)),
        ("iwildcam", wilds_erm, IMAGENET, (448, 448)),
        ("iwildcam", wilds_coral, IMAGENET, (448, 448)),
        ("iwildcam", wilds_parallel, IMAGENET, (448, 448)),
    ],
)
def test_a_checkpoint_gives_the_features_of_torchvisions_network_with_its_weights(
    tmp_path: Path, resnet: models.ResNet, name: str, layout: Callable[[State], object],
    mean: tuple[float, ...], input_px: tuple[int, int],
) -> None:  # fmt: skip
    torch.save(layout(resnet.state_dict()), tmp_path / "w.pth.tar")
    network = load_network(name, weights=tmp_path / "w.pth.tar")
    assert (network.name, network.weights, network.preprocessing.mean) == (name, "w.pth.tar", mean)
    assert network.preprocessing.input_px(600, 800) == input_px
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for part in ("layer4.2.conv2", *(["fc"] if name == "iwildcam" else [])):
        torch.testing.assert_close(output(network.module, part, picture), output(resnet, part, picture))


def output(net: nn.Module, part: str, picture: Tensor) -> Tensor:
    seen: list[Tensor] = []
    hook = net.get_submodule(part).register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.inference_mode():
        net(picture)
    hook.remove()
    return seen[0]


VGG = {True: models.vgg16_bn, False: models.vgg16}


def tiny_vgg_state(*, norm: bool) -> State:
    """A whole VGG16's weights, of which the classifier's take no room: each is one number, repeated."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in VGG[norm](num_classes=1000).state_dict().items()}
    rng = torch.Generator().manual_seed(1)
    return {
        key: torch.tensor(0.01).expand(shape)
        if key.startswith("classifier") or "num_batches" in key
        else torch.rand(shape, generator=rng) * 0.1
        for key, shape in shapes.items()
    }


def editing(state: State) -> State:
    """Rename torchvision's weights as EditingClassifiers' Sequential has them: a number for each convolution."""
    found, layer = {}, -1
    for key, value in state.items():
        part, place, kind = key.split(".")
        if part == "features":
            if value.ndim == 4:
                layer += 1
                conv = place
            found[f"layer{layer}.{'conv' if place == conv else 'bn'}.{kind}"] = value
        else:
            found[key] = value
    return found


def test_the_edited_vgg16_gives_the_features_of_torchvisions(tmp_path: Path) -> None:
    state = tiny_vgg_state(norm=True)
    torch.save(editing(state), tmp_path / "edited.pt")
    network = load_network("vgg16-edited", weights=tmp_path / "edited.pt")
    own = models.vgg.make_layers(models.vgg.cfgs["D"], batch_norm=True).eval()
    own.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")})
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network.module.features(picture), own(picture))  # type: ignore[operator]


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("layout", [editing, lambda s: {"model": renamed(s, "module.model.model.")}, dict])
def test_each_way_of_naming_a_vgg16_is_known_whole(norm: bool, layout: Callable[[State], object]) -> None:
    state = tiny_vgg_state(norm=norm)
    extra = {"module.normalizer.new_mean": torch.zeros(3), "module.attacker.model.model.x": torch.zeros(1)}
    content = layout(state)
    if isinstance(content, dict) and "model" in content:
        content["model"] |= extra
    chosen, found, foreign = checkpoint_networks._layout_of(CHECKPOINTS["vgg16-unedited"].layouts, content)
    assert (chosen.architecture, foreign) == ("vgg16_bn" if norm else "vgg16", [])
    expected = {key: value for key, value in state.items() if "num_batches" not in key}
    assert found.keys() == expected.keys()
    assert all(found[key] is expected[key] for key in expected)


def test_they_are_listed_with_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(CHECKPOINTS) <= set(network_names())
    assert find_networks("moco*") == ["moco-v2", "moco-v2-pass"]
    assert run(["models"]) == 0
    out, err = capsys.readouterr()
    assert set(CHECKPOINTS) <= set(out.split())
    assert "moco-v2 needs its checkpoint: https://dl.fbaipublicfiles.com/moco/" in err
    assert run(["models", "simclr"]) == 0
    out, err = capsys.readouterr()
    assert "256×14×14" in next(line for line in out.splitlines() if line.startswith("layer3.5.conv2"))
    assert "simclr needs its checkpoint" in err


def test_without_a_file_the_message_says_where_it_is() -> None:
    for name, checkpoint in CHECKPOINTS.items():
        with pytest.raises(NetworkError, match=r"needs its checkpoint: https://.*--weights FILE") as caught:
            load_network(name)
        assert checkpoint.sources[0].url in str(caught.value)


def test_a_foreign_checkpoint_is_refused(tmp_path: Path, resnet: models.ResNet) -> None:
    state = resnet.state_dict()
    torch.save(state, tmp_path / "supervised.pth")
    with pytest.raises(NetworkError, match=r"no checkpoint of moco-v2: it holds fc\.weight, fc\.bias, expected names"):
        load_network("moco-v2", weights=tmp_path / "supervised.pth")
    torch.save({"foo": torch.zeros(2)}, tmp_path / "foo.pth")
    with pytest.raises(NetworkError, match=r"no checkpoint of iwildcam: it holds foo.*model\.conv1\.weight"):
        load_network("iwildcam", weights=tmp_path / "foo.pth", strict=False)
    short = {key: value for key, value in without_head(state).items() if not key.startswith("layer4.2")}
    torch.save(moco(short), tmp_path / "short.pth")
    with pytest.raises(NetworkError, match=r"does not fit moco-v2: layer4\.2\.conv1\.weight is missing"):
        load_network("moco-v2", weights=tmp_path / "short.pth")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("/tmp/vfs-panel-must-not-exist-2",)


def test_a_checkpoint_with_code_is_refused_and_the_message_says_how_to_save_its_weights(tmp_path: Path) -> None:
    torch.save({"algorithm": {}, "best_val_metric": Evil()}, tmp_path / "best_model.pth")
    with pytest.raises(NetworkError, match=r"holds code.*if you trust it: torch\.save\(torch\.load\('best_model\.pth'"):
        load_network("iwildcam", weights=tmp_path / "best_model.pth")
    assert not Path("/tmp/vfs-panel-must-not-exist-2").exists()


def vgg16_without_weights() -> nn.Module:
    with torch.device("meta"):
        net: nn.Module = models.vgg16()
    return net.to_empty(device="cpu")


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        ("resnet50", {"layer3.5.conv2": (256, 14, 14), "layer4.2.conv2": (512, 7, 7)}),
        ("iwildcam", {"layer4.2.conv2": (512, 14, 14)}),
        (vgg16_without_weights, {"features": (512, 7, 7), "features.16": (256, 28, 28)}),
        ("xray/densenet121-res224-all", {"features": (1024, 7, 7)}),
    ],
)
def test_the_layers_of_the_experiments(
    network: str | Callable[[], nn.Module], layers: dict[str, tuple[int, ...]]
) -> None:
    loaded = load_network(network, weights="random") if isinstance(network, str) else load_network(network())
    grids = {layer.name: layer.grid for layer in list_layers(loaded)}
    assert {layer: grids[layer] for layer in layers} == layers
