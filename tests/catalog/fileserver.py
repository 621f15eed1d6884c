"""A web server with one file, and all that real ones do wrong."""

import re
import threading
from contextlib import suppress

from tests.features.servers import Handler

__all__ = ["OneFile"]


class OneFile(Handler):
    """Gives `data` at any address; each test sets on its own subclass how.

    Attributes
    ----------
    etag, modified : headers that say which version the file is.
    ranges : whether it knows Range.
    if_range : whether it heeds If-Range, or sends the rest of whatever it has by now.
    cuts : after how many bytes each of the first answers breaks off.
    statuses : what the first requests are answered with instead.
    location : where the first request is redirected to.
    chunked : whether no length is announced.
    length : what is announced, if it is not the truth.
    hold : after how many bytes an answer waits for `go`.
    headers_seen : of every request.
    """

    data = b""
    etag = modified = location = ""
    if_range, chunked = True, False
    length: int | None = None
    hold: int | None = None
    cuts: list[int]
    statuses: list[int]
    headers_seen: list[dict[str, str]]
    go: threading.Event

    def give(self) -> None:
        self.asked.append((self.path, self.headers.get("Range", "")))
        self.headers_seen.append(dict(self.headers))
        if self.location and len(self.asked) == 1:
            self.answer(302, b"", {"Location": self.location})
        elif self.statuses:
            self.answer(self.statuses.pop(0), b"no", {"Retry-After": "0"})
        else:
            self.send_file()

    def send_file(self) -> None:
        start = self.start()
        if start is not None and start >= len(self.data):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(self.data)}"})
            return
        body = self.data[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        for name, value in (("ETag", self.etag), ("Last-Modified", self.modified)):
            if value:
                self.send_header(name, value)
        if self.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body) if self.length is None else self.length))
        self.end_headers()
        with suppress(ConnectionError):
            self.send_body(body)

    def send_body(self, body: bytes) -> None:
        if self.chunked:
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        elif self.cuts:
            self.wfile.write(body[: self.cuts.pop(0)])
            self.close_connection = True
        elif self.hold is not None:
            self.wfile.write(body[: self.hold])
            self.wfile.flush()
            self.go.wait(30)
            self.wfile.write(body[self.hold :])
        else:
            self.wfile.write(body)
            self.close_connection = self.length is not None

    def start(self) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if self.ranges else None
        validator = self.headers.get("If-Range")
        if found is None or (self.if_range and validator and validator not in (self.etag, self.modified)):
            return None
        return int(found[1])
