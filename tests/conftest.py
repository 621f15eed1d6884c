"""Fixtures for all tests: settings of their own, a few small pictures, a small store."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings as hypothesis_settings
from PIL import Image

from vfs_panel.settings import settings

DOMAINS, LABELS = ("photo", "sketch"), ("cat", "dog", "house")

SERVED_APART = ("test_apps.py", "test_connection.py", "test_gallery.py", "test_jupyterlab.py", "test_switching.py")
"""Browser tests that serve most of what they look at themselves."""

hypothesis_settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis_settings.load_profile("untimed")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several test processes share the cores: threads of one operation would mostly wait for each other. What the tests
    # start inherits it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the browser tests: they take longest, and mostly wait.

    One that fails on a busy machine is run once more, which the summary tells.
    """
    items.sort(key=lambda item: item.path.parent.name != "browser")
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Side by side with `-n`, keep the tests of a file together, and those that look at the one app that is served."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder, _, name = file.rpartition("/")
            return folder if folder.endswith("browser") and name not in SERVED_APART else file

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reads the user's settings, or writes into the user's folders."""
    folder = tmp_path_factory.mktemp("settings")
    monkeypatch.setenv("VFS_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    for name in ("VFS_CATALOG", "VFS_DEVICE", "VFS_BATCH_SIZE", "VFS_BLOCK_MB", "VFS_MEMORY_MB"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of coarse coloured noise, DOMAIN/LABEL/N.png, 72 wide and 64 high. Not to be changed."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(7)
    for domain in DOMAINS:
        for label in LABELS:
            folder = root / domain / label
            folder.mkdir(parents=True)
            for number in range(2):
                coarse = rng.integers(0, 256, (8, 9, 3), np.uint8)
                Image.fromarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8))).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def demo_cache(pytestconfig: pytest.Config) -> Path:
    """A cache folder with all that `vfs-panel demo` prepares: two minutes for the first run, kept for the next."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("vfs-demo")
    with FileLock(folder.with_suffix(".lock")):  # of several test processes, one prepares it
        subprocess.run(
            [sys.executable, "-m", "vfs_panel.cli", "demo", "--prepare-only"],
            env=os.environ | {"VFS_CACHE_DIR": str(folder)},
            check=True,
        )
    return folder


@pytest.fixture(scope="session")
def kept_store(picture_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `picture_folder` by the demo network, stage3 and stage4, in four blocks. Not to be changed."""
    from vfs_panel.features import extract

    path = tmp_path_factory.mktemp("stores") / "tiny.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFS_BLOCK_MB", "0.16")
        settings.cache_clear()
        extract("vfs-demo", picture_folder, layers=["stage3", "stage4"], out=path)
    settings.cache_clear()
    return path


@pytest.fixture
def tiny_store(kept_store: Path, tmp_path: Path) -> Path:
    """A copy of `kept_store` of the test's own."""
    return Path(shutil.copytree(kept_store, tmp_path / "tiny.zarr"))
