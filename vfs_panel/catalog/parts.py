"""What all parts of an entry share: no unknown fields, paths that stay inside, files that can be had and checked."""

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Text = Annotated[str, Field(min_length=1)]
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


class Part(BaseModel):
    """Base of every part of an entry: unknown fields are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def inside(folder: Path, path: str) -> Path:
    """Return a path of an entry's file as an absolute one.

    Parameters
    ----------
    folder : Path
        Where the entry's file lies; relative paths start there.
    path : str
        As written in the file. An absolute path, or one that starts with ~, is taken as it is.

    Raises
    ------
    ValueError
        If a relative path leads out of the folder.
    """
    own = Path(path).expanduser()
    if own.is_absolute():
        return own
    found = (folder / own).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise ValueError(f"path {path!r} leads out of the entry's own folder; write it as an absolute path")
    return found


def resolved(path: str, info: ValidationInfo) -> str:
    """Return a path of an entry's file as `inside` does; in an entry from the web, refuse it.

    Raises
    ------
    ValueError
        If it leads out of the folder, or a stranger's entry names a place of this machine.
    """
    context = info.context or {}
    if context.get("from_web"):
        raise ValueError(f"{path!r} is a place on this machine, which an entry from the web cannot know")
    return str(inside(context.get("folder", Path.cwd()), path))


def below(path: str) -> str:
    """Return a path that starts at a data set's own folder, if it stays there.

    Raises
    ------
    ValueError
        If it is absolute or leads out.
    """
    plain = PurePosixPath(path)
    absolute = plain.is_absolute() or PureWindowsPath(path).drive or path.startswith(("~", "\\"))
    if absolute or ".." in plain.parts or ".." in PureWindowsPath(path).parts or "\0" in path:
        raise ValueError(f"path {path!r} leads out of the data set's own folder; write a path below it")
    return str(plain)


def web_address(url: str) -> str:
    """Return an address of the web, http or https.

    Raises
    ------
    ValueError
        If it is another, has no host, or carries a password.
    """
    try:
        parts = urlsplit(url)
        host, carries = parts.hostname, "@" in parts.netloc
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        host, carries, parts = None, False, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", url):
        raise ValueError(f"{url!r} is no web address; write one that starts with https:// or http://")
    if carries:
        raise ValueError("an address with a password in it is not kept in an entry; leave out the part before @")
    return url


class SourceFile(Part):
    """A file that is had from the web, or put into place by hand, and how it is told to be the right one."""

    url: Text | None = Field(None, description="Web address of the file; without one it is put into place by hand.")
    name: Text | None = Field(None, description="The file's name; by default the last part of its address.")
    size: int | None = Field(None, gt=0, description="Its size in bytes, where that is published.")
    sha256: Text | None = Field(None, description="Its SHA-256, 64 hexadecimal digits, where that is published.")
    md5: Text | None = Field(None, description="Its MD5, 32 hexadecimal digits, where only that is published.")

    @field_validator("url")
    @classmethod
    def _of_the_web(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[\w][\w.+-]*", value):
            raise ValueError(f"{value!r} is no file's name; use letters, digits, dots, - and _")
        return value

    @field_validator("sha256")
    @classmethod
    def _sha256(cls, value: str | None) -> str | None:
        return _digits(value, 64, "a SHA-256")

    @field_validator("md5")
    @classmethod
    def _md5(cls, value: str | None) -> str | None:
        return _digits(value, 32, "an MD5")

    @model_validator(mode="after")
    def _has_a_name(self) -> Self:
        if not self.file_name:
            raise ValueError("a file needs a url, or a name to be put into place under")
        return self

    @property
    def file_name(self) -> str:
        """What the file is called on this machine; "" where its address does not say."""
        last = unquote(PurePosixPath(urlsplit(self.url or "").path).name)
        return self.name or (last if re.fullmatch(r"[\w][\w.+-]*", last) else "")

    @property
    def checked_by(self) -> str:
        """What tells that the file is the right one, for messages."""
        known = [word for word, value in (("SHA-256", self.sha256), ("MD5", self.md5), ("size", self.size)) if value]
        return known[0] if known else ""

    @property
    def identity(self) -> str:
        """What changes when the file becomes another: its hash, or its address where none is known."""
        return self.sha256 or self.md5 or f"{self.url or self.name} {self.size or ''}"


def _digits(value: str | None, count: int, what: str) -> str | None:
    if value is None:
        return None
    if not re.fullmatch(rf"[0-9a-fA-F]{{{count}}}", value):
        raise ValueError(f"{value!r} is not {what}: expected {count} hexadecimal digits, got {len(value)} characters")
    return value.lower()


class SetFile(SourceFile):
    """A file of a data set: an archive to unpack, or a file to keep as it is."""

    unpack: bool | None = Field(None, description="Whether to unpack it; by default if its name is an archive's.")
    into: Text | None = Field(
        None,
        description="Folder for it, below the data set's own; by default an archive's name without its ending, and "
        "for a kept file the data set's own folder.",
    )

    @field_validator("into")
    @classmethod
    def _below(cls, value: str | None) -> str | None:
        return None if value is None else below(value)

    @model_validator(mode="after")
    def _own_folder(self) -> Self:
        if self.is_archive and self.place in ("", "."):
            raise ValueError("an archive needs a folder of its own to be unpacked into; give `into`")
        return self

    @property
    def is_archive(self) -> bool:
        """Whether it is unpacked."""
        return self.file_name.lower().endswith(ARCHIVES) if self.unpack is None else self.unpack

    @property
    def place(self) -> str:
        """Where it ends up, below the data set's own folder: a folder for an archive, else a file."""
        if not self.is_archive:
            return str(PurePosixPath(self.into or ".") / self.file_name)
        if self.into is not None:
            return self.into
        ending = max((end for end in ARCHIVES if self.file_name.lower().endswith(end)), key=len, default="")
        return self.file_name[: len(self.file_name) - len(ending)]
