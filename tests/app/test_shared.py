"""What sessions share is made once, kept within bounds, and not kept when making it failed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from vfs_panel.app.shared import Cache


def test_many_threads_make_a_value_once() -> None:
    cache, made, start = Cache(4), [], threading.Barrier(6)

    def get(_: int) -> object:
        start.wait()
        return cache.get("key", lambda: made.append(1) or object())

    with ThreadPoolExecutor(6) as pool:
        values = list(pool.map(get, range(6)))
    assert len(made) == 1
    assert len(set(map(id, values))) == 1


def test_the_least_used_goes_first() -> None:
    cache = Cache(2)
    for key in "ab":
        cache.get(key, lambda key=key: key)
    cache.get("a", lambda: "never")
    cache.get("c", lambda: "c")
    assert cache.known("a") == "a"
    assert cache.known("b") is None


def test_a_failure_is_tried_again() -> None:
    cache = Cache(2)
    with pytest.raises(RuntimeError):
        cache.get("key", _fail)
    assert cache.get("key", lambda: 1) == 1


def _fail() -> object:
    raise RuntimeError
