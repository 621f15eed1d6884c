"""Asks a web server for a file, or the rest of one: which version it has, how its refusals are said, its bytes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from vfs_panel import __version__
from vfs_panel.errors import CatalogError
from vfs_panel.words import shown

_CONNECT_S, _SILENT_S = 30.0, 60.0  # how long to wait for a server, and for its next bytes
_PIECE_BYTES = 64 << 10  # of one read: what a kill can lose, too
_REDIRECTS = 10
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNTRUSTED = frozenset({"SSLError", "SSLCertVerificationError"})
_HOPELESS = _UNTRUSTED | {"InvalidURL", "InvalidSchema", "LocationParseError"}
_UNREACHABLE = frozenset({"ConnectionRefusedError", "gaierror"})  # hopeless unless it answered a moment ago


class CutError(Exception):
    """A try that failed, and may do better a moment later.

    Parameters
    ----------
    what : what was the matter, to follow the address: "is busy".
    wait_s : how long the server wants to be left alone.
    """

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Version:
    """Which version of a file some bytes are of, as far as the server says.

    Attributes
    ----------
    url : without password or token.
    total : bytes of the whole file, None if not announced.
    """

    url: str
    etag: str = ""
    modified: str = ""
    total: int | None = None

    @property
    def validator(self) -> str:
        """What If-Range may carry: a weak ETag may not."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def same(self, other: "Version") -> bool:
        """Whether nothing says that these are two versions."""
        pairs = ((self.etag, other.etag), (self.modified, other.modified), (self.total, other.total))
        return all(not mine or not its or mine == its for mine, its in pairs)


class Source:
    """One file on a web server.

    Parameters
    ----------
    url : http:// or https://.
    by_hand : where a person may put the file instead, for messages.

    Raises
    ------
    CatalogError
        If the address is of another kind.
    """

    def __init__(self, url: str, by_hand: Path) -> None:
        if urlsplit(url).scheme.lower() not in ("http", "https") or not urlsplit(url).hostname:
            name = shown(url) if "://" in url else repr(url)
            raise CatalogError(f"{name} is no address of the web. Give one that starts with https:// or http://.")
        self.name = shown(url)
        self._url, self._answered = url, False
        self._by_hand = f"or load the file by other means and put it at {by_hand}"

    def ask(self, session: requests.Session, have: int, version: Version | None) -> requests.Response:
        """Ask for the file, or for what follows the first `have` bytes of a version of it.

        Returns
        -------
        requests.Response
            Of status 200, 206 or 416; its body is not read yet.

        Raises
        ------
        CutError, CatalogError
        """
        headers = {"Accept-Encoding": "identity", "User-Agent": f"vfs_panel/{__version__}"}
        if have and version is not None:
            headers["Range"] = f"bytes={have}-"
            if version.validator:
                headers["If-Range"] = version.validator
        response = self._followed(session, headers)
        self._answered = True
        if response.status_code not in ((200, 206, 416) if have else (200,)):
            with response:
                self._refuse(response)
        return response

    def _followed(self, session: requests.Session, headers: dict[str, str]) -> requests.Response:
        """Follow redirects that stay on the web; none of their bodies is read."""
        url = self._url
        for _ in range(_REDIRECTS):
            try:
                response = session.get(
                    url, headers=headers, stream=True, timeout=(_CONNECT_S, _SILENT_S), allow_redirects=False
                )
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise self._failed(error) from None
            if not response.is_redirect:
                return response
            response.close()
            was, url = url, urljoin(url, response.headers["Location"])
            scheme = urlsplit(url).scheme.lower()
            if scheme not in (urlsplit(was).scheme.lower(), "https"):
                raise CatalogError(
                    f"{shown(was)} leads to another kind of address ({scheme}:), which is not followed. Look for a "
                    f"newer address of the file, {self._by_hand}."
                )
        raise CatalogError(
            f"{self.name} leads from address to address without end. Look for a newer one, {self._by_hand}."
        )

    def _failed(self, error: Exception) -> Exception:
        """Return what a connection that could not be made is to raise."""
        from vfs_panel.features.unreachable import explain

        what, kinds = explain(error).what, _kinds(error)
        if not (kinds & _HOPELESS or (kinds & _UNREACHABLE and not self._answered)):
            return CutError(what)
        mend = "Check the address and the network; behind a proxy, set HTTPS_PROXY."
        if kinds & _UNTRUSTED:
            mend = "Set REQUESTS_CA_BUNDLE to the file of the authority that signed it."
        return CatalogError(f"{self.name} {what}. {mend}")

    def _refuse(self, response: requests.Response) -> None:
        """Say what an answer without the file means.

        Raises
        ------
        CutError, CatalogError
        """
        status = response.status_code
        if status in _BUSY:
            later = response.headers.get("Retry-After", "")
            raise CutError(f"is busy (status {status})", float(later) if later.isdigit() else 0.0)
        if status in (401, 403):
            raise CatalogError(
                f"{self.name} may not be read without an account (status {status}). Put its name and password into "
                f"~/.netrc, {self._by_hand}."
            )
        if status in (404, 410):
            raise CatalogError(
                f"{self.name} is not there (status {status}). Look for a newer address, {self._by_hand}."
            )
        raise CatalogError(
            f"{self.name} was answered by status {status}, not by a file. Try again later, {self._by_hand}."
        )

    def version(self, response: requests.Response) -> Version:
        """Return which version of the file an answer is about."""
        headers = response.headers
        if response.status_code == 200:
            length = headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        else:
            found = re.search(r"/(\d+)\s*$", headers.get("Content-Range", ""))
            total = int(found[1]) if found else None
        return Version(self.name, headers.get("ETag", ""), headers.get("Last-Modified", ""), total)


def first_byte(response: requests.Response) -> int | None:
    """Return where in the file a part begins; None where the server does not say."""
    found = re.match(r"\s*bytes\s+(\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield the file's own bytes; what a server packs unasked is not unpacked.

    Raises
    ------
    CutError
    """
    try:
        yield from response.raw.stream(_PIECE_BYTES, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        from vfs_panel.features.unreachable import explain

        raise CutError(explain(error).what) from None


def _kinds(error: BaseException | None) -> set[str]:
    """Return the names of an error's classes, and of those that caused it."""
    names: set[str] = set()
    for _ in range(8):
        if error is None:
            break
        names |= {kind.__name__ for kind in type(error).__mro__}
        error = error.__cause__ or error.__context__
    return names
