"""Commands that learn a codebook and use it: fit, encode, decode, eval."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codeword import text
from codeword.cli.common import (
    Array,
    Column,
    Dim,
    Dtype,
    Json,
    Output,
    Seed,
    Threads,
    load_quantizer,
    print_json,
    print_pairs,
    read_rows,
    set_threads,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TARGET = "Target: chooses the quantizer"
_SAMPLE_STREAM = 0x66697473616D706C  # which use of the seed drawing a sample of rows is (see codeword.keys)
Data = Annotated[str, typer.Argument(metavar="X", help="Vectors: .npy, .npz, .fvecs, .fbin, .parquet, .arrow, ... or raw.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="File that `fit` wrote.")]


def _quantizer_names() -> list[str]:
    from codeword.base import Quantizer
    from codeword.cli import build

    return build.names(Quantizer)


def _transform_names() -> list[str]:
    from codeword.base import Transform
    from codeword.cli import build

    return build.names(Transform)


def fit(
    data: Data,
    output: Output,
    quantizer: Annotated[
        str | None,
        typer.Option(
            "--quantizer",
            "-q",
            metavar="NAME",
            autocompletion=_quantizer_names,
            help="additive, binary, ecvq, gain-shape, lattice, product, residual, scalar, tree, trellis, vector, or one from a plug-in.",
            show_default="product",
        ),
    ] = None,
    m: Annotated[
        int | None,
        typer.Option(
            "--m", metavar="N", help="Pieces of a row (product) or codewords added (residual, additive).", show_default=False
        ),
    ] = None,
    bits: Annotated[
        float | None,
        typer.Option(
            "--bits",
            metavar="N",
            help="Bits of each piece or codeword (product, residual, additive), number (scalar, binary, lattice; trellis: also "
            "fractions) or code (tree).",
        ),
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", metavar="N", help="Codewords (vector, ecvq, gain-shape).", show_default=False)
    ] = None,
    transform: Annotated[
        list[str] | None,
        typer.Option(
            "--transform",
            "-t",
            metavar="NAME",
            autocompletion=_transform_names,
            help="center, normalize, rotation, klt, opq; in order. Parameters: klt:d_out=64, opq:m=48.",
        ),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Another parameter of the quantizer: max_iter=50.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--bytes", metavar="N", min=1, help="Most bytes a vector.", show_default=False, rich_help_panel=_TARGET),
    ] = None,
    max_distortion: Annotated[
        float | None,
        typer.Option(metavar="D", help="Largest error, as a share of the variance.", show_default=False, rich_help_panel=_TARGET),
    ] = None,
    min_recall: Annotated[
        float | None, typer.Option(metavar="R", help="Least recall@10.", show_default=False, rich_help_panel=_TARGET)
    ] = None,
    metric: Annotated[str, typer.Option(help="l2, ip or cosine, for recall.", rich_help_panel=_TARGET)] = "l2",
    seconds: Annotated[float, typer.Option(min=0, help="Time to take for choosing.", rich_help_panel=_TARGET)] = 60.0,
    effort: Annotated[
        str | None,
        typer.Option(
            "--effort", metavar="WORD", help="fast, default or best: how long to train (product, vector).", show_default="default"
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="Learn from this many rows, drawn.", show_default="all")
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option("--max-memory", metavar="SIZE", help="Learn from more rows than memory holds: 1GB, 512MiB. The same result."),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Also write a page (HTML): what was tried for a target, else the training."),
    ] = None,
    seed: Seed = 0,
    threads: Threads = None,
    dtype: Dtype = None,
    dim: Dim = None,
    column: Column = None,
    array: Array = None,
    as_json: Json = False,
) -> None:
    """Learn a quantizer from vectors and save it: the one that is named, or the best for a target. Says how the training went.

    \b
    Examples:
      codeword fit X.npy -o model.cw --bytes 48
      codeword fit X.npy -o model.cw --min-recall 0.9 --report frontier.html
      codeword fit X.npy -o model.cw --m 48
      codeword fit X.npy -o model.cw --m 48 --transform klt --transform rotation
      codeword fit X.fvecs -o model.cw --quantizer scalar --bits 4
      codeword fit X.npy -o model.cw -q trellis --bits 1.5 -t rotation
      codeword fit X.npy -o model.cw -q tree --bits 16
      codeword fit X.npy -o model.cw -q ecvq --k 1024 --param entropy=8
      codeword fit X.parquet -o model.cw --quantizer vector --k 256 --sample 100000
      codeword fit X.npy -o model.cw --m 48 --effort best --report training.html
      codeword fit X.bin --dtype float32 --dim 384 -o model.cw --m 48 --max-memory 1GB
    """
    from codeword import io
    from codeword.cli import build

    set_threads(threads)
    target = {"bytes_per_vector": size, "max_distortion": max_distortion, "min_recall": min_recall}
    wanted = any(v is not None for v in target.values())
    by_hand = [quantizer, m, bits, k, effort, max_memory, *(transform or []), *(param or [])]
    if wanted and any(v is not None for v in by_hand):
        raise typer.BadParameter(
            "a target chooses the quantizer: leave out --quantizer, --m, --bits, --k, --effort, --transform, --param, --max-memory"
        )
    if not wanted:
        whole = int(bits) if bits is not None and bits.is_integer() else bits
        made = build.quantizer(
            quantizer or "product", {"m": m, "bits": whole, "k": k, "effort": effort}, param or [], transform or [], seed
        )
    X = sampled(read_rows(data, dtype, dim, column, array), sample, seed)
    start = time.perf_counter()
    made = _chosen(X, target, metric, seconds, seed, report, data) if wanted else made.fit(X, max_memory=max_memory)
    taken = time.perf_counter() - start
    io.save(made, output)
    facts = {"model": output, "quantizer": repr(made), "rows": len(X), **sizes(made, X), "seconds": taken}
    training = _training(made)
    if report is not None and not wanted:
        from codeword import report as pages

        pages.write(report, pages.quantizer_page(made, X, name=data))
    if as_json:
        told = {
            "training": training.to_dict() if training else None,
            "frontier": made.frontier.as_dict() if made.frontier else None,
        }
        print_json({**facts, **told})
        return
    if made.frontier:
        typer.echo(f"{made.frontier}\n")
    pairs = [("learned from", f"{text.count(len(X))} rows in {text.seconds(taken)}"), *size_pairs(facts)]
    print_pairs(f"{output}: {made!r}", [*pairs, *([("training", training.verdict)] if training else [])])
    if report is not None:
        typer.echo(f"Report: {report}")
    typer.echo(f"Next: codeword eval {output} {data}")


def _chosen(X: NDArray[Any], target: dict[str, Any], metric: str, seconds: float, seed: int, report: str | None, name: str) -> Any:
    """What `codeword.auto` chooses; the page of its frontier is written even where the target is not met."""
    import codeword as cw

    made = cw.auto(X, **target, metric=metric, seconds=seconds, seed=seed, nearest=True)
    assert made.frontier is not None
    if report is not None:
        from codeword import report as pages

        pages.write(report, pages.frontier_page(made.frontier, name=name))
    if not made.frontier.met:
        raise cw.TargetNotMetError(f"{made.frontier.target}: {made.frontier.reason}", made.frontier)
    return made


def _training(made: Any) -> Any:
    """How the codebooks were trained, of a quantizer (behind transforms or not) that tells."""
    inner = getattr(made, "quantizer", made)
    return inner.report() if hasattr(inner, "report") and hasattr(inner, "training_") else None


def encode(
    model: Model,
    data: Data,
    output: Output,
    threads: Threads = None,
    dtype: Dtype = None,
    dim: Dim = None,
    column: Column = None,
    array: Array = None,
    as_json: Json = False,
) -> None:
    """Replace vectors by codes: uint8 (n, bytes per vector).

    \b
    Examples:
      codeword encode model.cw X.npy -o codes.npy
      codeword encode model.cw X.parquet --column embedding -o codes.parquet
    """
    from codeword import files

    set_threads(threads)
    made, X = load_quantizer(model), read_rows(data, dtype, dim, column, array)
    start = time.perf_counter()
    codes = made.encode(X)
    seconds = time.perf_counter() - start
    files.write(output, codes)
    facts = {"codes": output, "rows": len(X), **sizes(made, X), "nbytes": codes.nbytes, "seconds": seconds}
    if as_json:
        print_json(facts)
        return
    pairs = [
        ("rows", f"{text.count(len(X))} in {text.seconds(seconds)}, {text.digits(len(X) / seconds)} a second"),
        (
            "size",
            f"{text.size(codes.nbytes)}, {text.digits(facts['compression'])} times smaller than {text.size(X.nbytes)} of {X.dtype}",
        ),
    ]
    print_pairs(f"{output}: codes of {codes.shape[1]} bytes", pairs)


def decode(
    model: Model,
    codes: Annotated[str, typer.Argument(metavar="CODES", help="File that `encode` wrote.")],
    output: Output,
    threads: Threads = None,
    dtype: Dtype = None,
    dim: Dim = None,
    as_json: Json = False,
) -> None:
    """Replace codes by reconstructed vectors: float32 (n, d).

    \b
    Examples:
      codeword decode model.cw codes.npy -o X_hat.npy
      codeword decode model.cw codes.bin --dtype uint8 --dim 48 -o X_hat.fvecs
    """
    from codeword import checks, files, runtime

    set_threads(threads)
    made = load_quantizer(model)
    C = checks.codes(read_rows(codes, dtype, dim), made.code_size, codes)
    step = max(1, (1 << 22) // made.d)
    start = time.perf_counter()
    # Block by block onto the disk: what is decoded can be many times larger than memory.
    blocks = (made.decode(C[a:b]) for a, b in runtime.blocks(len(C), step, "decode"))
    files.write_blocks(output, blocks, (len(C), made.d), "float32")
    seconds = time.perf_counter() - start
    facts = {"vectors": output, "rows": len(C), "d": made.d, "nbytes": 4 * len(C) * made.d, "seconds": seconds}
    if as_json:
        print_json(facts)
        return
    title = f"{output}: {text.count(len(C))} vectors of {made.d} dimensions"
    print_pairs(title, [("size", text.size(facts["nbytes"])), ("time", text.seconds(seconds))])


def eval_(
    model: Model,
    data: Data,
    report: Annotated[str | None, typer.Option("--report", metavar="FILE", help="Also write a page with pictures (HTML).")] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="Measure this many rows, drawn.", show_default="all")
    ] = None,
    seed: Seed = 0,
    threads: Threads = None,
    dtype: Dtype = None,
    dim: Dim = None,
    column: Column = None,
    array: Array = None,
    as_json: Json = False,
) -> None:
    """Measure what the codes keep: distortion, distance to the Gaussian bound, use of codewords. Best on rows not fitted on.

    \b
    Examples:
      codeword eval model.cw test.npy
      codeword eval model.cw test.npy --report report.html
      codeword eval model.cw test.npy --sample 10000 --json
    """
    set_threads(threads)
    made, X = load_quantizer(model), sampled(read_rows(data, dtype, dim, column, array), sample, seed)
    facts = {"model": model, "quantizer": repr(made), "rows": len(X), **sizes(made, X), **_quality(made, X)}
    if report is not None:
        from codeword import report as pages

        pages.write(report, pages.quantizer_page(made, X, name=data))
        facts["report"] = report
    if as_json:
        print_json(facts)
        return
    print_pairs(f"{model} on {text.count(len(X))} rows of {data}: {made!r}", [*size_pairs(facts), *_quality_pairs(facts)])
    if report is not None:
        typer.echo(f"Report: {report}")


def _quality(made: Any, X: NDArray[Any]) -> dict[str, Any]:
    """Distortion and use of codewords."""
    from codeword.metrics import codebook_usage

    d = made.distortion(X)
    facts = {"mse": d.mse, "relative": d.relative, "snr_db": d.snr_db, "gaussian_gap_db": d.gaussian_gap_db}
    try:
        usage = codebook_usage(made, made.encode(X))
    except (TypeError, AttributeError):  # a quantizer without codewords to count
        return facts
    return {
        **facts,
        "codewords": sum(len(u.counts) for u in usage),
        "codewords_unused": sum(len(u.dead) for u in usage),
        "perplexity": sum(u.perplexity for u in usage) / len(usage),
    }


def _quality_pairs(facts: dict[str, Any]) -> list[tuple[str, str]]:
    kept = max(0.0, 1 - facts["relative"])
    pairs = [
        ("signal to noise", f"{text.decibel(facts['snr_db'])}: {100 * kept:.{1 if kept < 0.99 else 3}f} % of the variance is kept"),
        ("mean squared error", f"{text.digits(facts['mse'], 4)} (relative {text.digits(facts['relative'], 4)})"),
        ("gap to the Gaussian bound", text.decibel(facts["gaussian_gap_db"])),
    ]
    if "codewords" in facts:
        used = f"{text.count(facts['codewords_unused'])} of {text.count(facts['codewords'])} never used"
        pairs.append(("codewords", f"{used}; mean perplexity {text.digits(facts['perplexity'])}"))
    return pairs


def sampled(X: NDArray[Any], sample: int | None, seed: int) -> NDArray[Any]:
    """`sample` rows of `X`, drawn without replacement; all rows where that is None."""
    if sample is None or sample >= len(X):
        return X
    from codeword import keys

    return X[keys.sample(seed, _SAMPLE_STREAM, len(X), sample)]


def sizes(made: Any, X: NDArray[Any]) -> dict[str, Any]:
    """What a code costs, against the rows as they are stored."""
    return {
        "d": made.d,
        "code_size": made.code_size,
        "rate": made.rate,
        "compression": made.d * X.dtype.itemsize / made.code_size,
        "model_bytes": made.model_bytes,
    }


def size_pairs(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for people."""
    return [
        ("bytes per vector", f"{facts['code_size']} ({text.digits(facts['compression'])} times smaller than the file's numbers)"),
        ("rate", f"{text.digits(facts['rate'])} bits a dimension, {facts['d']} dimensions"),
        ("model", text.size(facts["model_bytes"])),
    ]
