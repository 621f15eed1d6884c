"""The server: a port that is free, only this machine's own origins, quick the second time, quiet on Ctrl-C."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from vfs_panel.cli.serving import free_port, origins
from vfs_panel.errors import ServeError

ROOT = Path(__file__).parents[2]


def test_a_free_port() -> None:
    port = free_port(0, "localhost")
    assert port > 0
    assert free_port(port, "localhost") == port


def test_a_port_of_another_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for address in ("127.0.0.1", "localhost", "0.0.0.0"):
            with pytest.raises(ServeError, match=f"Port {port} on {address} is taken"):
                free_port(port, address)


@pytest.mark.parametrize("address", ["no.such.host.invalid", "203.0.113.7"])
def test_an_address_of_another_machine(address: str) -> None:
    with pytest.raises(ServeError, match="none of this machine"):
        free_port(0, address)


def test_only_this_machine_by_its_names() -> None:
    assert origins(5006, "localhost") == ["localhost:5006", "127.0.0.1:5006"]
    outside = origins(5006, "0.0.0.0")
    assert f"{socket.gethostname()}:5006" in outside
    assert "0.0.0.0:5006" not in outside
    assert all("*" not in origin and origin.endswith(":5006") for origin in outside)


@pytest.fixture
def served(demo_cache: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`vfs-panel demo` on any free port, and its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "vfs_panel.cli", "demo", "--no-show", "--port", "0"],
        env=os.environ | {"VFS_CACHE_DIR": str(demo_cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        try:
            line = program.stdout.readline()
            found = re.search(r"http://localhost:\d+/", line)
            assert found, line
            yield program, found[0]
        finally:
            program.kill()


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first run prepares the demo
def test_the_demo_is_served(served: tuple[subprocess.Popen[str], str]) -> None:
    program, address = served
    with urllib.request.urlopen(address, timeout=30) as page:
        text = page.read().decode()
    assert "<title>vfs_panel</title>" in text
    # Nothing is fetched from elsewhere, so the explorer works without a network.
    assert not re.findall(r"""(?:src|href)=["'](https?:)?//""", text)

    upgrade = {
        "Origin": "http://elsewhere.example",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    connection = http.client.HTTPConnection("localhost", urllib.parse.urlsplit(address).port, timeout=30)
    connection.request("GET", "/ws", headers=upgrade)
    assert connection.getresponse().status == 403
    connection.close()

    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=30)
    assert program.returncode == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("Stopped.")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_panel_serves_the_app(demo_cache: Path) -> None:
    port = free_port(0, "localhost")
    with subprocess.Popen(
        [sys.executable, "-m", "panel", "serve", str(ROOT / "apps" / "explore.py"), "--port", str(port)],
        env=os.environ | {"VFS_CACHE_DIR": str(demo_cache)},
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        for line in program.stderr:
            if "app running at" in line:
                break
        with urllib.request.urlopen(f"http://localhost:{port}/explore", timeout=60) as page:
            assert "<title>vfs_panel</title>" in page.read().decode()
        program.terminate()
