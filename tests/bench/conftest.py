"""A tiny synthetic store, and the true scores for its regions."""

import pytest

from vfs_panel.bench import sets
from vfs_panel.features import FeatureStore

TINY = sets.Recipe(90, (16, 7, 7))


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return sets.build(TINY, tmp_path_factory.mktemp("bench") / "set.zarr")
