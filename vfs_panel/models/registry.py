"""Networks under names of one's own: registered in this process, or declared by an installed package.

A package declares a function that makes a Network in its pyproject.toml, and is found by the command line and the app:

    [project.entry-points."vfs_panel.networks"]
    my-net = "my_package.networks:make"

A script or a notebook registers one for itself:

    register_network("my-net", make)

No package is imported before its network is asked for.
"""

import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from vfs_panel.errors import NetworkError, VFSError
from vfs_panel.models.foreign import one_line
from vfs_panel.models.zoo import Network

GROUP = "vfs_panel.networks"
_made: dict[str, Callable[[], Network]] = {}
_lock = threading.Lock()


def register_network(name: str, make: Callable[[], Network], *, replace: bool = False) -> None:
    """Register a network under a name, for this process.

    Parameters
    ----------
    name : what `load_network` and `vfs-panel extract --model` will know it by.
    make : called each time it is loaded; returns a Network, for example of `network_from_function`.
    replace : whether a network registered before under this name gives way, as when a notebook's cell runs again.

    Raises
    ------
    NetworkError
        If the name is no name, or taken: by a bundled network, torchvision, a package or an earlier call.
    """
    from vfs_panel.models import zoo

    if not name or name != name.strip() or not name.isprintable() or any(c in name for c in "/\\"):
        raise NetworkError(f"{name!r} is no name for a network; give printable characters without slashes.")
    if not callable(make):
        raise NetworkError(
            f"{name} was to be registered with {type(make).__name__}; give a function without arguments."
        )
    with _lock:
        if name in _made:
            if not replace:
                raise NetworkError(f"A network {name!r} is registered already. Choose another name, or replace=True.")
        elif name in _declared() or name in zoo.network_names():
            raise NetworkError(f"There is a network {name!r} already. Choose another name.")
        _made[name] = make


def unregister_network(name: str) -> None:
    """Forget a network that was registered in this process; nothing happens if there is none."""
    with _lock:
        _made.pop(name, None)


def registered_names() -> list[str]:
    """Return the names of all networks registered here or declared by installed packages, sorted."""
    return sorted({*_made, *_declared()})


def is_registered(name: str) -> bool:
    """Whether a name is registered here or declared by an installed package."""
    return name in _made or name in _declared()


def load_registered(name: str) -> Network:
    """Make a registered network.

    Raises
    ------
    NetworkError
        If the name is not known, stands for networks of two packages, or its function fails or makes no Network.
    """
    make = _made.get(name)
    whose = "registered here"
    if make is None:
        declared = _declared().get(name, [])
        if not declared:
            raise NetworkError(f"No network {name!r} is registered. `vfs-panel models` lists all.")
        packages = [point.dist.name if point.dist is not None else point.module for point in declared]
        if len({point.value for point in declared}) > 1:
            raise NetworkError(f"Network {name!r} is declared by {' and by '.join(packages)}. Uninstall one of them.")
        whose = f"of package {packages[0]}"
        try:
            make = declared[0].load()
        except Exception as error:  # importing a package may raise anything
            raise _failed(name, whose, error) from error
    try:
        network = make()
    except VFSError:
        raise
    except Exception as error:
        raise _failed(name, whose, error) from error
    if not isinstance(network, Network):
        raise NetworkError(f"Network {name!r}, {whose}, is made as {type(network).__name__}, expected a Network.")
    return network


def _failed(name: str, whose: str, error: Exception) -> NetworkError:
    return NetworkError(f"Network {name!r}, {whose}, cannot be made: {type(error).__name__}: {one_line(error)}.")


def _declared() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found
