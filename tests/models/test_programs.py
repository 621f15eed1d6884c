"""Saved programs give the layers, names and values of the network they came from."""

import copy
import logging
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.features import extract
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, Network, list_layers, load_network
from vfs_panel.models.grid import first_tensor
from vfs_panel.models.programs import is_program, load_program
from vfs_panel.search import RegionQuery, RegionSearch

SMALL = Preprocessing(resize_px=20, crop_px=(16, 16))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.conv(x))) + x
        return self.relu(self.conv(x))  # both a second time


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.pair = Pair()
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        if self.training:
            x = self.stem(x)
        x, _ = self.pair(x)
        return self.head(x.mean((2, 3)))


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x + 1, x.sum()


class Branching(nn.Module):
    """One layer that always runs, one only for bright pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.bright = nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        if bool(x.mean() > 0):
            x = self.bright(x)
        return x


class Stuck(nn.Module):
    """One picture's size is written into its trace."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).reshape(1, 4, 8, 8).mean((2, 3))


def eager(module: nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    """What hooks of the network itself see; of several uses, the last."""
    found: dict[str, torch.Tensor] = {}

    def noting(name: str):
        def hook(_module, _inputs, output):
            tensor = first_tensor(output)
            if tensor is not None:
                found[name] = tensor.clone()

        return hook

    handles = [m.register_forward_hook(noting(name)) for name, m in module.named_modules() if name]
    with torch.inference_mode():
        module(batch)
    for handle in handles:
        handle.remove()
    return found


def export(module: nn.Module, path: Path, *, batch: int | None = None, size: int = 16) -> Path:
    dynamic = None if batch else ({0: torch.export.Dim("batch")},)
    program = torch.export.export(module.eval(), (torch.zeros(batch or 2, 3, size, size),), dynamic_shapes=dynamic)
    torch.export.save(program, path)
    return path


def script(module: nn.Module, path: Path, *, traced: bool = False, size: int = 16) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.zeros(1, 3, size, size)
        made = torch.jit.trace(module.eval(), example, check_trace=False) if traced else torch.jit.script(module.eval())
        torch.jit.save(made, path)
    return path


def trace(module: nn.Module, path: Path, *, size: int = 16) -> Path:
    return script(module, path, traced=True, size=size)


SAVE = {"exported": (export, "net.pt2"), "scripted": (script, "net.pt"), "traced": (trace, "net.torchscript")}


@pytest.fixture(params=list(SAVE))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    save, name = SAVE[request.param]
    return save(Net(), tmp_path / name)


def same_values(network: Network, module: nn.Module, batch: torch.Tensor, *, atol: float = 1e-5) -> set[str]:
    """Check every layer that both give; return those that only the network itself has."""
    want = eager(module.eval(), batch)
    taps = {name: tap for name, tap in network.module.named_modules() if name}
    got = eager(network.module, batch)
    assert set(got) == set(taps)
    for name in set(want) & set(got):
        torch.testing.assert_close(got[name], want[name], atol=atol, rtol=1e-4)
    assert len(set(want) & set(got)) > len(want) / 2
    return set(want) - set(got)


def test_layers_names_and_values_are_the_networks_own(saved: Path) -> None:
    network = load_program(saved, trust_code=True, preprocessing=SMALL)
    missing = same_values(network, Net(), torch.randn(3, 3, 16, 16))
    assert missing == set()
    assert network.weights == saved.name
    assert network.weights_sha256 == load_network(Net()).weights_sha256
    listed = {info.name: info for info in list_layers(network)}
    assert listed["blocks.1.conv"].kind == "Conv2d"
    assert listed["blocks.1.conv"].grid == (4, 8, 8)
    assert listed["pair"].grid == (4, 8, 8)  # the first tensor of a tuple
    assert listed["head"].grid is None
    assert listed["output"].output == (2,)
    assert "blocks" not in listed  # a list of modules is never called


@pytest.mark.parametrize("how", list(SAVE))
@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "vit_b_16"])
def test_networks_of_torchvision(how: str, name: str, tmp_path: Path) -> None:
    size = 32 if name.startswith("vit") else 64
    extra = {"image_size": size, "num_classes": 3} if name.startswith("vit") else {}
    torch.manual_seed(1)
    module = torchvision.models.get_model(name, weights=None, **extra).eval()
    if name.startswith("vit"):  # its own depth is no other code, and slow
        module.encoder.layers = module.encoder.layers[:2]
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):  # else a ReLU in place would show on nothing
            norm.running_mean.uniform_(-1, 1)
    save, file = SAVE[how]
    network = load_program(
        save(module, tmp_path / file, size=size), trust_code=True, preprocessing=Preprocessing(72, (size, size))
    )
    missing = same_values(network, module, torch.randn(2, 3, size, size))
    # Tracing and exporting leave out what changes nothing, such as a dropout.
    assert all("drop" in layer for layer in missing)


def test_an_output_changed_in_place_afterwards_is_read_before(saved: Path) -> None:
    network = load_program(saved, trust_code=True, preprocessing=SMALL)
    with Extractor(network, ["blocks.0.norm"], device="cpu") as extractor:
        found = extractor(torch.randn(2, 3, 16, 16))
    assert found["blocks.0.norm"].min() < 0


def test_only_hooked_layers_are_computed(saved: Path) -> None:
    module = load_program(saved, trust_code=True, preprocessing=SMALL).module
    asked: list[list[str]] = []
    run = module._program.run
    module._program.run = lambda batch, wanted: asked.append(list(wanted)) or run(batch, wanted)
    handle = dict(module.named_modules())["blocks.0"].register_forward_hook(lambda *_: None)
    module(torch.zeros(1, 3, 16, 16))
    handle.remove()
    module(torch.zeros(1, 3, 16, 16))
    assert asked == [["blocks.0"], []]


def test_features_of_a_store_are_the_networks_own(saved: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = ImageDataset.from_arrays(rng.integers(0, 256, (5, 24, 20, 3), np.uint8))
    options = {"layers": ["blocks.0.norm", "blocks.1"], "dtype": "float32", "device": "cpu", "batch_size": 2}
    network = load_program(saved, trust_code=True, preprocessing=SMALL)
    mine = extract(network, pictures, out=tmp_path / "a.zarr", **options)
    own = extract(Net(), pictures, out=tmp_path / "b.zarr", preprocessing=SMALL, **options)
    for layer in options["layers"]:
        got, want = (store.dataset(layer)["features"].values for store in (mine, own))
        np.testing.assert_allclose(got, want, atol=1e-5)
    features = mine.dataset("blocks.1")["features"].sel(image="3").values
    query = RegionQuery.from_mask(features, np.eye(8, dtype=np.float32))
    found = RegionSearch(mine, layer="blocks.1", device="cpu").search(query, k=1)
    assert found["image_id"].values.tolist() == ["3"]


def test_copies_give_the_same(saved: Path) -> None:
    module = load_program(saved, trust_code=True, preprocessing=SMALL).module
    batch = torch.randn(2, 3, 16, 16)
    want = eager(module, batch)
    for made in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert [type(m).__name__ for m in made.modules()] == [type(m).__name__ for m in module.modules()]
        torch.testing.assert_close(eager(made, batch), want)
        assert eager(module, batch).keys() == want.keys()
    assert not module.state_dict()
    assert module.to("cpu").eval() is module
    gone = pickle.dumps(module)
    saved.unlink()
    with pytest.raises(NetworkError, match="does not exist"):
        pickle.loads(gone)(batch)


@pytest.mark.parametrize("rows", [1, 4])
def test_a_program_of_a_fixed_batch_takes_any(rows: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = export(Net(), tmp_path / "fixed.pt2", batch=rows)
    with caplog.at_level(logging.WARNING):
        network = load_program(path, trust_code=True)
    assert f"fixed was made for batches of {rows}" in caplog.text
    assert network.preprocessing == Preprocessing(resize_px=18, crop_px=(16, 16))
    batch = torch.randn(6, 3, 16, 16)
    assert same_values(network, Net(), batch) == set()
    torch.testing.assert_close(network.module(batch), Net().eval()(batch))


def test_a_trace_of_one_picture_is_run_picture_by_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    network = load_program(trace(Stuck(), tmp_path / "stuck.ts"), trust_code=True, preprocessing=SMALL)
    batch = torch.randn(3, 3, 16, 16)
    found = eager(network.module, batch)
    torch.testing.assert_close(found["conv"], conv_of(network, batch))
    assert found["output"].shape == (3, 4)
    assert "stuck takes one picture at a time" in caplog.text


def conv_of(network: Network, batch: torch.Tensor) -> torch.Tensor:
    state = network.module._program._module.state_dict()
    return nn.functional.conv2d(batch, state["conv.weight"], state["conv.bias"], 2, 1)


def test_a_layer_that_may_not_run_is_not_offered(tmp_path: Path) -> None:
    network = load_program(script(Branching(), tmp_path / "b.pt"), trust_code=True, preprocessing=SMALL)
    assert [info.name for info in list_layers(network)] == ["first", "output"]
    with pytest.raises(LayerError, match="no layer 'bright'"):
        Extractor(network, ["bright"], device="cpu")


class Switched(nn.Module):
    """Which layer runs is a setting, which `turning` changes in a pass."""

    def __init__(self, turning: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.flag, self.turning = True, turning

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(x) if not self.flag else self.first(x)
        if self.turning:
            self.turn()
        return x

    def turn(self) -> None:
        self.flag = not self.flag


class Still(Switched):
    def turn(self) -> None:
        pass


def test_a_setting_decides_unless_the_program_changes_it(tmp_path: Path) -> None:
    still = load_program(script(Still(False), tmp_path / "s.pt"), trust_code=True, preprocessing=SMALL)
    assert [info.name for info in list_layers(still)] == ["first", "output"]
    with Extractor(still, ["first"], device="cpu") as extractor:
        assert extractor.grids == {"first": (4, 14, 14)}
    turning = load_program(script(Switched(True), tmp_path / "t.pt"), trust_code=True, preprocessing=SMALL)
    assert [info.name for info in list_layers(turning)] == ["output"]


def test_an_exported_program_follows_its_batches_to_a_device(tmp_path: Path) -> None:
    network = load_program(export(Net(), tmp_path / "net.pt2"), trust_code=True)
    batch = torch.randn(2, 3, 16, 16)
    assert {value.device.type for value in eager(network.module, batch.to("meta")).values()} == {"meta"}
    assert same_values(network, Net(), batch) == set()


def test_without_the_private_parts_of_pytorch_the_output_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = script(Branching(), tmp_path / "b.pt")
    monkeypatch.delattr(torch._C, "_create_function_from_graph")
    network = load_program(path, trust_code=True, preprocessing=SMALL)
    assert [info.name for info in list_layers(network)] == ["output"]
    assert "only its output" in caplog.text


def test_a_frozen_program_has_an_output_and_a_hash(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.freeze(torch.jit.script(Block().eval())), tmp_path / "f.pt")
    network = load_program(tmp_path / "f.pt", trust_code=True)
    assert [name for name, _ in network.module.named_modules()] == ["", "output"]
    assert len(network.weights_sha256) == 64


def test_sizes_that_were_exported_hold(tmp_path: Path) -> None:
    path = export(Net(), tmp_path / "net.pt2")
    with pytest.raises(
        NetworkError, match=r"16×16 pixels only, the preprocessing makes 224×224. Give crop_px=\(16, 16"
    ):
        load_program(path, trust_code=True, preprocessing=Preprocessing())
    with pytest.raises(NetworkError, match="takes pictures of 3 channels, the preprocessing makes 1"):
        load_program(path, trust_code=True, preprocessing=Preprocessing(mean=(0.5,), std=(0.5,)))
    with pytest.raises(NetworkError, match=r"cannot take a batch .*3×16×16 \(channels, rows, columns\) only"):
        list_layers(load_program(path, trust_code=True), input_px=(24, 24))


class TwoInputs(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class Spectral(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1)


def test_programs_that_take_no_pictures(tmp_path: Path) -> None:
    two, many = tmp_path / "two.pt2", tmp_path / "many.pt2"
    torch.export.save(torch.export.export(TwoInputs(), (torch.zeros(2, 3, 4, 4),) * 2), two)
    torch.export.save(torch.export.export(Spectral(), (torch.zeros(2, 9, 4, 4),)), many)
    for path in (two, script(TwoInputs(), tmp_path / "two.pt")):
        with pytest.raises(NetworkError, match="takes 2 inputs"):
            load_program(path, trust_code=True)
    with pytest.raises(NetworkError, match="9 channels; expected 1"):
        load_program(many, trust_code=True)


def test_programs_need_trust(saved: Path) -> None:
    with pytest.raises(NetworkError, match="trust_code=True"):
        load_program(saved)


@pytest.mark.parametrize("name", ["bad.pt2", "bad.torchscript"])
@pytest.mark.parametrize("content", ["nothing", "text", "zip", "cut", "missing", "folder"])
def test_files_that_are_no_programs(name: str, content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for part in ("bad/constants.pkl", "bad/code/x.py") if "script" in name else ("bad/archive_format",):
                archive.writestr(part, "pt2")
    elif content == "cut":
        whole = (script if "script" in name else export)(Net(), tmp_path / ("whole" + path.suffix))
        path.write_bytes(whole.read_bytes()[:2000])
    elif content != "missing":
        path.write_bytes(b"" if content == "nothing" else b"no program\n" * 30)
    capfd.readouterr()
    with pytest.raises(NetworkError) as caught:
        load_program(path, trust_code=True)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_which_files_are_programs(tmp_path: Path) -> None:
    torch.save(Net().state_dict(), tmp_path / "weights.pt")
    assert not is_program(tmp_path / "weights.pt")
    assert not is_program(tmp_path / "missing.pt")
    assert not is_program("resnet18")
    assert is_program(script(Net(), tmp_path / "net.pt"))
    assert is_program("missing.PT2")
    assert is_program("missing.torchscript")
