"""`python -m vfs_panel.catalog.building FILE [--network NAME] [--again]`: make an entry searchable, beside a server.

It fetches what is needed, then extracts the features of the entry's networks, at low priority. What it says is one
JSON object a line on stdout, and nothing else is written there:

    {"stage": "fetch" | "pictures" | "features", "network": NAME or "", "done": N, "total": N}
    {"built": NAME}            a network whose features are whole now
    {"failed": SENTENCE}       the last line of a run that could not go on; its exit code is 2

However it is stopped, also by kill -9, the same command goes on where it was.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from vfs_panel.catalog.entry import CatalogEntry, Progress
from vfs_panel.catalog.reading import read_entry
from vfs_panel.errors import CatalogError, VFSError

STAGES = ("fetch", "pictures", "features")
NICENESS = 15  # of 19: what people wait for gets the cores first
EVERY_S = 0.2  # at most so often is progress said
_FAILED, _STOPPED = 2, 130

Say = Callable[[dict[str, object]], None]


def build(entry: CatalogEntry, networks: Sequence[str], say: Say, *, again: bool = False) -> None:
    """Fetch and extract what an entry needs.

    Parameters
    ----------
    networks : names of the entry's networks.
    say : is given what the lines say, in order; from any thread, one at a time.
    again : whether to throw away what is built and start anew.

    Raises
    ------
    VFSError
        As `CatalogEntry.fetch` and `CatalogEntry.build` do; CatalogError where a person has to get files first for all
        of the networks. Of several, those that can be had are built.
    """
    wanted = [name for name in networks if again or entry.needs(name).step != "nothing"]
    if any(entry.needs(name).step == "fetch" for name in wanted):
        with _told(say, "fetch") as progress:
            entry.fetch(networks[0] if len(networks) == 1 else None, progress=progress)
    needed = {name: entry.needs(name) for name in wanted}
    missing = [needs for needs in needed.values() if needs.step in ("fetch", "by hand")]
    if missing and len(missing) == len(networks):
        raise CatalogError(missing[0].text)
    to_extract = [name for name, needs in needed.items() if needs.step == "build" or (again and needs not in missing)]
    if to_extract:
        with _told(say, "pictures") as progress:
            entry.images(progress)
    for name in networks:
        if name in to_extract:
            with _told(say, "features", name) as progress:
                entry.build(name, progress=progress, again=again)
        if name not in needed or needed[name] not in missing:
            say({"built": name})


class _told:  # noqa: N801 - reads as the `with` that it is for
    """Says the progress of one stage, at most every `EVERY_S`, and its last word in any case."""

    def __init__(self, say: Say, stage: str, network: str = "") -> None:
        self._say, self._about = say, {"stage": stage, "network": network}
        self._said_s = -EVERY_S
        self._last: tuple[int, int] | None = None
        self._lock = threading.Lock()  # progress comes from any thread

    def __enter__(self) -> Progress:
        self._say({**self._about, "done": 0, "total": 0})
        return self._progress

    def __exit__(self, *_: object) -> None:
        if self._last is not None:
            self._say({**self._about, "done": self._last[0], "total": self._last[1]})

    def _progress(self, done: int, total: int) -> None:
        with self._lock:
            self._last = (done, total)
            now = time.monotonic()
            if now - self._said_s >= EVERY_S:
                self._said_s = now
                self._say({**self._about, "done": done, "total": total})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 built, 2 an error that is said, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m vfs_panel.catalog.building", description="Build a catalog entry.")
    parser.add_argument("file", type=Path, help="YAML file of the entry")
    parser.add_argument("--network", help="only this network; by default all of the entry's")
    parser.add_argument("--again", action="store_true", help="throw away what is built and start anew")
    asked = parser.parse_args(arguments)
    if hasattr(os, "nice"):  # not on Windows, where the one who starts the process chooses
        os.nice(NICENESS)
    signal.signal(signal.SIGTERM, _stop)
    out, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is none of the lines
    lock = threading.Lock()

    def say(line: dict[str, object]) -> None:
        with lock:
            _write(out, line)

    try:
        entry = read_entry(asked.file)
        names = [entry.network(asked.network).name] if asked.network else [each.name for each in entry.networks]
        build(entry, names, say, again=asked.again)
    except VFSError as error:
        say({"failed": " ".join(str(error).split())})
        return _FAILED
    except MemoryError:
        say({"failed": "Memory is full. Close other programs, or set VFS_BATCH_SIZE to less, and try again."})
        return _FAILED
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        say({"failed": f"The system refused{where}: {error.strerror or error}. Check rights and free space."})
        return _FAILED
    except KeyboardInterrupt:
        return _STOPPED
    return 0


def _write(out: TextIO, line: dict[str, object]) -> None:
    try:
        out.write(json.dumps(line) + "\n")
        out.flush()
    except BrokenPipeError:  # the server is gone: what it asked for is not wanted any more
        os._exit(_STOPPED)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
