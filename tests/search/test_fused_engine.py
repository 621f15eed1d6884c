"""An engine whose tier uses the fused kernel finds what the plain one finds. In Triton's interpreter, without a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

SCRIPT = """
import sys
import numpy as np, torch
import vfs_panel as vfs
from vfs_panel.search import resident

torch.set_num_threads(1)  # the interpreter is made for one thread
resident.faster_packed = lambda *_: False
store = vfs.open_store(sys.argv[1])
mask = np.zeros((5, 5), np.float32)
mask[1:3, 1:4] = [[1, 0.5, 0.2], [0, 1, 0.7]]
for scan in ("float16", "bfloat16", "int8", "float32"):
    plain, fused = (vfs.RegionSearch(store, device="cpu", scan=scan) for _ in range(2))
    fused._backend._shards[0].tier._fused = True
    queries = [plain.query(f"p{i:02d}", np.roll(mask, i % 2, 0)) for i in range(3)]
    for options in ({"k": 10}, {"k": 3, "unique": "domain"}, {"k": 5, "where": {"domain": "d1"}}):
        for a, b in zip(plain.search_many(queries, **options), fused.search_many(queries, **options), strict=True):
            for name in ("score", "image_id", "y", "x"):
                np.testing.assert_array_equal(a[name], b[name])
            np.testing.assert_allclose(a["image_score"], b["image_score"], rtol=0, atol=2 * a.attrs["bound"] + 1e-6)
print("same")
"""


def test_an_engine_with_the_fused_kernel_finds_the_same(tmp_path: Path) -> None:
    import numpy as np

    from vfs_panel.features import store_from_arrays

    features = np.maximum(np.random.default_rng(0).normal(size=(60, 32, 5, 5)), 0).astype(np.float16)
    store_from_arrays(
        {"layer": features}, out=tmp_path / "s.zarr", image=[f"p{i:02d}" for i in range(60)],
        domain=[f"d{i % 3}" for i in range(60)],
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "s.zarr")], capture_output=True, text=True, check=False,
        env={**os.environ, "TRITON_INTERPRET": "1"}, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "same", done.stderr[-2000:]
