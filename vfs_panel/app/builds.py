"""Builds of catalog entries that pages asked for: one at a time, each in a process of its own, seen by every page.

A build belongs to the server, not to a page: it goes on when the page is closed, and ends with the server. However it
ends, what is done is kept, and the next build of the same entry goes on there.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal
from weakref import WeakMethod

from vfs_panel.settings import settings

logger = logging.getLogger(__name__)

Phase = Literal["waiting", "running", "stopping", "done", "failed", "cancelled"]
GRACE_S = 5.0  # after a build was told to stop, before it is killed
_RATE_S = 20.0  # the rate is that of so long
_LOG_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Build:
    """One build as it stands.

    Attributes
    ----------
    file : YAML file of the entry; it tells builds apart.
    title : of the entry.
    networks : what is built, in order.
    owner : who asked for it.
    phase : of its life.
    built : networks that are whole by now.
    stage : "fetch" (counted in bytes), "pictures" or "features"; "" before the first.
    network : whose features are computed.
    done, total : of the stage; 0 of 0 while that is not known.
    rate : of `done`, a second; 0 while that is not known.
    again : whether what was there is thrown away first.
    error : why it failed, as sentences.
    """

    file: Path
    title: str
    networks: tuple[str, ...]
    owner: str
    phase: Phase = "waiting"
    built: tuple[str, ...] = ()
    stage: str = ""
    network: str = ""
    done: int = 0
    total: int = 0
    rate: float = 0.0
    again: bool = False
    error: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it runs, waits for its turn, or has not ended yet though it was told to."""
        return self.phase in ("waiting", "running", "stopping")

    @property
    def left_s(self) -> float | None:
        """Seconds that the stage will still take, None while that is not known."""
        return (self.total - self.done) / self.rate if self.rate > 0 and self.total else None


@dataclass(slots=True)
class _Job:
    """A build with what drives it."""

    build: Build
    process: "subprocess.Popen[str] | None" = None
    cancelled: bool = False
    seen: "deque[tuple[float, int]]" = field(default_factory=deque)  # (time, done) of the last `_RATE_S`


class Builds:
    """All builds of a server. Safe to call from any thread.

    Parameters
    ----------
    command : starts a build; what it is called with is documented in `vfs_panel.catalog.building`.
    """

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "vfs_panel.catalog.building")) -> None:
        self._command = tuple(command)
        self._lock = threading.RLock()
        self._jobs: dict[Path, _Job] = {}  # the latest of each entry, in the order they were asked for
        self._listeners: list[WeakMethod[Callable[[], None]]] = []
        self._worker: threading.Thread | None = None

    # --- what there is ------------------------------------------------------------------------------------------

    def of(self, file: Path) -> Build | None:
        """Return the latest build of an entry."""
        with self._lock:
            job = self._jobs.get(file)
            return job.build if job is not None else None

    def all(self) -> list[Build]:
        """Return the latest build of every entry that was asked for, the oldest first."""
        with self._lock:
            return [job.build for job in self._jobs.values()]

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a bound method at every change, from any thread, as long as its object lives."""
        with self._lock:
            self._listeners.append(WeakMethod(listener))

    # --- asking -------------------------------------------------------------------------------------------------

    def ask(self, file: Path, title: str, networks: Sequence[str], *, owner: str, again: bool = False) -> Build:
        """Build an entry as soon as those asked for earlier are done; what is under way already is left as it is."""
        with self._lock:
            job = self._jobs.get(file)
            if job is not None and job.build.is_active:
                return job.build
            self._jobs.pop(file, None)
            job = self._jobs[file] = _Job(Build(file, title, tuple(networks), owner, again=again))
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="vfs-builds", daemon=True)
                self._worker.start()
            asked = job.build
        self._tell()
        return asked

    def cancel(self, file: Path) -> None:
        """Stop a build, or take it out of the line; what is done is kept."""
        with self._lock:
            job = self._jobs.get(file)
            if job is None or not job.build.is_active:
                return
            job.cancelled = True
            process, waits = job.process, job.build.phase == "waiting"
            job.build = replace(job.build, phase="cancelled" if waits else "stopping")
        if process is not None:
            process.terminate()
            threading.Timer(GRACE_S, _kill, (process,)).start()
        self._tell()

    def forget(self, file: Path) -> None:
        """Drop what is known of an entry's build that is over."""
        with self._lock:
            job = self._jobs.get(file)
            if job is None or job.build.is_active:
                return
            del self._jobs[file]
        self._tell()

    def close(self) -> None:
        """Stop all builds, and wait until they are stopped."""
        for build in self.all():
            self.cancel(build.file)
        with self._lock:
            worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join(2 * GRACE_S)

    # --- doing --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Do what waits, one after another; ends when nothing does."""
        while True:
            with self._lock:
                job = next((job for job in self._jobs.values() if job.build.phase == "waiting"), None)
                if job is None:
                    self._worker = None
                    return
                job.build = replace(job.build, phase="running")
            self._tell()
            try:
                error = self._run(job)
            except Exception as problem:  # a bug in one build must not end those that wait
                logger.exception("A build failed")
                error = f"{type(problem).__name__}: {problem}."
            with self._lock:
                phase: Phase = "cancelled" if job.cancelled else "failed" if error else "done"
                job.build = replace(job.build, phase=phase, error="" if job.cancelled else error, rate=0.0)
                job.process = None
            self._tell()

    def _run(self, job: _Job) -> str:
        """Run a build to its end and return why it failed, "" if it did not."""
        build = job.build
        one = ["--network", build.networks[0]] if len(build.networks) == 1 else []
        command = [*self._command, str(build.file), *one, *(["--again"] if build.again else [])]
        with tempfile.TemporaryFile("w+") as log:
            process = _start(command, log)
            with self._lock:
                job.process = process
                if job.cancelled:
                    process.terminate()
            failed = ""
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    failed = self._hear(job, line) or failed
            code = process.wait()
            if code == 0 or job.cancelled:
                return ""
            if not failed:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_BYTES))
                logger.error("The build of %s ended with code %d:\n%s", build.file, code, log.read())
            return failed or _ended(code)

    def _hear(self, job: _Job, line: str) -> str:
        """Take one line of a build, and return the error that it says, if any."""
        try:
            said = json.loads(line)
        except ValueError:
            return ""
        if not isinstance(said, dict):
            return ""
        with self._lock:
            build = job.build
            if "built" in said:
                job.build = replace(build, built=(*build.built, str(said["built"])))
            elif "stage" in said:
                job.build = self._progressed(job, said)
        self._tell()
        return str(said.get("failed", ""))

    def _progressed(self, job: _Job, said: dict[str, Any]) -> Build:
        build, stage, network = job.build, str(said["stage"]), str(said.get("network", ""))
        done, total, now = int(said.get("done", 0)), int(said.get("total", 0)), time.monotonic()
        if (stage, network) != (build.stage, build.network):
            job.seen.clear()
        if total:  # what an earlier build has done already does not count into the rate: the clock starts here
            job.seen.append((now, done))
        while len(job.seen) > 2 and now - job.seen[0][0] > _RATE_S:
            job.seen.popleft()
        rate = 0.0
        if len(job.seen) > 1 and now > job.seen[0][0]:
            rate = max(0.0, (done - job.seen[0][1]) / (now - job.seen[0][0]))
        return replace(build, stage=stage, network=network, done=done, total=total, rate=rate)

    def _tell(self) -> None:
        with self._lock:
            listeners = [(each, each()) for each in self._listeners]
            self._listeners = [each for each, method in listeners if method is not None]
        for _, method in listeners:
            if method is not None:
                method()


BUILDS = Builds()
"""Those of this server."""

_outside = False


def listen_outside(outside: bool) -> None:
    """Say whether other machines than this one may reach the server's pages."""
    global _outside  # noqa: PLW0603 - one server per process
    _outside = outside


def allowed() -> bool:
    """Whether pages may start builds: as VFS_BUILDS says, and else only where no other machine reaches them."""
    chosen = settings().builds
    return not _outside if chosen is None else chosen


def _start(command: list[str], log: IO[str]) -> "subprocess.Popen[str]":
    """Start a build, out of reach of the terminal's Ctrl-C: the server ends it in its own time."""
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8", **options
    )


def _kill(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.kill()


def _ended(code: int) -> str:
    if code in (-9, 137):
        return "The build was killed, perhaps because memory ran out. What is done is kept."
    return f"The build ended unexpectedly, with code {code}; the log of the server says why. What is done is kept."
