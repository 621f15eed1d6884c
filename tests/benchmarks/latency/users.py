"""Many people at once, without browsers: `python -m tests.benchmarks.latency.users URL --users 19`.

Each opens the page as a browser does, speaks Bokeh's protocol over a WebSocket of his own, and receives every message
that a browser would. He draws by the page's `vfs-pen`, 33 points a second, and sends them as often as the canvas would,
in strokes of 3 s with a pause after each. What is told is the time from a point of the pen to receiving the result of a
drawing with this point.
"""

import argparse
import asyncio
import html
import json
import math
import re
import time
from typing import Any

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.benchmarks.latency.server import SIDE
from vfs_panel.app.canvas import LIVE_MS, LONGEST_MS

EVERY_S, STROKE_S, PAUSE_S = 0.03, 3.0, 1.5


class User:
    """One client of the server."""

    def __init__(self, url: str, number: int) -> None:
        self.url, self.number = url, number
        self.sent: list[tuple[float, float]] = []  # x, when
        self.waits: list[float] = []
        self.exact: list[float] = []
        self.first: list[float] = []
        self.received = self.results = self.foreign = 0
        self.up_at = self.asked_at = 0.0
        self.ahead: list[float] = []
        self._ids: dict[str, str] = {}
        self._socket: WebSocketClientConnection | None = None
        self._count = 0
        self._listening: asyncio.Task[None] | None = None

    @property
    def picture(self) -> str:
        """The picture that this user paints on."""
        return f"{self.number:07d}"

    async def open(self) -> None:
        """Load the page, connect, and say that the page is there."""
        reply = await AsyncHTTPClient().fetch(f"{self.url}?robot={self.number}", request_timeout=120)
        found = re.search(r'"token":\s*"([^"]+)"', html.unescape(reply.body.decode()))
        assert found is not None, "the page has no token"
        ws = f"{self.url.replace('http', 'ws', 1)}ws"
        self._socket = await websocket_connect(
            ws, subprotocols=["bokeh", found[1]], max_message_size=1 << 28, connect_timeout=120
        )
        await self._message()  # the server's greeting
        self._send("PULL-DOC-REQ", {})
        reply_type, content = await self._message()
        while reply_type != "PULL-DOC-REPLY":
            reply_type, content = await self._message()
        self._ids = dict(_sources(json.loads(content)))
        ready = {"type": "event", "name": "document_ready", "values": {"type": "map"}}
        self._patch({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": ready})
        self._listening = asyncio.create_task(self._listen())

    def close(self) -> None:
        """Leave."""
        if self._socket is not None:
            self._socket.close()

    async def dab(self) -> None:
        """Paint a dot and wait for its exact result."""
        self.up_at = time.perf_counter()
        self._set_pen([30.0], [30.0], down=0)
        for _ in range(1000):
            if self.exact:
                break
            await asyncio.sleep(0.02)
        self.first = list(self.exact)
        self.exact.clear()
        self.results = 0

    async def draw(self, strokes: int, delay: float = 0.0) -> None:
        """Draw strokes to the right, each at another height."""
        await asyncio.sleep(delay)
        for stroke in range(strokes):
            xs, ys = [], []
            count = int(STROKE_S / EVERY_S)
            self.sent, start = [], time.perf_counter()
            for step in range(count):
                await asyncio.sleep(max(0.0, start + step * EVERY_S - time.perf_counter()))
                xs.append(SIDE * (0.15 + 0.7 * step / count))
                ys.append(SIDE * (0.5 + 0.25 * math.sin(self.number + stroke + 5 * step / count)))
                now = time.perf_counter()
                self.sent.append((xs[-1], now))
                if now - self.asked_at > (LIVE_MS if len(self.ahead) < 2 else LONGEST_MS) / 1e3:
                    self._set_pen(xs, ys, down=1)
            self.up_at = time.perf_counter()
            self._set_pen(xs, ys, down=0)
            self.sent = []
            await asyncio.sleep(PAUSE_S)

    def _set_pen(self, xs: list[float], ys: list[float], *, down: int) -> None:
        self.ahead = [*self.ahead, xs[-1]] if down else []
        self.asked_at = time.perf_counter()
        entries = [["x", xs], ["y", ys], ["down", [down] * len(xs)]]
        new = {"type": "map", "entries": entries}
        self._patch({"kind": "ModelChanged", "model": {"id": self._ids["vfs-pen"]}, "attr": "data", "new": new})

    async def _listen(self) -> None:
        mark = f'"{self._ids["vfs-probe"]}"'
        while True:
            kind, content = await self._message()
            if not kind:
                return
            if kind == "PATCH-DOC" and mark in content:
                for event in json.loads(content)["events"]:
                    if event.get("model", {}).get("id") == self._ids["vfs-probe"]:
                        columns = event["data"] if "data" in event else event["new"]
                        self._result({name: value[0] for name, value in columns["entries"]})

    def _result(self, said: dict[str, Any]) -> None:
        now = time.perf_counter()
        self.ahead = [x for x in self.ahead if x > said["x"] + 0.01]
        self.results += 1
        self.foreign += said["of"] != self.picture
        if said["exact"]:
            if self.up_at:
                self.exact.append(1e3 * (now - self.up_at))
                self.up_at = 0.0
            return
        self.waits += [1e3 * (now - at) for x, at in self.sent if x <= said["x"] + 0.01]
        self.sent = [(x, at) for x, at in self.sent if x > said["x"] + 0.01]

    def _patch(self, event: dict[str, Any]) -> None:
        self._send("PATCH-DOC", {"events": [event]})

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        assert self._socket is not None
        self._count += 1
        header = {"msgid": f"{self.number}-{self._count}", "msgtype": kind}
        for part in (header, {}, content):
            self._socket.write_message(json.dumps(part))

    async def _message(self) -> tuple[str, str]:
        """Read one message with all its buffers; ("", "") when the server has closed."""
        header = await self._frame()
        if not isinstance(header, str):
            return "", ""
        await self._frame()
        content = await self._frame()
        said = json.loads(header)
        for _ in range(2 * said.get("num_buffers", 0)):
            await self._frame()
        return str(said["msgtype"]), str(content)

    async def _frame(self) -> str | bytes | None:
        assert self._socket is not None
        frame = await self._socket.read_message()
        self.received += len(frame or "")
        return frame


def _sources(found: Any) -> list[tuple[str, str]]:
    """Return (name, id) of the named data sources of a document."""
    pairs: list[tuple[str, str]] = []
    if isinstance(found, dict):
        name = found.get("attributes", {}).get("name") if isinstance(found.get("attributes"), dict) else None
        if name in ("vfs-pen", "vfs-probe"):
            pairs.append((name, found["id"]))
        for value in found.values():
            pairs += _sources(value)
    elif isinstance(found, list):
        for value in found:
            pairs += _sources(value)
    return pairs


async def crowd(url: str, users: int, *, strokes: int, stay_s: float = 0.0, first: int = 100) -> dict[str, Any]:
    """Open pages one after another, draw at once, and say what was waited for."""
    everyone = [User(url, first + i) for i in range(users)]
    for user in everyone:
        await user.open()
    for user in everyone:  # their figures are drawn with the first result
        await user.dab()
    await asyncio.sleep(2)
    print(json.dumps({"open": users}), flush=True)
    start = time.perf_counter()
    await asyncio.gather(*(user.draw(strokes, delay=0.2 * i) for i, user in enumerate(everyone)))
    took = time.perf_counter() - start
    await asyncio.sleep(stay_s)
    said = {
        "waits": [wait for user in everyone for wait in user.waits],
        "exact": [wait for user in everyone for wait in user.exact],
        "first": [wait for user in everyone for wait in user.first],
        "results_each": [user.results for user in everyone],
        "foreign": sum(user.foreign for user in everyone),
        "megabytes": sum(user.received for user in everyone) / 1e6,
        "seconds": took,
    }
    for user in everyone:
        user.close()
    return said


def main() -> None:
    """Run a crowd and print what it says as JSON, after a line that says that all pages are open."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--users", type=int, default=19)
    parser.add_argument("--strokes", type=int, default=3)
    parser.add_argument("--stay", type=float, default=0.0, help="seconds to stay on after drawing")
    parser.add_argument("--first", type=int, default=100, help="number of the first user's picture")
    options = parser.parse_args()
    run = crowd(options.url, options.users, strokes=options.strokes, stay_s=options.stay, first=options.first)
    print(json.dumps(asyncio.run(run)), flush=True)


if __name__ == "__main__":
    main()
