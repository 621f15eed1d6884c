"""Networks by name, by file and given; nothing but weights comes out of a file."""

import os
import pickle
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import bundled_networks, load_network, network_names
from vfs_panel.models.demo_network import DemoNet
from vfs_panel.models.zoo import weights_hash


def test_all_of_torchvisions_classifiers_are_known() -> None:
    names = network_names()
    assert {"vfs-demo", "resnet50", "vgg16", "vit_b_16", "swin_t", "inception_v3", "squeezenet1_1"} <= set(names)


def test_bundled_networks_load_without_a_download() -> None:
    a, b, c = (
        load_network(n, weights=w) for n, w in (("vfs-demo", None), ("vfs-demo-class", None), ("vfs-demo", "random"))
    )
    assert len({a.weights_sha256, b.weights_sha256, c.weights_sha256}) == 3
    assert a.preprocessing.crop_px == (224, 224)
    assert not a.module.training


def test_random_weights_are_always_the_same_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a = load_network("squeezenet1_1", weights="random")
    assert torch.equal(torch.rand(3), expected)
    assert a.weights_sha256 == load_network("squeezenet1_1", weights="random").weights_sha256


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_of_weights_comes_back(tmp_path: Path, wrapped: bool) -> None:
    network = load_network("squeezenet1_1", weights="random")
    with torch.no_grad():
        next(network.module.parameters()).add_(1)
    state = network.module.state_dict()
    content = {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3} if wrapped else state
    torch.save(content, tmp_path / "w.pth")
    again = load_network("squeezenet1_1", weights=tmp_path / "w.pth")
    assert again.weights == "w.pth"
    assert again.weights_sha256 == weights_hash(network.module)
    assert again.preprocessing.resize_px == 256


@pytest.mark.parametrize(
    ("name", "file", "resize_px"),
    [
        ("mnasnet0_5", "w.pth", 256),
        ("mobilenet_v2", "w.pth", 232),
        ("mobilenet_v2", "mobilenet_v2-b0353104.pth", 256),  # the published name of the first weights
    ],
)
def test_files_as_torchvision_publishes_them(tmp_path: Path, name: str, file: str, resize_px: int) -> None:
    state = models.get_model(name, weights=None).state_dict()
    torch.save(state, tmp_path / file)
    network = load_network(name, weights=tmp_path / file)
    assert network.preprocessing.resize_px == resize_px
    torch.testing.assert_close(dict(network.module.state_dict()), dict(state))


def test_densenets_published_names_are_those_before_2018(tmp_path: Path) -> None:
    network = load_network("densenet121", weights="random")
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", k): v for k, v in network.module.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "densenet121-a639ec97.pth")
    again = load_network("densenet121", weights=tmp_path / "densenet121-a639ec97.pth")
    assert again.weights_sha256 == network.weights_sha256


def test_downloaded_weights_and_their_file_are_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = models.googlenet(weights=None, init_weights=False).state_dict()
    torch.save(published, tmp_path / "googlenet-1378be20.pth")
    monkeypatch.setattr(models.GoogLeNet_Weights, "get_state_dict", lambda *_, **__: published)
    by_name = load_network("googlenet")
    by_file = load_network("googlenet", weights=tmp_path / "googlenet-1378be20.pth")
    assert by_name.weights_sha256 == by_file.weights_sha256


def test_a_module_whose_own_names_begin_with_module(tmp_path: Path) -> None:
    net = nn.ModuleDict({"module": nn.Linear(2, 2)})
    torch.save(net.state_dict(), tmp_path / "w.pth")
    assert load_network(net, weights=tmp_path / "w.pth").weights == "w.pth"


def test_the_hash_does_not_depend_on_the_files_precision(tmp_path: Path) -> None:
    net = nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        net.weight.fill_(0.5)
        net.bias.fill_(0.25)  # type: ignore[union-attr]
    torch.save({k: v.half() for k, v in net.state_dict().items()}, tmp_path / "half.pth")
    assert load_network(nn.Conv2d(1, 1, 1), weights=tmp_path / "half.pth").weights_sha256 == weights_hash(net)


def test_weights_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1, 1, 3, 3), "extra": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(NetworkError, match=r"weight is \(1, 1, 3, 3\), expected \(1, 1, 1, 1\)"):
        load_network(nn.Conv2d(1, 1, 1), weights=tmp_path / "w.pth")
    with pytest.raises(NetworkError, match=r"bias is missing; extra is not known.*--no-strict"):
        load_network(nn.Conv2d(1, 1, 3), weights=tmp_path / "w.pth")
    assert load_network(nn.Conv2d(1, 1, 3), weights=tmp_path / "w.pth", strict=False).weights == "w.pth"


def test_what_a_file_leaves_out_is_the_same_each_time(tmp_path: Path) -> None:
    # Else a store made with it could be neither continued nor searched with another picture.
    state = load_network("squeezenet1_1", weights="random").module.state_dict()
    torch.save({k: v + 1 for k, v in state.items() if k.startswith("features")}, tmp_path / "backbone.pth")
    with pytest.raises(NetworkError, match=r"classifier\.1\.weight is missing.*--no-strict"):
        load_network("squeezenet1_1", weights=tmp_path / "backbone.pth")
    once, again = (load_network("squeezenet1_1", weights=tmp_path / "backbone.pth", strict=False) for _ in range(2))
    assert once.weights_sha256 == again.weights_sha256
    torch.testing.assert_close(once.module.state_dict()["features.0.bias"], state["features.0.bias"] + 1)


def test_a_file_of_another_network_is_refused_though_it_need_not_fit(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    torch.save({"foo": torch.zeros(2), "1.num_batches_tracked": torch.tensor(7)}, tmp_path / "w.pth")
    with pytest.raises(NetworkError, match="does not fit Sequential"):
        load_network(net, weights=tmp_path / "w.pth", strict=False)


def test_the_demo_network_has_as_many_classes_as_its_weights(tmp_path: Path) -> None:
    torch.save(DemoNet(5).state_dict(), tmp_path / "w.pt")
    network = load_network("vfs-demo", weights=tmp_path / "w.pt")
    assert network.module.state_dict()["head.weight"].shape == (5, 160)


def test_bundled_weights_that_are_gone_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled_networks, "WEIGHTS_FOLDER", tmp_path)
    with pytest.raises(NetworkError, match=r"bundled weights .*vfs_demo_class\.pt are missing.*Install"):
        load_network("vfs-demo-class")


def test_a_loaded_network_takes_another_preprocessing_but_no_other_weights() -> None:
    network = load_network("vfs-demo")
    assert load_network(network) is network
    small = Preprocessing(resize_px=None, crop_px=(64, 64))
    changed = load_network(network, preprocessing=small)
    assert (changed.preprocessing, changed.module) == (small, network.module)
    assert network.preprocessing != small
    with pytest.raises(NetworkError, match=r"vfs-demo is loaded already, with weights vfs_demo\.pt"):
        load_network(network, weights="random")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("/tmp/vfs-panel-must-not-exist",)


@pytest.mark.parametrize("zipped", [False, True])
def test_no_code_comes_out_of_a_file(tmp_path: Path, zipped: bool) -> None:
    if zipped:
        torch.save({"head.weight": Evil()}, tmp_path / "w.pth")
    else:
        (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(NetworkError, match="refused: it holds code"):
        load_network("vfs-demo", weights=tmp_path / "w.pth")
    assert not Path("/tmp/vfs-panel-must-not-exist").exists()


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"<html>404</html>", pickle.dumps([1, 2])])
def test_what_holds_no_weights_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(NetworkError, match=r"w\.pth") as caught:
        load_network("vfs-demo", weights=tmp_path / "w.pth")
    assert "code" not in str(caught.value)


def test_a_whole_network_in_a_file_holds_code(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(NetworkError, match="refused: it holds code"):
        load_network(nn.Linear(2, 2), weights=tmp_path / "w.pth")


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(NetworkError, match=r"Did you mean .*resnet50"):
        load_network("resnet-50")
    with pytest.raises(NetworkError, match=r"no weights file IMAGENET9K.*IMAGENET1K_V1"):
        load_network("resnet50", weights="IMAGENET9K")


def test_a_file_that_is_no_network_is_named_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"Network file .*net\.pt does not exist"):
        load_network(str(tmp_path / "net.pt"))
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pth")
    with pytest.raises(NetworkError, match=r"w\.pth holds no network.*give it as weights"):
        load_network(str(tmp_path / "w.pth"))


def test_a_download_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(NetworkError, match=r"could not be downloaded \(no route to host\).*--weights FILE"):
        load_network("squeezenet1_1")
