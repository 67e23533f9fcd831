"""The program's commands, each in the module that its subject names. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from codeword.cli import cluster, common, demo, index, inspect, model, nn, search, segments

app = typer.Typer(
    name="codeword",
    help="Vector quantization: learn a codebook, replace vectors by short codes, search and decode the codes.",
    epilog=common.EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    demo.demo,
    model.fit,
    model.encode,
    model.decode,
    model.eval_,
    search.search,
    cluster.cluster,
    cluster.anomaly,
    segments.segments,
    inspect.info,
    inspect.verify,
):
    app.command(_command.__name__.rstrip("_"))(common.guarded(_command))
app.add_typer(index.app, name="index")
app.add_typer(nn.app, name="nn")


def _version(wanted: bool) -> None:
    if wanted:
        from codeword import __version__

        typer.echo(f"codeword {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Vector quantization: learn a codebook, replace vectors by short codes, search and decode the codes."""


def run() -> None:
    """Run the command line and exit with its code."""
    try:
        app(prog_name="codeword")
    except KeyboardInterrupt:  # during imports, before a command could catch it
        sys.exit(common.INTERRUPTED)
