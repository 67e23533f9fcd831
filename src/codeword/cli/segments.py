"""The command segments: purchases or customers in, segments, a page and lists out; next month the same model again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from codeword import text
from codeword.cli.common import Json, Seed, console, print_json

if TYPE_CHECKING:
    from codeword.cluster.segments import Segments

_COLUMNS, _OUTPUT, _NEXT = "Columns", "Output", "Next month"


def _option(name: str, words: str, panel: str, metavar: str = "NAME", short: tuple[str, ...] = ()) -> Any:
    return typer.Option(name, *short, metavar=metavar, help=words, rich_help_panel=panel, show_default=False)


def segments(
    path: Annotated[str, typer.Argument(metavar="FILE", help="CSV or Parquet: one purchase a row, or one customer a row.")],
    output: Annotated[str | None, _option("--output", "Report, one HTML page.", _OUTPUT, "FILE", ("-o",))] = None,
    export: Annotated[
        str | None, _option("--export", "List of customers with their segments, CSV or Parquet.", _OUTPUT, "FILE")
    ] = None,
    table: Annotated[
        str | None, _option("--table", "Sizes, values and quartiles of the segments, CSV or Parquet.", _OUTPUT, "FILE")
    ] = None,
    save: Annotated[
        str | None, _option("--save", "Model, for next month; it holds nothing of single customers.", _OUTPUT, "FILE")
    ] = None,
    model: Annotated[
        str | None, _option("--model", "Saved model: assign FILE to its segments, say what has changed.", _NEXT, "FILE")
    ] = None,
    against: Annotated[
        str | None,
        _option("--against", "Earlier file, or earlier day of the same log, to learn from or compare with.", _NEXT, "FILE|DATE"),
    ] = None,
    until: Annotated[
        str | None, _option("--until", "Leave out purchases after this day, such as 2021-03-31.", _NEXT, "DATE")
    ] = None,
    window: Annotated[int | None, _option("--window", "Count only purchases of so many days.", _NEXT, "DAYS")] = None,
    customer: Annotated[str | None, _option("--customer", "Column of the customer.", _COLUMNS)] = None,
    date: Annotated[str | None, _option("--date", "Column of the day.", _COLUMNS)] = None,
    amount: Annotated[str | None, _option("--amount", "Column of the amount.", _COLUMNS)] = None,
    value: Annotated[list[str] | None, _option("--value", "Column of what a customer is worth; several add up.", _COLUMNS)] = None,
    feature: Annotated[
        list[str] | None, _option("--feature", "Column to segment by; repeat it. Default: all numbers.", _COLUMNS)
    ] = None,
    decimal: Annotated[str | None, _option("--decimal", "Decimal mark, . or a comma.", _COLUMNS, "MARK")] = None,
    date_format: Annotated[str | None, _option("--date-format", "Such as %d/%m/%Y.", _COLUMNS, "FORMAT")] = None,
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out rows with empty cells.", rich_help_panel=_COLUMNS)
    ] = False,
    k: Annotated[
        int | None, typer.Option("--k", "-k", metavar="N", help="Segments.", show_default="the stable number that most speaks for")
    ] = None,
    k_max: Annotated[int, typer.Option("--k-max", metavar="N", help="Most segments that are tried.")] = 8,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Find customer segments, name and describe them; assign new customers and say what has changed.

    \b
    Examples:
      codeword segments transactions.csv -o report.html
      codeword segments transactions.csv --save model.cw --export customers.csv
      codeword segments next_month.csv --model model.cw -o report.html
      codeword segments transactions.csv --against 2021-05-31 -o report.html
      codeword segments customers.parquet --feature age --feature income --value spending
    """
    from codeword import io, report
    from codeword.cluster.segments import Segments, reading

    frame = reading.read(path)
    old, then = _earlier(against)
    if model is not None:
        made = load(model)
    else:
        made = Segments(
            k, customer=customer, date=date, amount=amount, value=value, features=feature, window=window,
            missing="drop" if drop_missing else "error", decimal=decimal, date_format=date_format, k_max=k_max, seed=seed,
        )  # fmt: skip
        base = frame if old is None else old
        made.fit(base, until=until if against is None else then)
    drift, customers = None, made.customers
    if model is not None or against is not None:
        customers = made.assign(frame, until=until)
        before = (frame if old is None else old) if model is not None and against is not None else None
        drift = made.drift(frame, before, until=until, old_until=then)
    if output is not None:
        report.write(output, made.report(customers, drift=drift))
    if export is not None:
        reading.write(customers, export)
    if table is not None:
        reading.write(made.table(), table)
    if save is not None:
        io.save(made, save)
    if as_json:
        print_json(facts(made, customers, drift))
    else:
        _show(made, drift, [t for t in (output, export, table, save) if t is not None])


def _earlier(against: str | None) -> tuple[Any, str | None]:
    """The earlier table, or the earlier day of the same log."""
    from codeword.cluster.segments import features, reading

    if against is None:
        return None, None
    if against[:4].isdigit() and len(against) == 10:
        return None, features.day_of(against, "--against")
    return reading.read(against), None


def load(path: str) -> Segments:
    """A saved model of segments, or an error that says what the file holds instead."""
    from codeword import io
    from codeword.cluster.segments import Segments

    made = io.load(path)
    if not isinstance(made, Segments):
        raise ValueError(f"{path}: expected segments, it holds a {type(made).__name__}")
    return made


def facts(made: Segments, customers: Any, drift: Any) -> dict[str, Any]:
    """What is found, for a program."""
    learned = made.learned
    out = {
        "customers": len(customers),
        "segments": made.table().to_dict("records"),
        "stability": learned.stability,
        "stable": learned.stable,
        "chosen": learned.chosen,
        "columns": learned.roles,
        "currency": learned.currency,
        "notes": list(learned.notes),
    }
    if drift is not None:
        out["drift"] = {**vars(drift), "sentence": drift.sentence}
    return out


def _show(made: Segments, drift: Any, written: list[str]) -> None:
    from rich.table import Table

    from codeword.cluster.segments.naming import money
    from codeword.cluster.segments.pictures import percent

    learned, profile = made.learned, made.profile
    shown = Table(box=None, padding=(0, 2), header_style="dim")
    for head in ("", "segment", "customers", "share", *(("value", "of all") if profile.values is not None else ())):
        shown.add_column(head, justify="left" if head == "segment" else "right")
    worth = profile.value_shares
    for c, name in enumerate(learned.names):
        row = [str(c + 1), name, text.count(profile.counts[c]), percent(profile.shares[c])]
        if profile.values is not None:
            row += [money(float(profile.values[c]), learned.currency), "–" if worth is None else percent(worth[c])]
        shown.add_row(*row)
    console().print(shown)
    kind = "Stable" if learned.stable else "NOT stable, a rough division only"
    typer.echo(
        f"{kind}: resampled customers give segments with an adjusted Rand index of {learned.stability:.2f}. {learned.chosen}"
    )
    for note in learned.notes:
        typer.echo(note)
    if drift is not None:
        typer.echo(drift.sentence)
        for note in drift.notes:
            typer.echo(note)
    for path in written:
        typer.echo(f"wrote {path}")
