"""torch.hub's networks are made by a repository's code: only where the caller trusts it."""

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

from vfs_panel.errors import NetworkError
from vfs_panel.models import load_network

HUBCONF = """
from pathlib import Path
import torch
Path(__file__).with_name("ran").touch()

def option(pretrained=False):
    net = torch.nn.Conv2d(3, 4, 3)
    if pretrained:
        torch.nn.init.ones_(net.weight)
    return net

def plain():
    return torch.nn.Conv2d(3, 4, 3)

def no_network(pretrained=False):
    return "a tokenizer"

def broken(pretrained=False):
    raise ZeroDivisionError("in the repository's code")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    return tmp_path


def test_nothing_runs_without_trust(folder: Path) -> None:
    with pytest.raises(NetworkError, match=r"would run on this machine.*--trust-code, or trust_code=True"):
        load_network(f"hub/{folder}:option")
    assert not (folder / "ran").exists()
    assert inspect.signature(load_network).parameters["trust_code"].default is False


def test_weights_are_published_random_or_a_file(folder: Path) -> None:
    name = f"hub/{folder}:option"
    published = load_network(name, trust_code=True)
    assert (published.name, published.weights) == (name, "pretrained")
    assert bool((published.module.weight == 1).all())  # type: ignore[union-attr,operator]
    once, again = (load_network(name, weights="random", trust_code=True) for _ in range(2))
    assert once.weights_sha256 == again.weights_sha256 != published.weights_sha256
    torch.save(nn.Conv2d(3, 4, 3).state_dict(), folder / "w.pth")
    assert load_network(name, weights=folder / "w.pth", trust_code=True).weights == "w.pth"


def test_an_entry_need_not_take_the_option(folder: Path) -> None:
    assert isinstance(load_network(f"hub/{folder}:plain", trust_code=True).module, nn.Conv2d)


@pytest.mark.parametrize(
    ("entry", "message"),
    [("no_network", "gives str, expected a network"), ("broken", "could not be made: in the repository's code"),
     ("missing", "could not be made: .*missing")],
)  # fmt: skip
def test_what_cannot_be_made_is_said(folder: Path, entry: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        load_network(f"hub/{folder}:{entry}", trust_code=True)


@pytest.mark.parametrize("name", ["hub/", "hub/owner/repo", "hub/owner:entry", "hub/owner/repo:"])
def test_what_is_no_name_says_how_one_is_written(name: str) -> None:
    with pytest.raises(NetworkError, match="write hub/OWNER/REPO:ENTRY"):
        load_network(name, trust_code=True)


def test_a_folder_without_entries(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"could not be made: .*hubconf\.py"):
        load_network(f"hub/{tmp_path}:net", trust_code=True)
