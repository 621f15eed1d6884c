"""Words beside a figure: a sentence before, a heading, a sentence after."""

from vfs_panel.app.component import Part, script, web_text


class Words(Part):
    """A heading and sentences; each is left out while it is empty."""

    _esm = script("said")
    _stylesheets = [*Part._stylesheets, web_text("said.css")]  # noqa: RUF012
