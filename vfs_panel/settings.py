"""Settings of the machine, read from VFS_* environment variables or a `.env` file."""

from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vfs_panel.errors import VFSError


def _default_cache() -> Path:
    """The user's cache folder on this system, without needing a package for it."""
    import os
    import sys

    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "vfs_panel"


class Settings(BaseSettings):
    """What depends on the machine, not on the question asked."""

    model_config = SettingsConfigDict(env_prefix="VFS_", env_file=".env", extra="ignore", frozen=True)

    cache_dir: Path = Field(
        default_factory=_default_cache,
        description="Folder for rendered demo pictures, feature stores and downloads.",
    )
    catalog: str | None = Field(
        default=None, description="Folder or web address of further catalog entries, beside the bundled ones."
    )
    device: str = Field(default="auto", description="Where networks and searches run: auto, cpu, cuda or cuda:N.")
    batch_size: int | None = Field(
        default=None, ge=1, description="Pictures per forward pass of an extraction; by default 16, on a GPU 64."
    )
    block_mb: float = Field(
        default=32.0, gt=0, description="Size of one block (chunk) of a feature store, in MB of its largest layer."
    )
    memory_mb: float | None = Field(
        default=None, gt=0, description="Memory that one engine may hold, in MB; by default half of what is free."
    )
    scheduler: str | None = Field(
        default=None, description="Address of a Dask scheduler whose workers search, such as tcp://host:8786."
    )
    builds: bool | None = Field(
        default=None,
        description="Whether pages may build catalog entries: on, off; by default only those of this machine.",
    )
    max_upload_mb: float = Field(default=20.0, gt=0, description="Largest picture file that the app takes, in MB.")


@cache
def settings() -> Settings:
    """Return the settings of this process, read once (`settings.cache_clear()` reads them again).

    Raises
    ------
    VFSError
        If a VFS_* variable has a value that does not fit; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "VFS_" + str(first["loc"][0]).upper() if first["loc"] else "VFS_*"
        raise VFSError(f"Setting {name} is {first['input']!r}: {first['msg']}. Correct or unset it.") from None
