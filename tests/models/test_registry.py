"""Networks are found under the names that a script or an installed package gave them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.models import Network, load_network, registry
from vfs_panel.models.registry import (
    is_registered,
    load_registered,
    register_network,
    registered_names,
    unregister_network,
)

Declare = Callable[..., None]


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_made", {})


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Return a function that installs a package of one module, with networks declared in its metadata."""

    def install(package: str, source: str, **names: str) -> None:
        folder = tmp_path / package
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{package}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        points = "".join(f"{name} = {package}:{value}\n" for name, value in names.items())
        (info / "entry_points.txt").write_text(f"[vfs_panel.networks]\n{points}")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, package, raising=False)

    return install


def make() -> Network:
    return load_network(nn.Conv2d(3, 4, 1))


def test_a_registered_network_is_made_when_it_is_loaded() -> None:
    made = []
    register_network("mine", lambda: made.append(1) or make())
    assert (registered_names(), made) == (["mine"], [])
    assert load_registered("mine").name == "Conv2d"
    assert made == [1]
    unregister_network("mine")
    unregister_network("mine")
    assert not is_registered("mine")
    with pytest.raises(NetworkError, match="No network 'mine' is registered"):
        load_registered("mine")


def test_a_name_stands_for_one_network(declare: Declare) -> None:
    register_network("mine", make)
    with pytest.raises(NetworkError, match=r"'mine' is registered already.*replace=True"):
        register_network("mine", make)
    register_network("mine", make, replace=True)
    declare("vfs_first", "", theirs="make")
    for taken in ("resnet18", "vfs-demo", "theirs"):
        with pytest.raises(NetworkError, match=f"There is a network '{taken}' already"):
            register_network(taken, make, replace=True)
    assert registered_names() == ["mine", "theirs"]


@pytest.mark.parametrize("name", ["", " a", "a/b", "a\\b", "a\nb"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(NetworkError, match="is no name for a network"):
        register_network(name, make)


def test_something_that_makes_nothing() -> None:
    with pytest.raises(NetworkError, match="with Tensor; give a function"):
        register_network("mine", torch.zeros(1))


def test_a_package_declares_a_network(declare: Declare) -> None:
    source = "from torch import nn\nfrom vfs_panel.models import load_network\n"
    declare("vfs_second", f"{source}def make():\n    return load_network(nn.Conv2d(3, 4, 1))", theirs="make")
    assert is_registered("theirs")
    assert "vfs_second" not in sys.modules  # names are known without running it
    assert load_registered("theirs").module.out_channels == 4


def test_packages_that_fail(declare: Declare) -> None:
    declare("vfs_third", "raise OSError('no library')", gone="make")
    with pytest.raises(NetworkError, match="'gone', of package vfs_third, cannot be made: OSError: no library"):
        load_registered("gone")
    declare(
        "vfs_fourth", "def make():\n    return 1\ndef fail():\n    raise ValueError('a\\nb')", one="make", two="fail"
    )
    with pytest.raises(NetworkError, match="'one', of package vfs_fourth, is made as int, expected a Network"):
        load_registered("one")
    with pytest.raises(NetworkError, match="cannot be made: ValueError: a b"):
        load_registered("two")
    declare("vfs_fifth", "", three="missing")
    with pytest.raises(NetworkError, match="AttributeError"):
        load_registered("three")


def test_two_packages_with_one_name(declare: Declare) -> None:
    declare("vfs_sixth", "", same="make")
    declare("vfs_seventh", "", same="make")
    with pytest.raises(NetworkError, match=r"declared by vfs_s.* and by vfs_s.* Uninstall one"):
        load_registered("same")


def test_an_error_of_ones_own_stays_as_it_is() -> None:
    def fail() -> Network:
        raise LayerError("Choose another.")

    register_network("mine", fail)
    with pytest.raises(LayerError, match="Choose another"):
        load_registered("mine")
