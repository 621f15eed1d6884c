"""What a person waits for: `python -m tests.benchmarks.app_latency [--json FILE] [--sections pen,open,users,memory]`.

A synthetic store of 10,000 pictures × 512×7×7 in float16 is written once (half a gigabyte, in --folder); the explorer
is served on it in a process of its own, and a headless Chromium opens it. Figures are for the machine as it is, with
everything on it: server, browser and the clients that stand for other people share its cores.

pen
    A pen is moved by pointer events dispatched in the page, for 3 s at up to 60 moves a second. "Painted" is the end of
    the browser's frame in which Bokeh has drawn the matches with all their pictures decoded; the compositor, a process
    of its own, puts it on the screen next. Each move is timed until a
    result that has this move in it is painted; "from rest" times single moves of a pen that had rested. Refreshes are
    such frames in which the matches changed. Pen-up is timed until the exact result is painted.
open
    From the request until the canvas shows its picture, the tools are there and the status is "Ready", in new pages of
    one browser, the first of which has nothing cached.
users
    One Chromium and 19 clients that speak Bokeh's protocol, each with its own picture; see `latency.users`.
memory
    The server's own memory (what it shares with no other process) with 20 pages that have painted and are idle, and
    after they are closed; each beside the time before, when as many had been there once and had left.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.latency.person import SIZE, Person, move_to_paint, opening, spread, up_to_exact
from tests.browser.chromium import find
from tests.browser.conftest import ARGS

SECTIONS = ("pen", "open", "users", "memory")


class Figure(NamedTuple):
    """One measured number beside its target; `most` says that the target is an upper bound."""

    name: str
    value: float
    unit: str
    target: float | None = None
    most: bool = True

    def row(self) -> str:
        """A row of the table."""
        aim = "" if self.target is None else f"{'≤' if self.most else '≥'} {self.target:g}"
        met = "" if self.target is None else "yes" if self.met else "no"
        return f"| {self.name} | {self.value:,.1f} {self.unit} | {aim} | {met} |"

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.target is None or (self.value <= self.target if self.most else self.value >= self.target)


class Setting(NamedTuple):
    """Sizes of a run."""

    folder: Path
    images: int
    channels: int
    users: int
    strokes: int


@contextmanager
def serving(setting: Setting) -> Iterator[dict[str, Any]]:
    """Serve in a process of its own, and yield what it says: its `url`, and the engine's `tier`."""
    command = [sys.executable, "-m", "tests.benchmarks.latency.server", str(setting.folder)]
    command += ["--images", str(setting.images), "--channels", str(setting.channels)]
    with (setting.folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert line.startswith("{"), (setting.folder / "server.log").read_text()
            yield json.loads(line)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def facts(url: str) -> dict[str, int]:
    """Ask the server for its memory and its sessions."""
    with urllib.request.urlopen(f"{url}facts", timeout=120) as reply:
        return dict(json.load(reply))


@contextmanager
def crowd(url: str, users: int, **options: Any) -> Iterator[Any]:
    """Start clients, wait until all pages are open, and yield the process; its last line says what they waited for."""
    command = [sys.executable, "-m", "tests.benchmarks.latency.users", url, "--users", str(users)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert "open" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def pen(browser: Any, url: str, setting: Setting) -> list[Figure]:
    """Measure one person who draws alone."""
    person = Person(browser, url)
    person.warm()
    waits: list[float] = []
    ups: list[float] = []
    rates: list[float] = []
    rests: list[float] = []
    for number in range(setting.strokes):
        drawn = person.stroke(3.0, number)
        waits += move_to_paint(drawn)
        rates.append(drawn["frames"] / drawn["seconds"])
        ups.append(up_to_exact(drawn))
        person.clear()
    for number in range(2 * setting.strokes):
        ups.append(up_to_exact(person.stroke(0.6, number)))
        person.clear()
    for number in range(setting.strokes):
        rests += move_to_paint(person.steps(8, number))
        person.clear()
    person.page.close()
    moved, rested, up = spread(waits), spread(rests), spread(ups)
    return [
        Figure("pen move from rest → painted, p50", rested["p50"], "ms", 120),
        Figure("pen move from rest → painted, p95", rested["p95"], "ms", 250),
        Figure("pen move in a stroke → painted, p50", moved["p50"], "ms", 120),
        Figure("pen move in a stroke → painted, p95", moved["p95"], "ms", 250),
        Figure("refreshes in a 3 s stroke", spread(rates)["p50"], "/s", 10, most=False),
        Figure("pen-up → exact painted, p50", up["p50"], "ms", 150),
        Figure("pen-up → exact painted, p95", up["p95"], "ms"),
    ]


def opened(browser: Any, url: str, setting: Setting) -> list[Figure]:
    """Measure how long a page takes to be usable."""
    context = browser.new_context(viewport=SIZE)
    took = [opening(context, url) / 1000 for _ in range(1 + setting.strokes)]
    context.close()
    return [
        Figure("page interactive, nothing cached", took[0], "s", 3),
        Figure("page interactive, again, p50", spread(took[1:])["p50"], "s", 3),
    ]


def users(browser: Any, url: str, setting: Setting) -> list[Figure]:
    """Measure many who draw at once."""
    person = Person(browser, url)
    person.warm()
    with crowd(url, setting.users - 1, strokes=setting.strokes) as process:
        painted: list[float] = []
        for number in range(setting.strokes):
            painted += move_to_paint(person.stroke(3.0, number))
        said = json.loads(process.stdout.readlines()[-1])
    person.page.close()
    waits, each = spread(said["waits"]), said["results_each"]
    return [
        Figure(f"{setting.users} at once: move → result sent, p50", waits["p50"], "ms"),
        Figure(f"{setting.users} at once: move → result sent, p95", waits["p95"], "ms", 1000),
        Figure(f"{setting.users} at once: move → painted in the browser, p95", spread(painted)["p95"], "ms", 1000),
        Figure("pen-up → exact result sent, p95", spread(said["exact"])["p95"], "ms"),
        Figure("results of other people's pictures", said["foreign"], "", 0),
        Figure("results of the one who got fewest", min(each, default=0), "", 1, most=False),
        Figure("results of the one who got most", max(each, default=0), ""),
    ]


def memory(url: str, setting: Setting) -> list[Figure]:
    """Measure what idle pages hold, and what stays when they are gone."""
    with crowd(url, setting.users, strokes=0):  # what is made once for all
        pass
    before = _settled(url)
    with crowd(url, setting.users, strokes=0, stay=600):
        time.sleep(3)
        during = facts(url)
    after = _settled(url)
    held, left = ((then["own"] - before["own"]) / setting.users / 1e6 for then in (during, after))
    return [
        Figure("memory of an idle session", held, "MB", 10),
        Figure("left of each when all are gone", left, "MB", 1),
        Figure("sessions alive when all are gone", after["sessions"], "", 0),
    ]


def _settled(url: str) -> dict[str, int]:
    """Wait until the sessions that were left are gone."""
    for _ in range(40):
        time.sleep(0.5)
        now = facts(url)
        if not now["sessions"]:
            break
    return now


def device() -> str:
    """The processor by name, and how many of its cores may be used."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def run(setting: Setting, sections: list[str]) -> dict[str, Any]:
    """Measure, and return what was found with where it was found."""
    from playwright.sync_api import sync_playwright

    setting.folder.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGS)
        with serving(setting) as server:
            parts = {"pen": pen, "open": opened, "users": users}
            for name in [name for name in sections if name in parts]:
                figures += parts[name](browser, server["url"], setting)
            if "memory" in sections:
                figures += memory(server["url"], setting)
        browser.close()
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    set_ = f"{setting.images:,} × {setting.channels}×7×7, float16"
    return {
        "device": device(), "set": set_, "engine": server["tier"], "load_average": list(load),
        "figures": [figure._asdict() | {"met": figure.met} for figure in figures],
    }  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    rows = [Figure(*(one[name] for name in Figure._fields)).row() for one in found["figures"]]
    load = f"; load average at the end {found['load_average'][0]:.1f}" if found["load_average"] else ""
    head = f"{found['set']}; {found['engine']}; {found['device']}{load}"
    return "\n".join([head, "", "| | measured | target | met |", "|---|---|---|---|", *rows])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="which parts, with commas")
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("TMPDIR", "/tmp")) / "vfs-app-latency")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--strokes", type=int, default=4, help="how often each thing is done")
    options = parser.parse_args()
    sections = options.sections.split(",")
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"unknown sections {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    setting = Setting(options.folder, options.images, options.channels, options.users, options.strokes)
    found = run(setting, sections)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2, ensure_ascii=False))
    print(table(found))


if __name__ == "__main__":
    main()
