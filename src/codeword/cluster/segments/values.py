"""What the cells of a column mean: numbers with or without a currency, and days. One notation a column; errors name column and row.

Rows are counted from 1, below the names of the columns. Empty cells come out as NaN and NaT: what becomes of them is the caller's matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Days = NDArray[np.datetime64]

_EMPTY = {"", "na", "n/a", "nan", "null", "none", "-", "nat", "<na>"}
_SYMBOLS = "$€£¥₹₩₽₺₪₴₫฿₦₱¢"
_CODES = [
    "USD",
    "EUR",
    "GBP",
    "JPY",
    "CNY",
    "RMB",
    "INR",
    "KRW",
    "RUB",
    "TRY",
    "ILS",
    "UAH",
    "CHF",
    "SEK",
    "NOK",
    "DKK",
    "ISK",
    "PLN",
    "CZK",
    "HUF",
    "RON",
    "BGN",
    "CAD",
    "AUD",
    "NZD",
    "HKD",
    "SGD",
    "TWD",
    "THB",
    "IDR",
    "MYR",
    "PHP",
    "VND",
    "ZAR",
    "NGN",
    "KES",
    "EGP",
    "MAD",
    "BRL",
    "MXN",
    "ARS",
    "CLP",
    "COP",
    "PEN",
    "AED",
    "SAR",
    "QAR",
    "KR",
    "KČ",
    "ZŁ",
    "FT",
    "LEI",
    "R$",
    "US$",
    "A$",
    "C$",
    "RS",
]
_CURRENCY = "|".join(re.escape(c) for c in sorted([*_CODES, *_SYMBOLS], key=len, reverse=True))
_AMOUNT = re.compile(
    rf"(?P<open>\()?(?P<sign>[-+−])?\s*(?:(?P<before>{_CURRENCY})\.?)?\s*(?P<inner>[-+−])?(?P<digits>[\d.,][\d.,'’\s]*(?:[eE][-+]?\d+)?)"
    rf"\s*(?:(?P<after>{_CURRENCY})\.?)?(?P<close>\))?",
    re.IGNORECASE,
)
_POINT = re.compile(r"(?:\d{1,3}(?:[,'’\s]\d{3})+|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?")
_COMMA = re.compile(r"(?:\d{1,3}(?:[.'’\s]\d{3})+|\d+)(?:,\d*)?|,\d+")
_UNCLEAR = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_TIME = re.compile(r"(?:[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?\s*(?:Z|UTC|[-+]\d{2}:?\d{2})?)$")
_FORMATS = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%Y-%m",
    "%d %b %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
]
_YEARS = range(1900, 2101)


def bad(column: str, row: int, expected: str, got: Any) -> ValueError:
    """The error for cell `row` (from 0) of a column."""
    return ValueError(f"column {column!r}, row {row + 1:,}: expected {expected}, got {str(got)!r}")


def cells(column: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """Which different content each row of a pandas Series has, and the contents; -1 for empty cells."""
    import pandas as pd

    codes, found = pd.factorize(column)
    texts = [str(v).strip() for v in found]
    empty = np.array([t.lower() in _EMPTY for t in texts] + [True])
    codes = np.asarray(codes, np.int64)
    return np.where(empty[codes], -1, codes), texts


def numbers(column: Any, name: str, decimal: str | None = None) -> tuple[F64, str | None]:
    """The numbers of a pandas Series, NaN for empty cells, and their currency, None where none is given.

    Parameters
    ----------
    decimal : {".", ","}, optional
        The decimal mark; by default the one that fits the column.

    Raises
    ------
    ValueError
        For a cell that is no finite number, a second currency, or a column whose marks can be read in two ways.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        out = column.to_numpy(np.float64, na_value=np.nan)
        if np.isinf(out).any():
            row = int(np.flatnonzero(np.isinf(out))[0])
            raise bad(name, row, "a finite number", out[row])
        return out, None
    codes, texts = cells(column)
    parsed = [_AMOUNT.fullmatch(t) for t in texts]
    marks = decimal or _mark(name, [m["digits"].strip() for m in parsed if m])
    values = np.full(len(texts) + 1, np.nan)
    currencies: list[str | None] = []
    for i, match in enumerate(parsed):
        values[i] = np.nan if match is None else _value(match, marks)
        currencies.append(None if match is None else (match["before"] or match["after"] or "").upper() or None)
    wrong = (codes >= 0) & np.isnan(values[codes])
    if wrong.any():
        row = int(np.argmax(wrong))
        like = "12,345.67" if marks == "." else "12.345,67"
        raise bad(name, row, f"a number like {like}", texts[codes[row]])
    return values[codes], _one_currency(name, codes, texts, currencies)


def _value(match: re.Match[str], mark: str) -> float:
    """The number of a matched cell; NaN where its marks do not fit."""
    digits = match["digits"].strip()
    if not (_POINT if mark == "." else _COMMA).fullmatch(digits) or bool(match["open"]) != bool(match["close"]):
        return np.nan
    plain = re.sub(r"[,'’\s]" if mark == "." else r"[.'’\s]", "", digits).replace(",", ".")
    signs = sum((match[s] or "") in ("-", "−") for s in ("sign", "inner")) + bool(match["open"])
    number = float(plain) * (-1) ** signs
    return number if np.isfinite(number) else np.nan


def _mark(name: str, digits: Sequence[str]) -> str:
    """The decimal mark that most numbers of a column fit."""
    marked = [t for t in digits if "." in t or "," in t]
    if marked and all(_UNCLEAR.fullmatch(t) for t in marked):
        point = next((t for t in marked if "." in t), None)  # with commas only they are thousands: few prices have three decimals
        if point is not None:
            raise ValueError(
                f"column {name!r}: {point!r} can be read in two ways, with a decimal mark or with thousands apart: "
                "say decimal='.' or decimal=','"
            )
    fits = {mark: sum(bool(form.fullmatch(t)) for t in digits) for mark, form in ((".", _POINT), (",", _COMMA))}
    return "," if fits[","] > fits["."] else "."


def _one_currency(name: str, codes: NDArray[np.int64], texts: Sequence[str], currencies: Sequence[str | None]) -> str | None:
    rows = np.bincount(codes[codes >= 0], minlength=len(texts))
    count: Counter[str] = Counter()
    for currency, n in zip(currencies, rows, strict=True):
        if currency:
            count[currency] += int(n)
    if not count:
        return None
    usual = count.most_common(1)[0][0]
    other = np.array([c is not None and c != usual for c in currencies] + [False])
    if other[codes].any():
        row = int(np.argmax(other[codes]))
        share = f"{100 * count[usual] / sum(count.values()):.0f} %"
        raise bad(name, row, f"an amount in {usual}, as in {share} of the rows", texts[codes[row]])
    return usual


def days(column: Any, name: str, date_format: str | None = None) -> Days:
    """The days (n,) datetime64[D] of a pandas Series, NaT for empty cells; times of day and zones are left out.

    Parameters
    ----------
    date_format : str, optional
        As for `datetime.strptime`, such as "%d/%m/%Y"; by default the one that fits the column.

    Raises
    ------
    ValueError
        For a cell that is no day between 1900 and 2100, or a column that can be read as day/month and as month/day.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        plain = column.dt.tz_localize(None) if getattr(column.dt, "tz", None) is not None else column
        out: Days = plain.to_numpy("datetime64[D]")
        return out
    if pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 == 0).all()):
        column = column.astype("Int64")
    codes, texts = cells(column)
    plain = [_TIME.sub("", t).strip() for t in texts]
    chosen, parsed = _best_format(name, plain, [date_format] if date_format else _FORMATS)
    if len(parsed) and date_format is None:
        _check_order(name, chosen, plain)
    values = np.array([*parsed, None], "datetime64[D]")
    wrong = (codes >= 0) & np.isnat(values[codes])
    if wrong.any():
        row = int(np.argmax(wrong))
        like = datetime(2021, 3, 31).strftime(chosen)
        raise bad(name, row, f"a date like {like}", texts[codes[row]])
    return values[codes]


def _best_format(name: str, texts: Sequence[str], formats: Sequence[str]) -> tuple[str, list[Any]]:
    """The format that most texts have, and their days, None where a text has it not."""
    tried = texts[:: max(1, len(texts) // 200)]
    good = {f: sum(_day(t, f) is not None for t in tried) for f in formats}
    most = max(good.values())
    options = [f for f in formats if good[f] == most]
    made = {f: [_day(t, f) for t in texts] for f in options}
    chosen = max(options, key=lambda f: sum(d is not None for d in made[f]))
    return chosen, made[chosen]


def _check_order(name: str, chosen: str, texts: Sequence[str]) -> None:
    """ValueError where every date is one in the other order of day and month too, and means something else."""
    if not ("%d" in chosen and "%m" in chosen) or chosen.startswith("%Y"):
        return
    swapped = chosen.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    if "." in chosen:
        return  # with points the day comes first everywhere
    other = [_day(t, swapped) for t in texts]
    ours = [_day(t, chosen) for t in texts]
    if all(d is not None for d in other) and all(d is not None for d in ours) and other != ours:
        first = next(t for t, a, b in zip(texts, ours, other, strict=True) if a != b)
        raise ValueError(
            f"column {name!r}: {first!r} can be read as day/month and as month/day, and so can all its dates: "
            f"say date_format={chosen!r} or date_format={swapped!r}"
        )


def _day(text: str, form: str) -> Any:
    try:
        made = datetime.strptime(text, form)
    except ValueError:
        return None
    return made.date() if made.year in _YEARS else None


def is_number(text: str) -> bool:
    """Whether a cell is a number in some notation."""
    match = _AMOUNT.fullmatch(text)
    return match is not None and not all(np.isnan(_value(match, mark)) for mark in ".,")
