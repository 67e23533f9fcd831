"""The command demo."""

from __future__ import annotations

from typing import Annotated

import typer

from codeword.cli.common import Array, Column, Dim, Dtype, Json, Seed, Threads, print_json, set_threads


def demo(
    data: Annotated[
        str | None, typer.Argument(metavar="[X]", help="Your own vectors; none: descriptors of two photographs.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="Folder for the report, the picture and the model.")] = "out",
    seed: Seed = 0,
    threads: Threads = None,
    dtype: Dtype = None,
    dim: Dim = None,
    column: Column = None,
    array: Array = None,
    as_json: Json = False,
) -> None:
    """Fit, encode and search real vectors with several quantizers, and compare them in one table. Takes about a minute.

    \b
    Examples:
      codeword demo
      codeword demo X.npy
      codeword demo X.parquet --column embedding -o results
    """
    from codeword import demo as work

    set_threads(threads)
    reading = {"dtype": dtype, "dim": dim, "column": column or None, "array": array}
    facts = work.run(data, output=output, seed=seed, reading=reading, quiet=as_json)
    if as_json:
        print_json(facts)
