"""`dropledger console`: a web page of the root."""

import sys
from pathlib import Path

import click

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.cli.command import command
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
    try:
        from dropledger.handlers.console.serve import LOOPBACK, Options, serve, token_in
    except ImportError as error:
        raise ConfigurationError(
            "the console needs more than is installed",
            why=str(error),
            hint="install it: pip install 'dropledger[console]'",
        ) from error
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
