"""Wire: small messages to a page leave at once."""

from typing import Any


def without_delay(document: Any) -> int:
    """Let the connections of a document's page send at once, and return to how many that was said.

    Bokeh writes each message in several pieces. A system that collects small pieces (Nagle's algorithm) holds the
    later ones back until the browser acknowledges the first, which browsers put off for up to 40 ms; that would be
    most of the wait for an answer. Without a server, as in a notebook, nothing is done.
    """
    session = getattr(getattr(document, "session_context", None), "session", None)
    told = 0
    for connection in list(getattr(session, "_subscribed_connections", ())):
        socket: Any = getattr(connection, "_socket", None)  # Tornado's handler of the WebSocket
        if getattr(socket, "ws_connection", None) is not None:
            socket.set_nodelay(True)
            told += 1
    return told
