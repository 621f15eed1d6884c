"""Servers on this machine that a far store can lie on: plain HTTP(S), with what real ones do wrong, and S3."""

import base64
import functools
import http.server
import re
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with ranges, as every web server gives them; no listing of folders.

    Attributes
    ----------
    ranges : whether it knows them.
    asked : (path, Range header) of every request.
    most : how many were under way at once.
    wrong : part of a path -> "cut" in the middle, or the status to answer with.
    token, password : what the address, or the request, must bring.
    """

    protocol_version = "HTTP/1.1"
    ranges = True
    token = password = ""
    asked: list[tuple[str, str]]
    wrong: dict[str, str]
    counting = threading.Lock()
    under_way = most = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        own = type(self)
        with own.counting:
            own.under_way += 1
            own.most = max(own.most, own.under_way)
        try:
            self.give()
        finally:
            with own.counting:
                own.under_way -= 1

    def give(self) -> None:
        wanted = self.headers.get("Range", "")
        self.asked.append((self.path, wanted))
        what = next((what for part, what in self.wrong.items() if part in self.path), "")
        file = Path(self.directory) / self.file_of(self.path)
        status = self.status(what, file)
        if status:
            self.answer(status, b"no")
            return
        total, headers = file.stat().st_size, {}
        found = re.match(r"bytes=(\d+)-(\d*)", wanted) if self.ranges else None
        start = int(found[1]) if found else 0
        stop = int(found[2]) + 1 if found and found[2] else total
        with open(file, "rb") as stream:
            stream.seek(start)
            data = stream.read(max(0, stop - start))
        if found:
            headers["Content-Range"] = f"bytes {start}-{start + len(data) - 1}/{total}"
        self.answer(206 if found else 200, data, headers, cut=what == "cut")

    def status(self, what: str, file: Path) -> int:
        """The status to refuse with, or 0."""
        if what.isdigit():
            return int(what)
        if self.token and parse_qs(urlsplit(self.path).query).get("token") != [self.token]:
            return 403
        if (
            self.password
            and self.headers.get("Authorization", "")
            != "Basic " + base64.b64encode(f"me:{self.password}".encode()).decode()
        ):
            return 401
        return 0 if file.is_file() else 404

    def file_of(self, path: str) -> str:
        return unquote(urlsplit(path).path).lstrip("/")

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True


class GoogleHandler(Handler):
    """Objects of one bucket as Google Cloud Storage gives them, to anyone."""

    def file_of(self, path: str) -> str:
        found = re.match(r"/download/storage/v1/b/bucket/o/([^?]*)", path)
        return unquote(found[1]) if found else "nothing"


class Servers:
    """Starts servers, and stops them all."""

    def __init__(self) -> None:
        self._stops: list[Callable[[], object]] = []

    def http(
        self, root: Path, *, tls: ssl.SSLContext | None = None, handler: type[Handler] = Handler, **options: Any
    ) -> tuple[str, type[Handler]]:
        """Serve a folder; return the address and the handler, whose `asked` and `wrong` are the server's own."""
        own = type("Own", (handler,), {"asked": [], "wrong": {}, **options})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(own, directory=str(root)))
        server.daemon_threads, server.block_on_close = True, False
        server.handle_error = lambda *_: None  # type: ignore[method-assign] - a client that does not trust us hangs up
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self._stops += [server.server_close, thread.join, server.shutdown]
        return f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", own

    def s3(self, root: Path, bucket: str) -> str:
        """Put all files below a folder into a bucket of an S3 server; return its address."""
        import boto3
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        self._stops.append(server.stop)
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=address, aws_access_key_id="k", aws_secret_access_key="s",
                              region_name="us-east-1")  # fmt: skip
        client.create_bucket(Bucket=bucket)
        for file in root.rglob("*"):
            if file.is_file():
                client.put_object(Bucket=bucket, Key=file.relative_to(root).as_posix(), Body=file.read_bytes())
        client.close()
        return address

    def stop(self) -> None:
        """Stop them all."""
        while self._stops:
            self._stops.pop()()
