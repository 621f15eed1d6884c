"""One file from a web server to a place on this machine: resumed where it was cut, checked, and put there whole.

While it is loaded, `NAME.part` and `NAME.part.json` lie beside the target: the bytes so far, and which version of the
file they are of (ETag, Last-Modified). Whatever stops the process, kill -9 too, the next call asks for the rest of
that same version, and starts anew if the server holds another one by now.

Made with requests, which Panel requires anyway: it knows proxies, certificates and netrc. Pooch, which would be the
usual choice, keeps nothing of a cut transfer, and the sets meant here have up to 40 GB.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import requests

from vfs_panel.catalog.space import full_disk_said, require_space
from vfs_panel.catalog.turns import own_turn
from vfs_panel.catalog.webfile import CutError, Source, Version, first_byte, pieces
from vfs_panel.disk import sync
from vfs_panel.errors import CatalogError

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

_WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # before each further try
_LONGEST_WAIT_S = 60.0  # where the server says when to come back
_WORTH_BYTES = 16 << 20  # a connection that brought so much does not count as a failed try
_WATCH_BYTES = 256 << 20  # how often the disk is looked at where nobody knows the file's size
_REPORT_S = 0.1
_KEPT = "What is loaded is kept: the same command goes on there."


def download(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Load a file, unless it is there already. The target appears whole and checked, or not at all.

    Parameters
    ----------
    url : str
        http:// or https://. Redirects are followed within that scheme, and from http to https.
    target : Path
        Where to put it. If a file is there, it is kept if size and hashes are right, and replaced otherwise.
    size : int, optional
        Its bytes; another length is refused.
    sha256, md5 : str, optional
        Its hashes, in hexadecimal. Only sha256 protects from a server that means harm.
    progress : callable, optional
        Called with bytes loaded and bytes in all (0 where nobody knows), also while another process loads the file.
        May raise to stop; what is loaded is kept.

    Returns
    -------
    Path
        The target.

    Raises
    ------
    CatalogError
        If the address is none of the web's, the server refuses or stays away, the file is not the expected one, or
        the disk is full; with what is kept and what to do.
    """
    task = _Task(url, target, size, {"sha256": sha256, "md5": md5}, _Reporter(progress))
    if target.is_dir():
        raise CatalogError(f"{target} is a folder, and a file is to be written there. Move it away.")
    if task.is_there():
        return target
    with own_turn(target, task.waiting):
        if not task.is_there():  # another process may just have finished
            task.load()
            task.install()
    return target


class _Reporter:
    """Calls a progress function ten times a second at most."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._last_s = 0.0

    def __call__(self, done: int, total: int | None, *, now: bool = False) -> None:
        if self._progress is not None and (now or time.monotonic() - self._last_s >= _REPORT_S):
            self._last_s = time.monotonic()
            self._progress(done, total or 0)


class _Task:
    """One download."""

    def __init__(
        self, url: str, target: Path, size: int | None, digests: dict[str, str | None], report: _Reporter
    ) -> None:
        self.source = Source(url, by_hand=target)
        self.name = self.source.name
        self.target, self.size, self.report = target, size, report
        self.digests = {kind: digest.strip().lower() for kind, digest in digests.items() if digest}
        self.part = target.with_name(f"{target.name}.part")
        self.notes = target.with_name(f"{target.name}.part.json")

    # What is there

    def is_there(self) -> bool:
        """Whether the target is there, and is the right file."""
        if not self.target.is_file():
            return False
        wrong = self._wrong(self.target)
        if wrong:
            logger.warning("%s is loaded anew: %s.", self.target, wrong)
        return not wrong

    def have(self) -> int:
        """Return the bytes of the part."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def _version(self) -> Version | None:
        """Return what the part is of; None where that is not known, or it is of another address."""
        try:
            version = Version(**json.loads(self.notes.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return version if version.url == self.name else None

    def waiting(self) -> None:
        """Show how far the process is that loads the file now."""
        self.report(self.have(), self.size)

    # Loading

    def load(self) -> None:
        """Bring all bytes into the part, in as many tries as are worth it.

        Raises
        ------
        CatalogError
        """
        if self.size is not None:
            require_space(self.target.parent, self.size - self.have(), what=self.name)
        failed = 0
        with requests.Session() as session:
            while True:
                before = self.have()
                try:
                    self._receive(session)
                    return
                except CutError as cut:
                    failed = 1 if self.have() - before >= _WORTH_BYTES else failed + 1
                    if failed > len(_WAITS_S):
                        raise CatalogError(self._given_up(str(cut), failed)) from None
                    logger.info("%s %s; trying again.", self.name, cut)
                    time.sleep(min(max(_WAITS_S[failed - 1], cut.wait_s), _LONGEST_WAIT_S))

    def _given_up(self, what: str, tries: int) -> str:
        kept = f" {_KEPT}" if self.have() else ""
        return f"{self.name} {what}, {tries} times in a row.{kept} Check the network, and try again later."

    def _receive(self, session: requests.Session) -> None:
        """Ask once, and write what comes.

        Raises
        ------
        CutError, CatalogError
        """
        have, version = self.have(), self._version()
        # Without a validator nothing says whether the file is still the same, except its hash in the end.
        if version is None or not (version.validator or self.digests) or have > (self.size or have):
            have = 0
        if have and have == self.size:
            return
        with self.source.ask(session, have, version) as response:
            answer = self.source.version(response)
            if response.status_code == 416 and have:
                if answer.total == have and version is not None and version.same(answer):
                    return  # the part is all there is
                self._forget()
                raise CutError("holds another version of the file by now")
            if response.status_code == 206 and have and version is not None:
                if first_byte(response) != have or not version.same(answer):
                    self._forget()  # a server that knows Range, but not If-Range
                    raise CutError("holds another version of the file by now")
            else:
                have = 0  # the whole file: the server knows no ranges, or the file has changed
            self._write(response, answer, have)

    def _write(self, response: requests.Response, version: Version, have: int) -> None:
        """Add what comes to the part, after the first `have` bytes of it.

        Raises
        ------
        CutError, CatalogError
        """
        if None not in (self.size, version.total) and self.size != version.total:
            # What is loaded stays: this may be the login page of some network in between.
            raise CatalogError(self._other(f"it has {version.total:,} bytes, expected {self.size:,}"))
        if not have:
            self._forget()
        limit = self.size if self.size is not None else version.total
        if limit is not None:
            require_space(self.target.parent, limit - have, what=self.name)
        with full_disk_said(self.part, kept=_KEPT):
            if not have:
                self.part.touch()
                self.notes.write_text(json.dumps(asdict(version)), "utf-8")
            stream = open(self.part, "ab")  # noqa: SIM115 - closed below, where a full disk may show too
        try:
            self.report(have, limit, now=True)
            for piece in pieces(response):
                if limit is not None and have + len(piece) > limit:
                    raise CatalogError(self._removed(f"more than the {limit:,} bytes come that were announced"))
                if limit is None and (have + len(piece)) // _WATCH_BYTES > have // _WATCH_BYTES:
                    require_space(self.target.parent, _WATCH_BYTES, what=self.name)
                with full_disk_said(self.part, kept=_KEPT):
                    stream.write(piece)
                have += len(piece)
                self.report(have, limit)
        finally:
            with full_disk_said(self.part, kept=_KEPT):
                stream.close()
        self.report(have, limit, now=True)
        if limit is not None and have < limit:
            if version.total is None and response.raw.chunked:  # whole, as the server sees it
                raise CatalogError(self._removed(f"it has {have:,} bytes, expected {limit:,}"))
            raise CutError("cannot be read: the connection was cut")

    # Checking

    def install(self) -> None:
        """Check the part, and make it the target in one step.

        Raises
        ------
        CatalogError
            If it is not the expected file; the part is removed.
        """
        wrong = self._wrong(self.part)
        if wrong:
            raise CatalogError(self._removed(wrong))
        with full_disk_said(self.target, kept=_KEPT):
            sync(self.part)  # else the name could reach the disk before the bytes
            os.replace(self.part, self.target)
            sync(self.target.parent)
        self.notes.unlink(missing_ok=True)

    def _wrong(self, file: Path) -> str:
        """Return in which way a file is not the expected one; "" if it is."""
        size = file.stat().st_size
        if self.size is not None and size != self.size:
            return f"it has {size:,} bytes, expected {self.size:,}"
        for kind, expected in self.digests.items():
            with open(file, "rb") as stream:
                got = hashlib.file_digest(stream, kind).hexdigest()
            if got != expected:
                return f"its {kind} is {got}, expected {expected}"
        return ""

    def _removed(self, wrong: str) -> str:
        self._forget()
        return self._other(wrong, "Nothing was installed, and what was loaded is removed.")

    def _other(self, wrong: str, kept: str = "Nothing was installed.") -> str:
        return (
            f"{self.name} is not the file that was expected: {wrong}. {kept} Try again; if it stays so, the file has "
            "changed at its address: look for a newer entry."
        )

    def _forget(self) -> None:
        """Remove what is loaded: first the bytes, as they are worth nothing without the notes."""
        for file in (self.part, self.notes):
            with suppress(FileNotFoundError):
                file.unlink()
