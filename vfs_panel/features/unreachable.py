"""What goes wrong with a far store, in words. Libraries' own messages are not shown: they may hold keys and tokens."""

import errno
import os
import re
from collections.abc import Iterator

from vfs_panel.features.files import UnreadableError

_AGAIN = "Try again."
_EXTRA = "Install it: pip install 'vfs_panel[remote]'"
_CHECK = "Check the address and the network."
_CREDENTIALS = (
    "Set the credentials that the service looks for in the environment, or give storage_options; for a public bucket "
    "of S3 {'anon': True}, of Google {'token': 'anon'}."
)
# Names of error classes of aiohttp, botocore, google-auth and Python, which need not be installed.
_KINDS = {
    "NoCredentialsError PartialCredentialsError DefaultCredentialsError RefreshError TokenRetrievalError": (
        "cannot be read: no credentials were found", _CREDENTIALS,
    ),
    "ClientConnectorCertificateError ClientConnectorSSLError SSLCertVerificationError SSLError": (
        "cannot be read: the server's certificate is not trusted",
        "Set SSL_CERT_FILE to the file of the authority that signed it.",
    ),
    "ClientPayloadError ServerDisconnectedError IncompleteRead IncompleteReadError ResponseStreamingError "
    "ConnectionClosedError ConnectionResetError BrokenPipeError ProtocolError": (
        "cannot be read: the connection was cut", _AGAIN,
    ),
    "ClientConnectorError EndpointConnectionError ConnectTimeoutError ConnectionTimeoutError ConnectionRefusedError "
    "gaierror ProxyConnectionError ClientProxyConnectionError": ("cannot be reached", _CHECK),
    "TimeoutError FSTimeoutError ReadTimeoutError": ("cannot be read: the server was silent for too long", _AGAIN),
}  # fmt: skip
_DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AllAccessDisabled")
_BUSY = ("SlowDown", "InternalError", "ServiceUnavailable")


def explain(error: BaseException) -> UnreadableError:
    """Return what an error of a file system means, and what to do about it."""
    links = list(_links(error))
    kinds = {kind.__name__ for link in links for kind in type(link).__mro__}
    status = next(filter(None, map(_status, links)), 0)
    reason = next(filter(None, map(_reason, links)), "")
    found = _by_answer(error, status, reason)
    if found is None:
        found = next((words for names, words in _KINDS.items() if kinds & set(names.split())), None)
    if found is None and isinstance(error, OSError) and error.errno:
        found = f"cannot be read ({os.strerror(error.errno)})", _CHECK
    if found is None:
        words = ", ".join(str(word) for word in (type(error).__name__, reason, status) if word)
        found = f"cannot be read ({words})", "Check the address, the network and storage_options."
    return UnreadableError(*found)


def _by_answer(error: BaseException, status: int, reason: str) -> tuple[str, str] | None:
    """Go by what the server answered, or the file system made of it; None where neither says enough."""
    denied = status in (401, 403) or reason.startswith(_DENIED) or isinstance(error, PermissionError)
    answers = {
        ("is in no bucket that exists", "Check the address."): reason == "NoSuchBucket",
        (f"may not be read with these credentials ({reason or status or 'denied'})", _CREDENTIALS): denied,
        ("is missing", ""): isinstance(error, FileNotFoundError) or status == 404,
        ("ends too early", ""): status == 416 or reason == "InvalidRange",
        (f"cannot be read: the server is in trouble ({reason or status})", _AGAIN): (
            status >= 500 or status == 429 or reason in _BUSY
        ),
        ("cannot be read: the connection was cut", _AGAIN): (
            isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE)
        ),
        (f"needs the package {getattr(error, 'name', None) or 'of its file system'}", _EXTRA): (
            isinstance(error, ImportError)
        ),
        ("has a scheme that is not known", "Use a folder, or s3://, gs:// or https://."): (
            isinstance(error, ValueError) and str(error).startswith("Protocol not known")
        ),
    }
    return next((words for words, holds in answers.items() if holds), None)


def _links(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it."""
    for _ in range(8):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    """Return the HTTP status that an error of aiohttp, gcsfs or botocore carries, or 0."""
    found = getattr(error, "status", None) or getattr(error, "code", None)
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode", found)
    return int(found) if isinstance(found, int) or (isinstance(found, str) and found.isdigit()) else 0


def _reason(error: BaseException) -> str:
    """Return the code that S3 gives for an error, such as NoSuchBucket, or ""."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return ""
    code = str(response.get("Error", {}).get("Code", ""))
    return code if re.fullmatch(r"[A-Za-z]{3,40}", code) else ""
