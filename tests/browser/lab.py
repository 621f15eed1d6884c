"""A JupyterLab of the test's own, with a notebook on a small store, and that notebook as a person uses it."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.explorer_page import ExplorerPage
from vfs_panel.cli.serving import free_port

START_S, END_S = 60.0, 15.0
NOTEBOOK = "nb.ipynb"


class LabServer:
    """A running JupyterLab.

    Attributes
    ----------
    url : its address.
    token : what it asks for.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def ask(self, path: str, body: object = None) -> Any:
        """Ask its API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=10) as answer:
            return json.load(answer)


def write_notebook(folder: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells."""
    kept = [
        {"cell_type": "code", "id": f"cell-{n}", "metadata": {}, "outputs": [], "execution_count": None, "source": text}
        for n, text in enumerate(cells)
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    content = {"cells": kept, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / NOTEBOOK).write_text(json.dumps(content))


@contextmanager
def lab_server(folder: Path) -> Iterator[LabServer]:
    """Run JupyterLab on `folder`/notebooks with no settings of the user's, and a kernel that waits for the notebook."""
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    places = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
        "VFS_CACHE_DIR": "cache", "VFS_CATALOG": "none",
    }  # fmt: skip
    port, token = free_port(0, "localhost"), secrets.token_hex(16)
    options = (
        "--no-browser", "--allow-root", f"--IdentityProvider.token={token}", "--ServerApp.ip=localhost",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder / 'notebooks'}",
        "--LabApp.news_url=None", "--ServerApp.shutdown_no_activity_timeout=600",  # if nobody can stop it
    )  # fmt: skip
    with (folder / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *options],
            env=os.environ | {name: str(folder / place) for name, place in places.items()},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            server = LabServer(f"http://localhost:{port}", token)
            _wait_for(server, process, folder / "lab.log")
            session = {"path": NOTEBOOK, "name": NOTEBOOK, "type": "notebook", "kernel": {"name": "python3"}}
            server.ask("/api/sessions", session)
            yield server
        finally:
            process.terminate()  # it ends its kernels
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # kernels without a server end by themselves
                process.wait(END_S)


def _wait_for(server: LabServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            server.ask("/api")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text()[-4000:])


class LabPage(ExplorerPage):
    """A page of JupyterLab with the notebook, and the explorer in it."""

    def __init__(self, page: Any, server: LabServer) -> None:
        super().__init__(page, server.url)
        self._token = server.token

    def open(self, query: str = "") -> "LabPage":
        """Open the notebook and wait for its kernel."""
        self.page.goto(f"{self.url}/doc/tree/{NOTEBOOK}?reset&token={self._token}{query}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        # The toolbar is idle before the kernel is known; the status line says which kernel is.
        self.page.get_by_text(re.compile(r"Python 3 .*\| Idle")).wait_for(timeout=60_000)
        return self

    @property
    def cells(self) -> Any:
        """The cells of the notebook."""
        return self.page.locator(".jp-Notebook .jp-Cell")

    def choose(self, *names: str) -> None:
        """Choose from the menu."""
        for name in names:
            self.page.get_by_role("menuitem", name=name, exact=True).click()

    def command_mode(self, cell: int) -> None:
        """Select a cell without writing in it."""
        self.cells.nth(cell).locator(".jp-InputPrompt").first.click()

    def run(self, cell: int) -> None:
        """Run a cell and wait until it has run."""
        prompt = self.cells.nth(cell).locator(".jp-InputPrompt").first
        self.page.wait_for_function(  # for what runs already
            "() => ![...document.querySelectorAll('.jp-InputPrompt')].some(each => each.textContent.includes('*'))"
        )
        before = prompt.inner_text()
        self.command_mode(cell)
        self.page.keyboard.press("Control+Enter")
        for _ in range(600):
            if re.fullmatch(r"\[\d+\]:", now := prompt.inner_text()) and now != before:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"cell {cell} is still {prompt.inner_text()}")

    def value(self, cell: int) -> str:
        """Run a cell and return its value: what it prints can be lost where messages of the explorer come between."""
        self.run(cell)
        said = self.cells.nth(cell).locator(".jp-OutputArea-output pre").first
        said.wait_for(timeout=20_000)
        return str(said.inner_text()).strip().strip("'")
