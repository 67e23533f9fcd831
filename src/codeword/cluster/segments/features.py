"""What is known of each customer, in the units of the table: purchases become recency, frequency and money, or columns are taken as they are.

    log of purchases --customers by until, window--> Features (n customers, 3)
    customer table   --numeric columns-------------> Features (n customers, d)

Source of recency, frequency and monetary value: Hughes 1994, "Strategic Database Marketing".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.cluster.segments import values
from codeword.cluster.segments.columns import Columns, explain, recognise, require
from codeword.text import plural

F64 = NDArray[np.float64]
RFM = ("recency", "frequency", "monetary")
_CATEGORIES = 8
_CATEGORY_NUMBERS = 5


@dataclass(frozen=True)
class Options:
    """How a table is to be read: what the caller said of it."""

    customer: str | None = None
    date: str | None = None
    amount: str | None = None
    value: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    until: str | None = None
    window: int | None = None
    missing: str = "error"
    decimal: str | None = None
    date_format: str | None = None


@dataclass(frozen=True)
class Features:
    """Customers by what is known of them."""

    kind: str
    """"purchases" or "customers"."""
    ids: NDArray[Any]
    """(n,) the customers, as the table has them."""
    names: tuple[str, ...]
    """d columns."""
    X: F64
    """(n, d), finite."""
    value: F64 | None
    """(n,) what a customer is worth; None where the table does not say."""
    value_name: str
    columns: dict[str, str]
    """Role to column, as recognised or given."""
    categories: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Columns (n,) of few different contents: shown, not used."""
    currency: str | None = None
    first: str | None = None
    until: str | None = None
    """First and last day, as ISO dates."""
    rows: int = 0
    """Rows of the table that were used."""
    notes: tuple[str, ...] = ()
    """What was done that a reader should know."""


def build(table: Any, options: Options, kind: str | None = None) -> Features:
    """Features of the customers in a DataFrame.

    Parameters
    ----------
    table : DataFrame
    options : Options
    kind : {"purchases", "customers"}, optional
        What the table must be; by default what its columns say.

    Raises
    ------
    ValueError
        For columns that are missing, cells that are not what their column is, or nothing to work with.
    """
    names = list(table.columns)
    found = recognise(names, {"customer": options.customer, "date": options.date, "amount": options.amount})
    if found.purchases and kind != "customers" and not options.features:
        return _from_purchases(table, options, found)
    asked = kind == "purchases" or options.date or options.until or options.window
    if asked and not options.features:
        raise explain(found, names)
    return _from_customers(table, options, found)


def _from_purchases(table: Any, options: Options, found: Columns) -> Features:
    import pandas as pd

    assert found.customer and found.date
    notes: list[str] = []
    _one_currency(table, found)
    who = values.cells(table[found.customer])
    day = values.days(table[found.date], found.date, options.date_format)
    amount, currency, amount_name = _amounts(table, options, found)
    empty = {found.customer: who[0] < 0, found.date: np.isnat(day), amount_name: np.isnan(amount)}
    keep = _complete(empty, options.missing, notes)
    keep, first, until = _period(day, keep, options, notes)
    log = pd.DataFrame({"who": who[0], "day": day.astype(np.int64), "amount": amount})
    log["order"] = np.arange(len(log)) if found.order is None else values.cells(table[found.order])[0]
    log = log[keep]
    bought = log[log["amount"] >= 0]
    returns = len(log) - len(bought)
    if returns:
        notes.append(
            f"{plural(returns, 'row')} of a negative amount are returns: they lower what a customer spent and are no purchases."
        )
    if not len(bought):
        raise ValueError(f"column {amount_name!r}: expected purchases, got no amount of at least 0")
    people = bought.groupby("who", sort=True)
    last, orders = people["day"].max(), people["order"].nunique()
    spent = log.groupby("who")["amount"].sum().reindex(last.index)
    recency = int(np.datetime64(until, "D").astype(np.int64)) - last.to_numpy(np.float64)
    X = np.stack([recency, orders.to_numpy(np.float64), spent.to_numpy(np.float64)], axis=1)
    texts = np.array([*who[1], ""], object)[last.index.to_numpy()]
    order = np.argsort(texts.astype(str), kind="stable")  # by name, so that the order of the rows does not matter
    texts, X = texts[order], np.ascontiguousarray(X[order])
    columns = {k: v for k, v in vars(found).items() if v and (k not in ("price", "quantity") or not found.amount)}
    if found.order:
        notes.append(f"Rows of one {found.order!r} are one purchase.")
    return Features("purchases", texts, RFM, X, X[:, 2], "spent", columns, {}, currency, first, until, len(log), tuple(notes))


def _amounts(table: Any, options: Options, found: Columns) -> tuple[F64, str | None, str]:
    if found.amount:
        amount, currency = values.numbers(table[found.amount], found.amount, options.decimal)
        return amount, currency, found.amount
    assert found.price and found.quantity
    price, currency = values.numbers(table[found.price], found.price, options.decimal)
    quantity, _ = values.numbers(table[found.quantity], found.quantity, options.decimal)
    return price * quantity, currency, f"{found.quantity} × {found.price}"


def _one_currency(table: Any, found: Columns) -> None:
    """ValueError where a column of currencies names several: amounts could not be added."""
    if found.currency is None:
        return
    codes, texts = values.cells(table[found.currency])
    some = codes[codes >= 0]
    if len(some):
        usual = int(np.bincount(some).argmax())
        other = (codes >= 0) & (codes != usual)
        if other.any():
            row = int(np.argmax(other))
            share = f"{100 * np.mean(some == usual):.0f} %"
            raise values.bad(found.currency, row, f"{texts[usual]!r}, as in {share} of the rows", texts[codes[row]])


def _complete(empty: dict[str, NDArray[np.bool_]], missing: str, notes: list[str]) -> NDArray[np.bool_]:
    """Rows (n,) without empty cells; ValueError where there are others and they are not to be dropped."""
    keep = np.ones(len(next(iter(empty.values()))), bool)
    for name, gone in empty.items():
        if gone.any() and missing == "error":
            row, many = int(np.argmax(gone)), int(gone.sum())
            raise ValueError(
                f"column {name!r}, row {row + 1:,}: expected a value, it is empty, as {plural(many, 'row')} of it: "
                "fill it in, or leave such rows out (missing='drop', --drop-missing)"
            )
        keep &= ~gone
    if not keep.all():
        notes.append(f"{plural(int((~keep).sum()), 'row')} with empty cells left out.")
    if not keep.any():
        raise ValueError("table: expected at least one row without empty cells, got none")
    return keep


def _period(day: values.Days, keep: NDArray[np.bool_], options: Options, notes: list[str]) -> tuple[NDArray[np.bool_], str, str]:
    """Which rows are inside the window, their first day and the day that recency counts from."""
    until: Any = np.datetime64(day_of(options.until, "until"), "D") if options.until else day[keep].max()
    inside = keep & (day <= until)
    if options.window is not None:
        inside &= day > until - np.timedelta64(options.window, "D")
    if not inside.any():
        raise ValueError(f"until: expected purchases up to {until}{' in the window' if options.window else ''}, the table has none")
    if inside.sum() < keep.sum():
        notes.append(f"{plural(int(keep.sum() - inside.sum()), 'row')} outside of the period left out.")
    return inside, str(day[inside].min()), str(until)


def day_of(text: str, argument: str) -> str:
    """An ISO date, checked."""
    try:
        made: Any = np.datetime64(str(text), "D")
    except ValueError:
        made = np.datetime64("NaT")
    if np.isnat(made) or not 1900 <= int(str(made)[:4]) <= 2100:
        raise ValueError(f"{argument}: expected a date like 2021-03-31, got {str(text)!r}")
    return str(made)


def _from_customers(table: Any, options: Options, found: Columns) -> Features:
    names, notes = list(table.columns), []
    require(options.features, names, "features")
    require(options.value, names, "value")
    ids = np.arange(1, len(table) + 1).astype(object)
    if found.customer:
        codes, texts = values.cells(table[found.customer])
        twice = np.bincount(codes[codes >= 0], minlength=len(texts)) > 1
        if twice.any():
            raise explain(found, names, texts[int(np.argmax(twice))])
        ids = np.array([*texts, None], object)[codes]
    wanted = list(options.features) or [n for n in names if n != found.customer]
    columns, categories = {}, {}
    for name in wanted:
        kind = "number" if options.features else _kind(table[name])
        if kind == "number":
            columns[name] = values.numbers(table[name], name, options.decimal)
        elif kind == "category":
            codes, texts = values.cells(table[name])
            categories[name] = np.array([*texts, "–"], object)[codes]
        else:
            notes.append(f"Column {name!r} left out: {kind}.")
    worth, value_name = _value(table, options, found)
    keep = _complete({n: np.isnan(c[0]) for n, c in columns.items()} or {"": np.zeros(len(table), bool)}, options.missing, notes)
    columns = {n: (c[0][keep], c[1]) for n, c in columns.items()}
    for name in [n for n, c in columns.items() if np.ptp(c[0]) == 0 and not options.features]:
        notes.append(f"Column {name!r} left out: it is the same for all.")
        del columns[name]
    if not columns:
        raise ValueError(f"table: expected at least one column of numbers that differ, got {', '.join(map(repr, names))}")
    if categories:
        notes.append(
            f"{' and '.join(map(repr, categories))} {'has' if len(categories) == 1 else 'have'} few contents: shown, not used."
        )
    roles = {k: v for k, v in (("customer", found.customer), ("value", value_name)) if v}
    currency = next((c[1] for c in columns.values() if c[1]), None)
    return Features(
        "customers",
        ids[keep],
        tuple(columns),
        np.stack([c[0] for c in columns.values()], axis=1),
        None if worth is None else worth[keep],
        value_name,
        roles,
        {n: c[keep] for n, c in categories.items()},
        currency,
        rows=int(keep.sum()),
        notes=tuple(notes),
    )


def _kind(column: Any) -> str:
    """ "number", "category", or why a column is neither."""
    import pandas as pd

    codes, texts = values.cells(column)
    different = len(np.unique(codes[codes >= 0]))
    if different == 0:
        return "it is empty"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "it holds dates"
    few = different <= max(2, min(_CATEGORIES, len(codes) // 10))
    sample = texts[:: max(1, len(texts) // 200)]
    numeric = 2 * sum(any(c.isdigit() for c in t) and values.is_number(t) for t in sample) > len(sample)
    if numeric and not (few and different <= _CATEGORY_NUMBERS and all(t.lstrip("-").isdigit() for t in texts)):
        return "number"
    return "category" if few else "it is text"


def _value(table: Any, options: Options, found: Columns) -> tuple[F64 | None, str]:
    """What customers are worth: the columns said, added up, or the one whose name says it."""
    chosen: Sequence[str] = options.value or ([found.amount] if found.amount else [])
    if not chosen:
        return None, ""
    parts = [values.numbers(table[name], name, options.decimal)[0] for name in chosen]
    total = np.sum(parts, axis=0)
    if np.isnan(total).any() and options.missing == "error":
        row = int(np.argmax(np.isnan(total)))
        raise values.bad(" + ".join(chosen), row, "a value", "an empty cell")
    return np.nan_to_num(total), chosen[0] if len(chosen) == 1 else " + ".join(chosen)
