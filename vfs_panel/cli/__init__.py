"""The command line: arguments in, library calls, text out. Errors a user can cause become one line and exit code 2."""

import logging
import os
import sys
from typing import Annotated

import typer

from vfs_panel import __version__
from vfs_panel.cli import bench, catalog, export, extraction, models, search, serving, store
from vfs_panel.cli.output import note, one_line
from vfs_panel.errors import StoreError, VFSError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it

app = typer.Typer(
    name="vfs-panel",
    help="Paint a region of a picture; see what a network holds to be similar, in a whole data set.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(serving.demo)
app.command("models")(models.models)
app.command("extract")(extraction.extract)
app.command("verify")(extraction.verify)
app.add_typer(store.app, name="store")
app.command("search")(search.search)
app.add_typer(catalog.app, name="catalog")
app.command("serve")(serving.serve)
app.command("export")(export.export)
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"vfs_panel {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code: 0 done, 2 an error the user can mend, 130 stopped by Ctrl-C."""
    try:
        code = app(arguments, prog_name="vfs-panel", standalone_mode=False)
        sys.stdout.flush()
    except VFSError as error:
        note(one_line(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except (BrokenPipeError, SystemExit):  # Click exits where a write inside the command breaks, never else
        # The reader, such as `head`, has what it wanted. What is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if hasattr(error, "format_message"):  # arguments that do not fit, as Typer found
            message, context = error.format_message(), getattr(error, "ctx", None)
            asked_for_nothing = message.startswith("Usage:")
            hint = f" See: {context.command_path if context else 'vfs-panel'} --help"
            note(message if asked_for_nothing else one_line(message) + hint)
            return 2
        if isinstance(error, OSError):
            note(one_line(_of_system(error)))
            return 2
        raise
    if code == INTERRUPTED:
        note("Stopped. The same command goes on where it was.")
    return code if isinstance(code, int) else 0


def _of_system(error: OSError) -> StoreError:
    """Turn an error of the operating system that no module foresaw into one line, without a traceback."""
    where = f" {error.filename}" if error.filename else ""
    return StoreError(f"The system refused{where}: {error.strerror or error}. Check the path, rights and free space.")


def main() -> None:
    """Run the command line; the entry point `vfs-panel`."""
    sys.exit(run(sys.argv[1:]))
