"""The commands that make pages for a browser: console, docs."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from dropledger.core.errors import ConfigurationError, NotInstalled
from dropledger.handlers.cli.command import command, refuse_folder_of_root
from dropledger.handlers.cli.context import Context


@command
@click.option("--port", default=8321, show_default=True, type=click.IntRange(0, 65535), help="0 for any that is free.")
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to listen on.")
@click.option("--write", is_flag=True, help="Let pages land files in the inbox, and retract drops.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with the token that opens the console; by default a new one each time.",
)
@click.option("--show-restricted", is_flag=True, help="Show columns that a contract classifies as restricted.")
@click.option("--open", "open_browser", is_flag=True, help="Open it in the browser.")
def console(
    context: Context,
    port: int,
    listen: str,
    write: bool,
    token_file: Path | None,
    show_restricted: bool,
    open_browser: bool,
) -> int:
    """Serve a web page of the root: drops, histories, figures, checks.

    It prints a link that opens it. It only shows, unless it is started with --write. An address that other machines
    reach needs --token-file.
    """
    with _extra():
        from dropledger.handlers.console.serve import LOOPBACK, Options, serve, token_in
    if listen not in LOOPBACK and token_file is None:
        raise ConfigurationError(
            f"the console wants a token of yours to listen on {listen}",
            why="other machines reach that address",
            hint="name a file that holds one with --token-file",
        )
    token = token_in(token_file)

    def ready(address: str) -> None:
        link = f"{address}?token={token}"
        shown = link if token_file is None else address
        context.print_result({"url": shown}, lambda: _show(shown, token_file))
        sys.stdout.flush()  # who reads it from a pipe waits for the link
        if open_browser:
            click.launch(link)

    serve(context.settings(), Options(listen, port, token, write, show_restricted), ready)
    return 0


def _show(link: str, token_file: Path | None) -> None:
    from dropledger.handlers import render

    render.line(f"The console is at {link}")
    if token_file is not None:
        render.line(f"Open it once with ?token= and the text in {token_file} behind the address.")
    render.line("Ctrl-C stops it.")


@contextmanager
def _extra() -> Iterator[None]:
    """Say what to install where something is missing.

    Raises:
        ConfigurationError: it says so.
    """
    try:
        yield
    except ImportError as error:
        raise NotInstalled("pages for a browser need more than is installed", "console", why=str(error)) from error


@command
@click.option(
    "--to",
    default="docs-site",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write into.",
)
def docs(context: Context, to: Path) -> int:
    """Write pages of the pipeline that open from a disk: models, columns, SQL, lineage.

    Where the root has a ledger they have the rows of tables and the last results of checks too.
    """
    with _extra():
        from dropledger.handlers.console.site import write_site
    from dropledger.handlers import render
    from dropledger.handlers.wiring import cache_folder, wire
    from dropledger.infra.local.folders import filled

    settings = context.settings()
    runtime = wire(settings=settings)
    refuse_folder_of_root(runtime.store, to, "name another folder with --to")
    with filled(to) as begun, ExitStack() as opened:
        session = opened.enter_context(runtime.reading()) if runtime.warehouse.exists() else None
        root = runtime.store.root if session else ""
        names = write_site(
            begun, runtime.pipeline, session, root=root, clock=runtime.clock, cache=cache_folder(settings)
        )
    index = to / names[0]
    document = {"index": str(index), "files": len(names)}
    context.print_result(document, lambda: render.line(f"{render.counted(len(names), 'file')}. Open {index}"))
    return 0


COMMANDS = (console, docs)
