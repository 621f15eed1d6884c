"""Sizes and addresses as people read them."""

import re


def size_words(n_bytes: float) -> str:
    """Return a size as people write it: 388 MB, 2.4 GB."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(n_bytes / 1e6, 1):.0f} MB"


def shown(url: str) -> str:
    """Return a URL without what is nobody else's business: user and password, query, fragment."""
    scheme, rest = url.split("://", 1)
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    user, at, bare = host.rpartition("@")
    # Azure's container@account is a place; the user of a web server may be a token.
    if at and (":" in user or scheme.lower() in ("http", "https")):
        host = bare
    return f"{scheme}://{host}{slash}{path}".rstrip("/")
