"""Every error a user can cause: what was got, what was expected, how to mend it."""


class VFSError(Exception):
    """Base of all errors that vfs_panel raises on purpose.

    The message is one line for a person: what was got, what was expected, and how to mend it. The command line
    prints just that line and exits with 2; the app shows it as a sentence. Anything else that escapes is a bug.
    """


class ImageError(VFSError):
    """A picture, a list of pictures or a mask file that cannot be used."""


class NetworkError(VFSError):
    """A network that is not known, or weights that cannot be had or do not fit."""


class LayerError(VFSError):
    """A layer that does not exist, or whose output is no grid of cells."""


class StoreError(VFSError):
    """A feature store that is missing, half written, corrupted, full, or made by something else."""


class QueryError(VFSError):
    """A region, a mask or search options that make no query."""


class CatalogError(VFSError):
    """A catalog or one of its entries that cannot be read or used."""


class ServeError(VFSError):
    """A server that cannot start, for example because its port is taken."""


class BenchError(VFSError):
    """A benchmark that cannot run here, or whose contestants do not agree."""


class ExportError(VFSError):
    """A notebook that cannot be run or written as a page."""


class OutOfMemoryError(VFSError):
    """Memory, of the machine or of a GPU, that ran out for a search or for what it was to hold."""


class SearchCancelled(VFSError):  # noqa: N818 - nothing went wrong
    """A search that was told to stop before it was done."""
