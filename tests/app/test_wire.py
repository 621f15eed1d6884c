"""On a real server, the socket of a page that connects is told to send at once."""

import socket
import threading
import time
from contextlib import suppress
from typing import Any

import panel as pn
import pytest
from bokeh.client import pull_session

from vfs_panel.app.wire import without_delay
from vfs_panel.cli.serving import free_port


@pytest.mark.filterwarnings("default")
def test_a_page_that_is_connected_gets_small_messages_at_once() -> None:
    told: list[tuple[int, list[int]]] = []
    connected = threading.Event()

    def page() -> Any:
        document = pn.state.curdoc

        def look() -> None:
            n = without_delay(document)
            connections = document.session_context.session._subscribed_connections
            sockets = [connection._socket.ws_connection.stream.socket for connection in connections]
            told.append((n, [s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in sockets]))
            if n:
                connected.set()

        document.add_periodic_callback(look, 50)
        return pn.Column()

    port = free_port(0, "localhost")
    server = pn.serve(page, port=port, show=False, threaded=True, verbose=False)
    try:
        for _ in range(100):  # until the thread serves
            with suppress(OSError), socket.create_connection(("localhost", port), 1):
                break
            time.sleep(0.05)
        session = pull_session(url=f"http://localhost:{port}/")
        assert connected.wait(10)
        session.close()
    finally:
        server.stop()
    assert next(values for n, values in told if n) == [1]


def test_without_a_server_nothing_is_done() -> None:
    assert without_delay(None) == without_delay(pn.Column().get_root().document) == 0
