"""Every contestant finds the true best pictures, whoever cannot be had says how to get it, and errors are noticed."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch

from vfs_panel.bench import contestants, regions, truth
from vfs_panel.bench.contestants import TOP, Flat, Found, MemoryCopy, MemoryRead, NotInstalledError, Ours, Reference
from vfs_panel.bench.sets import LAYER
from vfs_panel.features import FeatureStore

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", regions.MASKS)
def test_visualfeaturesearch_has_the_same_truth(tiny_set: FeatureStore, name: str) -> None:
    reference = Reference(contestants.float_features(tiny_set, 60, CPU))
    assert reference.version == "1.0.0"
    query = regions.query(tiny_set, LAYER, name)
    reference.set_region(tiny_set.feature(LAYER, query.image_id).to_numpy(), regions.mask(name, (7, 7)))
    right = truth.best_scores(tiny_set, query)
    found = reference()
    assert truth.disagreement(found, right.compatible[:60], truth.FLOAT32_TOLERANCE) == ""
    reference.warm_up()


def test_faiss_has_the_same_truth_for_one_cell(tiny_set: FeatureStore) -> None:
    flat = Flat(tiny_set)
    query = regions.query(tiny_set, LAYER, regions.ONE_CELL)
    flat.set_region(query.features[:, 0, 0])
    flat._wanted = TOP  # too few: several cells are of one picture, so it has to ask again
    found = flat()
    assert flat._wanted > TOP
    assert truth.disagreement(found, truth.best_scores(tiny_set, query).plain, truth.FLOAT32_TOLERANCE) == ""


@pytest.mark.parametrize("name", regions.MASKS)
@pytest.mark.parametrize("scan", ["float32", "bfloat16", "int8"])
def test_ours_has_the_same_truth(tiny_set: FeatureStore, name: str, scan: str) -> None:
    ours = Ours(tiny_set, "cpu", scan)
    query = regions.query(tiny_set, LAYER, name)
    right = truth.best_scores(tiny_set, query)
    assert truth.disagreement(ours.search(query), right.plain, truth.EXACT_TOLERANCE) == ""
    first = ours.search(query, compatible=True, first=60)
    assert truth.disagreement(first, right.compatible[:60], truth.EXACT_TOLERANCE) == ""


_INTERPRETED = """
import sys, numpy, torch
from vfs_panel.bench import regions, truth
from vfs_panel.bench.contestants import Fused
from vfs_panel.features import open_store
store = open_store(sys.argv[1])
for scan in ("float16", "int8"):
    alone, query = Fused(store, torch.device("cpu"), scan), regions.query(store, "synthetic", regions.SOFT)
    alone.set_region(query)
    scores, bound = alone.scores()
    assert (abs(scores - truth.best_scores(store, query).plain) <= bound).all(), scan
    assert store.n_images * 16 * 49 < alone.nbytes < store.n_images * 16 * 49 * 4
    alone()
"""


def test_the_fused_kernel_alone_keeps_its_bound(tiny_set: FeatureStore) -> None:
    pytest.importorskip("triton")
    environment = os.environ | {"TRITON_INTERPRET": "1"}  # which must be set before Triton is loaded
    command = [sys.executable, "-c", _INTERPRETED, tiny_set.path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_query_is_found_first(tiny_set: FeatureStore) -> None:
    query = regions.query(tiny_set, LAYER, regions.SOFT)
    assert int(truth.best_scores(tiny_set, query).plain.argmax()) == int(str(query.image_id))


def _best(scores: np.ndarray) -> Found:
    rows = np.argsort(-scores, kind="stable")[:TOP]
    return Found(rows, scores[rows])


SCORES = np.linspace(0.1, 0.9, 50)[np.random.default_rng(0).permutation(50)]


def test_agreement() -> None:
    assert truth.disagreement(_best(SCORES), SCORES, 1e-9) == ""
    assert truth.right_matches(_best(SCORES), SCORES) == TOP


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: replace(found, rows=found.rows[:-1], scores=found.scores[:-1]), "found 19 pictures"),
        (lambda found: replace(found, rows=found.rows[[0, *range(19)]]), "found 19 pictures"),
        (lambda found: replace(found, scores=found.scores + 1e-3), r"true is 0\.9"),
        (lambda found: replace(found, scores=np.full(TOP, np.nan)), "scored nan"),
        (lambda found: replace(found, rows=found.rows[::-1], scores=found.scores[::-1]), "should be at rank 1"),
    ],
)
def test_disagreement(change: object, message: str) -> None:
    assert re.search(message, truth.disagreement(change(_best(SCORES)), SCORES, 1e-6))


def test_a_missed_picture_is_named() -> None:
    seen = SCORES.copy()
    best = int(seen.argmax())
    seen[best] = -1
    found = _best(seen)
    assert truth.disagreement(found, SCORES, 1e-6).startswith(f"picture {best} of score 0.9000000 should be at rank 1")
    assert truth.right_matches(found, SCORES) == TOP - 1


def test_ties_may_change_places() -> None:
    tied = np.round(SCORES, 1)
    found = Found(np.argsort(-tied, kind="stable")[:TOP][::-1], np.sort(tied)[::-1][:TOP])
    assert truth.disagreement(replace(found, scores=tied[found.rows]), tied, 0.0) != ""
    last_first = np.lexsort((-np.arange(50), -tied))[:TOP]
    assert truth.disagreement(Found(last_first, tied[last_first]), tied, 1e-9) == ""


def test_who_is_not_installed_says_how_to_get_it(tiny_set: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(NotInstalledError, match="pip install faiss-cpu"):
        Flat(tiny_set)

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(contestants, "distribution", missing)
    with pytest.raises(NotInstalledError, match=r"pip install visualfeaturesearch==1\.0\.0"):
        Reference(torch.zeros(2, 2, 2, 2))


def test_memory() -> None:
    read = MemoryRead(1 << 16)
    read(1 << 16)
    read(8)
    read.close()
    assert read.scale(1 << 12) == 1
    assert read.scale(1 << 18) == 4
    copy = MemoryCopy(1 << 12, CPU)
    copy()
    assert copy.moved == 2 << 12
