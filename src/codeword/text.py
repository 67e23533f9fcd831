"""Numbers as people read them, for tables and reports."""

from __future__ import annotations

import math

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(nbytes: float) -> str:
    """Bytes in decimal units with three digits.

    >>> size(768), size(1536000), size(31.5e9)
    ('768 B', '1.54 MB', '31.5 GB')
    """
    unit = 0
    while nbytes >= 999.5 and unit < len(_UNITS) - 1:
        nbytes /= 1000
        unit += 1
    return f"{digits(nbytes)} {_UNITS[unit]}"


def count(n: float) -> str:
    """A whole number with its thousands apart.

    >>> count(133140)
    '133,140'
    """
    return f"{n:,.0f}"


def plural(n: int, noun: str) -> str:
    """A number and its noun.

    >>> plural(1, "byte"), plural(4096, "codeword")
    ('1 byte', '4,096 codewords')
    """
    return f"{count(n)} {noun}{'' if n == 1 else 's'}"


def digits(x: float, n: int = 3) -> str:
    """A number to `n` significant digits, without an exponent where it is not needed.

    >>> digits(0.0123456), digits(24.0), digits(1234.5), digits(1.5e-9)
    ('0.0123', '24', '1,234', '1.5e-09')
    """
    if x == 0 or not math.isfinite(x):
        return f"{x:g}"
    power = math.floor(math.log10(abs(x)))
    if power < -4:
        return f"{x:.{n - 1}g}"
    rounded = f"{x:,.{max(0, n - 1 - power)}f}"
    return rounded.rstrip("0").rstrip(".") if "." in rounded else rounded


def seconds(s: float) -> str:
    """A time span.

    >>> seconds(0.0042), seconds(3.14159), seconds(75)
    ('4.2 ms', '3.14 s', '1 min 15 s')
    """
    if s < 1:
        return f"{digits(1000 * s, 2)} ms"
    if s < 60:
        return f"{digits(s)} s"
    return f"{int(s) // 60} min {int(s) % 60} s"


def decibel(x: float | None) -> str:
    """Decibels with one decimal; a dash for None.

    >>> decibel(4.349), decibel(None), decibel(math.inf)
    ('4.3 dB', '–', '∞ dB')
    """
    if x is None or math.isnan(x):
        return "–"
    return f"{'-' if x < 0 else ''}∞ dB" if math.isinf(x) else f"{x:.1f} dB"
