"""Every notebook runs from top to bottom, and is kept without outputs."""

import asyncio
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
AT_ONCE = 2  # each takes one core


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, demo_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[None]]]:
    """The notebooks that were asked for, started two at a time; each test waits for its own."""
    env = os.environ | {
        "VFS_CACHE_DIR": str(demo_cache),
        "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config")),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "OMP_NUM_THREADS": "1",
    }

    def run(path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)
        # Its own `execute` would leave this thread an event loop that nobody closes: a warning, in whichever test it is
        # that collects it.
        asyncio.run(client.async_execute(env=env))

    # Names of parameters alone: a run of one test, or with -k, starts only what it needs.
    chosen = [item.callspec.params["notebook"] for item in request.session.items if hasattr(item, "callspec")
              and "notebook" in item.callspec.params and item.get_closest_marker("slow")]  # fmt: skip
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield {path: pool.submit(run, path) for path in dict.fromkeys(chosen)}
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first run prepares the demo
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(notebook: Path, runs: dict[Path, Future[None]]) -> None:
    runs[notebook].result()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(notebook: Path) -> None:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
