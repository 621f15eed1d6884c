"""The seal of a finished store: a checksum over all its metadata, so that a flipped bit there is found too.

Chunks carry checksums of their own. What names and describes them is JSON: each array's and group's own file, and their
copy in the root's, which is what readers of far stores use. The seal covers the copy and the root's attributes; the
files must agree with the copy.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from vfs_panel.features import layout

METADATA = "zarr.json"


def checksum(root: dict[str, Any]) -> str:
    """Return the sha256 of a root's metadata, without the seal itself."""
    attributes = {k: v for k, v in root.get("attributes", {}).items() if k != layout.SEAL}
    return hashlib.sha256(json.dumps(root | {"attributes": attributes}, sort_keys=True).encode()).hexdigest()


def seal(store: Path) -> None:
    """Write the seal into a store whose metadata have just been consolidated."""
    file = store / METADATA
    root = json.loads(file.read_bytes())
    root["attributes"][layout.SEAL] = checksum(root)
    # Sorted: the same store is the same bytes, whichever process wrote its parts.
    partial = store / "zarr.seal.partial"
    with open(partial, "w", encoding="utf-8") as handle:
        handle.write(json.dumps(_sorted(root), indent=2))
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(partial, file)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(v) for v in value] if isinstance(value, list) else value


def plain(member: dict[str, Any]) -> dict[str, Any]:
    """Return a member's metadata as they stand in its own file: a group's copy names its (empty) contents too."""
    return {key: value for key, value in member.items() if key != "consolidated_metadata"}


def members(root: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a root's groups and arrays, by path, as they were consolidated."""
    consolidated = root.get("consolidated_metadata") or {}
    found: dict[str, Any] = consolidated.get("metadata") or {}
    return found
