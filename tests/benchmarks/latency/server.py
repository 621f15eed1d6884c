"""Serve the explorer on a synthetic set: `python -m tests.benchmarks.latency.server FOLDER` prints the address.

Two data sources are added to every page, beside what is measured: `probe` says of each result, in the same message as
the matches, which point of which stroke it belongs to; `pen` draws for a client that is no browser. `/facts`
tells the memory of the process and how many sessions there are.
"""

import argparse
import ctypes
import gc
import json
import time
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pandas as pd
import panel as pn
from bokeh.models import ColumnDataSource
from numpy.typing import NDArray
from tornado.web import RequestHandler

from vfs_panel.app import Explorer, shared
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.settling import settle
from vfs_panel.app.sources import Source, sources_of
from vfs_panel.bench import sets
from vfs_panel.cli.serving import free_port
from vfs_panel.features import FeatureStore
from vfs_panel.images.dataset import ImageDataset

SIDE, DOMAINS, LABELS = 224, ("art", "cartoon", "photo", "sketch"), 7
CANVAS_PX, WORK_PX = 384, 960  # of a client that is no browser
SESSIONS: WeakSet[Session] = WeakSet()


def index(n_images: int) -> pd.DataFrame:
    """Return ids, four domains and seven labels."""
    rows = range(n_images)
    columns = {"domain": [DOMAINS[i % 4] for i in rows], "label": [f"kind {i // 4 % LABELS}" for i in rows]}
    return pd.DataFrame({**columns, "split": "", "path": ""}, index=pd.Index([f"{i:07d}" for i in rows], name="image"))


def picture(image_id: str) -> NDArray[np.uint8]:
    """Draw the picture of an id: soft blobs in colours of its own."""
    coarse = np.random.default_rng(int(image_id)).integers(0, 256, (8, 8, 3)).astype(np.float32)
    at = np.linspace(0, 7, SIDE)
    low, share = np.minimum(at.astype(int), 6), (at - np.minimum(at.astype(int), 6))[:, None, None]
    rows = coarse[low] * (1 - share) + coarse[low + 1] * share
    rows = rows.swapaxes(0, 1)
    return (rows[low] * (1 - share) + rows[low + 1] * share).swapaxes(0, 1).astype(np.uint8)


def set_of(folder: Path, recipe: sets.Recipe) -> dict[str, Source]:
    """Return the set, written to the folder the first time."""
    size = "x".join(map(str, recipe.grid))
    path, table = folder / f"latency-{recipe.n_images}x{size}.zarr", index(recipe.n_images)
    store = FeatureStore(path) if path.exists() else sets.build(recipe, path, index=table)
    return sources_of(store, images=ImageDataset(table, picture, name="synthetic"))


def page(sources: dict[str, Source]) -> Explorer:
    """Make one page, with its probe and its pen."""
    session = Session(sources)
    SESSIONS.add(session)
    explorer = Explorer(session, page=True)
    probe = ColumnDataSource(data={"x": [0.0], "exact": [0], "of": [""], "down": [0]}, name="vfs-probe")
    pen = ColumnDataSource(data={"x": [], "y": [], "down": []}, name="vfs-pen")
    explorer.__panel__().tags = [probe, pen]

    def published(outcome: Outcome) -> None:
        if outcome.result is None or session.document is None:
            return
        job = outcome.job
        probe.data = {
            "x": [job.strokes[-1].points[-1][0]], "exact": [int(not job.preview)], "down": [int(session.state.drawing)],
            "of": [str(session.state.result.attrs["query_image"])],
        }  # fmt: skip

    session.on_publish.append(published)

    def drawn(_attr: str, _old: Any, new: Any) -> None:
        points = list(zip(new["x"], new["y"], strict=True))
        (session.draw if new["down"][0] else session.commit)(points)

    pen.on_change("data", drawn)
    robot = int((pn.state.session_args or {}).get("robot", [b"-1"])[0])
    if robot >= 0:

        def ready() -> None:
            session.open_picture(f"{robot:07d}")
            session.state.work_px = WORK_PX
            session.set_canvas(CANVAS_PX)

        pn.state.onload(ready)
    return explorer


class Facts(RequestHandler):
    """Memory of the process after collecting what nobody needs, in bytes, and how many sessions live."""

    def get(self) -> None:
        for _ in range(3):
            gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
        sizes = {name: int(size) * 1024 for name, size, *_ in (line.replace(":", " ").split() for line in lines)}
        own = sizes["Private_Clean"] + sizes["Private_Dirty"]
        said = {"own": own, "resident": sizes["Rss"], "sessions": len(SESSIONS)}
        self.write(json.dumps(said))


class Profiled(RequestHandler):
    """Profile the thread of the server for some seconds: /profile?s=5."""

    async def get(self) -> None:
        import asyncio
        import cProfile
        import io
        import pstats

        profile = cProfile.Profile()
        profile.enable()
        await asyncio.sleep(float(self.get_query_argument("s", "5")))
        profile.disable()
        said = io.StringIO()
        pstats.Stats(profile, stream=said).sort_stats(self.get_query_argument("by", "cumtime")).print_stats(70)
        self.write(said.getvalue())


def main() -> None:
    """Make the set, warm the engine, serve on a free port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--channels", type=int, default=512)
    options = parser.parse_args()
    sources = set_of(options.folder, sets.Recipe(options.images, (options.channels, 7, 7)))
    source = next(iter(sources.values()))
    network = next(iter(source.networks))
    engine = shared.engine_of(source, network, source.first_layer(network))
    settle()
    port = free_port(0, "localhost")
    server = pn.serve(
        {"/": lambda: page(sources)}, port=port, show=False, start=False, verbose=False, title="vfs_panel",
        unused_session_lifetime_milliseconds=1000, check_unused_sessions_milliseconds=500,
        extra_patterns=[("/facts", Facts), ("/profile", Profiled)],
    )  # fmt: skip
    server.start()
    print(json.dumps({"url": f"http://localhost:{port}/", "tier": engine.tier, "time": time.time()}), flush=True)
    server.io_loop.start()


if __name__ == "__main__":
    main()
