"""Commands for networks: files of weights in, compressed files out, and what is in them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from codeword.cli import common

app = typer.Typer(
    name="nn",
    help="Compress the weights of neural networks (needs the extra nn).",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
Source = Annotated[str, typer.Argument(metavar="FILE", help="A .safetensors or .gguf file.", show_default=False)]


def compress(
    source: Source,
    output: common.Output,
    bits: Annotated[float, typer.Option("--bits", "-b", metavar="BITS", help="Bits a weight.")] = 3.0,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="trellis8, trellis, lattice, product or scalar.")
    ] = "trellis8",
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer", metavar="NAME=BITS", help="Bits of tensors by name, * for any part; none leaves them alone. Repeat it."
        ),
    ] = None,
    seed: common.Seed = 0,
    threads: common.Threads = None,
    json: common.Json = False,
) -> None:
    """Compress every matrix in a file, without data or model code.

    [bold]Example:[/bold] codeword nn compress model.safetensors -b 3 -o small.safetensors --layer '*embed*=4' --layer 'lm_head*=none'
    """
    from codeword.nn import compress_file

    common.set_threads(threads)
    report = compress_file(source, output, bits, method=method, layers=_layers(layer or []), seed=seed)
    if json:
        common.print_json(report.to_dict())
        return
    _table(
        f"{source} -> {output}",
        ["tensor", "shape", "bits", "bytes", "error", "cosine"],
        [
            [x.name, " x ".join(map(str, x.shape)), f"{x.bits:.3f}", f"{x.nbytes:,}", f"{x.error:.5f}", f"{x.cosine:.4f}"]
            for x in report.layers
        ]
        + [[name, f"left alone: {why}", "", "", "", ""] for name, why in report.skipped],
    )
    typer.echo(report.verdict)


def inspect(source: Source, json: common.Json = False) -> None:
    """Show what a compressed file holds.

    [bold]Example:[/bold] codeword nn inspect small.safetensors
    """
    from codeword.nn.file import Stored

    stored = Stored(source)
    rows = [
        {
            "name": name,
            "kind": w["kind"],
            "shape": w["shape"],
            "method": w["method"],
            "bits": w["bits"],
            "bytes": stored.packed(name).nbytes,
        }
        for name, w in stored.weights.items()
    ]
    dense = {name: t for name, t in stored.dense().items() if name not in stored.about["aliases"]}
    weights = sum(_size(row["shape"]) for row in rows) + sum(t.numel() for t in dense.values() if t.is_floating_point())
    summary = {
        "file": source,
        "bytes": stored.nbytes,
        "weights": weights,
        "bits_per_weight": 8 * stored.nbytes / max(weights, 1),
        "version": stored.about["version"],
        "recipe": stored.about["recipe"],
        "dense_tensors": len(dense),
    }
    if json:
        common.print_json({**summary, "layers": rows})
        return
    common.print_pairs(source, [(name.replace("_", " "), str(value)) for name, value in summary.items() if name != "file"])
    _table("weights", ["name", "kind", "shape", "method", "bits", "bytes"], [[str(v) for v in row.values()] for row in rows])


def expand(source: Source, output: common.Output) -> None:
    """Write a compressed file's weights as plain tensors.

    [bold]Example:[/bold] codeword nn expand small.safetensors -o dense.safetensors
    """
    from codeword.nn import expand_file

    typer.echo(f"{output}: {expand_file(source, output):,} bytes")


def diff(
    a: Source,
    b: Annotated[str, typer.Argument(metavar="FILE", help="The file to compare it with.", show_default=False)],
    json: common.Json = False,
) -> None:
    """Compare two files tensor by tensor: relative squared error and cosine.

    [bold]Example:[/bold] codeword nn diff model.safetensors small.safetensors
    """
    from codeword.nn import diff_files

    rows = diff_files(a, b)
    if json:
        common.print_json(rows)
        return
    shown = [[r["name"], str(r["shape"]), f"{r['error']:.6f}", f"{r['cosine']:.5f}"] for r in rows]
    _table(f"{b} against {a}", ["tensor", "shape", "error", "cosine"], shown)


def eval_(
    source: Source,
    model: Annotated[
        str, typer.Option("--model", metavar="MODULE:FUNCTION", help="Makes the model, its weights as before.", show_default=False)
    ],
    score: Annotated[str, typer.Option("--score", metavar="MODULE:FUNCTION", help="A model's score.", show_default=False)],
    json: common.Json = False,
) -> None:
    """Score a model before and after, by functions of your own.

    [bold]Example:[/bold] codeword nn eval small.safetensors --model mine:load --score mine:accuracy
    """
    from codeword.nn import load

    make, judge = _function(model), _function(score)
    before = float(judge(make()))
    after = float(judge(load(source, make())))
    if json:
        common.print_json({"before": before, "after": after})
        return
    common.print_pairs(source, [("before", f"{before:.6g}"), ("after", f"{after:.6g}")])


def _function(text: str) -> Any:
    """What ``module:function`` names, modules of the current directory included."""
    import importlib
    import sys

    module, colon, name = text.partition(":")
    if not colon:
        raise typer.BadParameter(f"expected MODULE:FUNCTION, got {text!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError as e:
        raise ValueError(f"{module} has no {name!r}") from e


def _layers(given: list[str]) -> dict[str, float | None]:
    made: dict[str, float | None] = {}
    for text in given:
        name, equals, bits = text.rpartition("=")
        try:
            made[name] = None if bits.lower() == "none" else float(bits)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise typer.BadParameter(f"expected NAME=BITS or NAME=none, got {text!r}", param_hint="--layer")
    return made


def _size(shape: list[int]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    from rich.table import Table

    table: Any = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if i < 2 else "right")
    for row in rows:
        table.add_row(*row)
    common.console().print(table)


for _command in (compress, inspect, expand, diff, eval_):
    app.command(_command.__name__.rstrip("_"))(common.guarded(_command))
