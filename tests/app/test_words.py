"""Sentences say what was counted."""

import numpy as np
import xarray as xr

from vfs_panel.app import words


def result(query_image: str = "a") -> xr.Dataset:
    return xr.Dataset(
        {"image_score": ("image", np.array([np.nan, 0.642, 0.173, 0.1], np.float32))},
        attrs={"n_searched": 1120, "elapsed_ms": 81.2, "query_image": query_image},
    )


def test_exact_names_pictures_time_best_and_median() -> None:
    status = words.searched(result(), preview=False)
    assert (status.lead, status.text) == (
        "Exact.", "1,120 pictures searched in 81 ms. The painted picture is left out. Best 0.642, median 0.173.",
    )  # fmt: skip


def test_an_upload_is_not_said_to_be_left_out() -> None:
    assert "left out" not in words.searched(result(""), preview=False).text


def test_preview_is_short() -> None:
    assert words.searched(result(), preview=True) == words.Status("Preview.", "1,120 pictures in 81 ms.")


def test_ready_tells_memory_from_disk() -> None:
    assert "388 MB of features in memory" in words.ready(5, "on the CPU, all features in memory, 388 MB").text
    assert "features read from disk" in words.ready(5, "on the CPU, features read from disk, 9.8 GB").text
