"""Commands on tables: cluster, anomaly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codeword import text
from codeword.cli.common import Json, Seed, Threads, console, print_json, print_pairs, set_threads

if TYPE_CHECKING:
    from codeword.cluster.choosing import Choice

_TABLE = "Input"
Data = Annotated[str, typer.Argument(metavar="TABLE", help="Rows and columns: .csv, .tsv, .parquet or .npy.")]
Wanted = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="NAME", help="Column to use; repeat it for several. All by default.", rich_help_panel=_TABLE),
]
Dropped = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="NAME", help="Column to leave out; repeat it for several.", rich_help_panel=_TABLE),
]
_SHOWN_REASONS, _LEAST_REASON = 3, 0.05


def cluster(
    data: Data,
    k: Annotated[int | None, typer.Option("-k", "--k", min=1, metavar="N", help="Clusters.", show_default="chosen")] = None,
    k_max: Annotated[int, typer.Option("--k-max", min=2, metavar="N", help="Where none are given: the most to try.")] = 10,
    scale: Annotated[
        str, typer.Option("--scale", metavar="WORD", help="robust (median, quartiles), standard (mean, deviation) or none.")
    ] = "robust",
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write the table with a column `cluster` here.")
    ] = None,
    centres: Annotated[
        str | None, typer.Option("--centres", metavar="FILE", help="Write sizes and centres, in the table's units, here.")
    ] = None,
    picture: Annotated[
        str | None, typer.Option("--picture", metavar="FILE", help="Write how k was chosen here: .png, .svg or .pdf.")
    ] = None,
    column: Wanted = None,
    drop: Dropped = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Find clusters of the rows of a table with k-means, and how many there are.

    \b
    Examples:
      codeword cluster customers.csv --drop id -o clustered.csv
      codeword cluster points.npy -k 12 --scale none --centres centres.csv
      codeword cluster customers.parquet --picture k.png --json
    """
    from codeword.cluster import KMeans, choose_k, files
    from codeword.cluster.scaling import Scaling

    set_threads(threads)
    for path in (output, centres):
        files.check_output(path)
    table = files.read(data)
    used = files.columns(table, data, column, drop)
    A = files.numbers(used, data)
    scaling = Scaling.of(A, scale)
    start = time.perf_counter()
    choice = None
    if k is None:
        choice = choose_k(scaling.apply(A), k_max, random_state=seed)
        k = choice.k
    found = KMeans(k, random_state=seed).fit(scaling.apply(A))
    seconds = time.perf_counter() - start
    means = used.groupby(found.labels_).mean().reset_index(names="cluster")
    means.insert(1, "rows", used.groupby(found.labels_).size().to_numpy())
    if output is not None:
        files.write(table.assign(cluster=found.labels_), output)
    if centres is not None:
        files.write(means, centres)
    if picture is not None:
        _draw(choice, picture)
    if as_json:
        print_json(_cluster_facts(found, choice, means, len(A), seconds))
        return
    _show_clusters(data, found, choice, means, len(A), seconds)


def _draw(choice: Choice | None, path: str) -> None:
    if choice is None:
        raise ValueError("--picture: shows how k was chosen; leave out -k")
    import matplotlib

    matplotlib.use("Agg")
    axes = choice.plot()
    axes.ravel()[0].figure.savefig(path)


def _cluster_facts(found: Any, choice: Choice | None, means: Any, n: int, seconds: float) -> dict[str, Any]:
    facts = {"rows": n, "k": len(found.cluster_centers_), "inertia": found.inertia_, "seconds": seconds}
    if choice is not None:
        facts |= {"confidence": choice.confidence, "stability": choice.stability, "votes": choice.votes, "verdict": choice.verdict}
        facts["tried"] = [vars(row) for row in choice.rows]
    return {**facts, "clusters": means.to_dict("records")}


def _show_clusters(data: str, found: Any, choice: Choice | None, means: Any, n: int, seconds: float) -> None:
    pairs = [("rows", text.count(n)), ("clusters", str(len(found.cluster_centers_))), ("time", f"{seconds:.1f} s")]
    if choice is not None:
        pairs += [("verdict", choice.verdict), ("confidence", f"{choice.confidence:.2f} of 1")]
        _print_table("", choice.table().reset_index())
    print_pairs(data, pairs)
    _print_table("", means)


def anomaly(
    data: Data,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write the table with score, p-value and verdict here.")
    ] = None,
    save: Annotated[str | None, typer.Option("--save", metavar="FILE", help="Write the detector here.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="FILE", help="Score with this detector instead of learning one.")
    ] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option("--false-alarms", metavar="RATE", help="Share of ordinary rows that may be called anomalies."),
    ] = None,
    contamination: Annotated[
        float, typer.Option("--contamination", metavar="SHARE", help="Share of rows called anomalies, without --false-alarms.")
    ] = 0.05,
    missing: Annotated[str, typer.Option("--missing", metavar="WORD", help="Missing numbers: error, or median.")] = "error",
    categorical: Annotated[
        list[str] | None,
        typer.Option("--categorical", metavar="NAME", help="Column of numbers that are categories.", rich_help_panel=_TABLE),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, metavar="N", help="Rows to show, the strangest first.")] = 10,
    column: Wanted = None,
    drop: Dropped = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Find the rows of a table that are unlike the others, and say by which columns.

    \b
    Examples:
      codeword anomaly payments.csv --drop id --false-alarms 0.01 -o scored.csv --save detector.cw
      codeword anomaly new.csv --model detector.cw -o scored.csv
      codeword anomaly sensors.npy --top 5 --json
    """
    import codeword as cw
    from codeword.cluster import CodebookOutlierDetector, files

    set_threads(threads)
    files.check_output(output)
    table = files.read(data)
    detector = _load_detector(model) if model is not None else None
    if detector is not None and not column and hasattr(detector, "feature_names_in_"):
        column = [str(name) for name in detector.feature_names_in_]
    used = files.columns(table, data, column, drop)
    start = time.perf_counter()
    if detector is None:
        detector = CodebookOutlierDetector(
            contamination, false_alarm_rate=false_alarms, missing=missing, categorical=categorical, random_state=seed
        ).fit(used)
        scores, p_values = detector.decision_scores_, detector.p_values_
    else:
        scores, p_values = detector.decision_function(used), detector.p_values(used)
    seconds = time.perf_counter() - start
    strange = scores > detector.threshold_
    scored = table.assign(anomaly_score=scores, p_value=p_values, anomaly=strange.astype(int))
    order = scored["anomaly_score"].to_numpy().argsort(kind="stable")[::-1][:top]
    reasons = _reasons(detector, used.iloc[order]) if len(order) else []
    if output is not None:
        files.write(scored, output)
    if save is not None:
        cw.save(detector, save)
    shown = [
        {"row": int(i), "score": float(scores[i]), "p_value": float(scored["p_value"].iloc[i]), "because": why}
        for i, why in zip(order, reasons, strict=True)
    ]
    facts = {
        "rows": len(used),
        "anomalies": int(strange.sum()),
        "threshold": detector.threshold_,
        "false_alarm_rate": detector.false_alarm_rate_,
        "seconds": seconds,
    }
    if as_json:
        print_json({**facts, "strangest": shown})
        return
    _show_anomalies(data, facts, shown)


def _load_detector(path: str) -> Any:
    import codeword as cw
    from codeword.cluster import CodebookOutlierDetector

    made = cw.load(path)
    if not isinstance(made, CodebookOutlierDetector):
        raise ValueError(f"{path}: expected a detector that `codeword anomaly --save` wrote, it holds a {type(made).__name__}")
    return made


def _reasons(detector: Any, rows: Any) -> list[str]:
    """The columns that add most to the scores of rows, with their values."""
    parts = detector.explain(rows)
    said = []
    for i in range(len(rows)):
        most = parts[i].argsort(kind="stable")[::-1][:_SHOWN_REASONS]
        said.append(
            ", ".join(
                f"{rows.columns[j]} = {_word(rows.iloc[i, j])} (+{parts[i, j]:.2f})" for j in most if parts[i, j] >= _LEAST_REASON
            )
        )
    return said


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _show_anomalies(data: str, facts: dict[str, Any], shown: list[dict[str, Any]]) -> None:
    print_pairs(
        data,
        [
            ("rows", text.count(facts["rows"])),
            ("anomalies", f"{text.count(facts['anomalies'])}, score above {facts['threshold']:.3f}"),
            ("false alarms", f"{100 * facts['false_alarm_rate']:.2g} % of ordinary rows expected above that"),
            ("time", f"{facts['seconds']:.1f} s"),
        ],
    )
    if shown:
        import pandas as pd

        _print_table("the strangest", pd.DataFrame(shown))


def _print_table(title: str, frame: Any) -> None:
    from rich.table import Table

    out = Table(title=title or None, title_justify="left", box=None, padding=(0, 2), header_style="dim")
    for name in frame.columns:
        out.add_column(str(name), justify="right" if frame[name].dtype.kind in "iuf" else "left")
    for row in frame.itertuples(index=False):
        out.add_row(*[_word(value) for value in row])
    console().print(out)
