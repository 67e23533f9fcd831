"""Small pictures as inline SVG text: bars, and lines with points. No scripts, no fonts, no files.

A picture is 360 units wide, a phone's width, so that its letters stay readable there; colours come from the page's style.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from codeword import text

WIDTH, HEIGHT = 360, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 8, 34
_MOST_BARS = 96
Series = tuple[str, Sequence[tuple[float, float]]]


def bars(
    values: Sequence[float],
    *,
    x: str,
    y: str,
    behind: Sequence[float] | None = None,
    log: bool = False,
    first: int = 0,
    ends: tuple[float, float] | None = None,
) -> str:
    """Bars side by side, the mean of neighbours where there are more than fit.

    Parameters
    ----------
    values, behind : sequence of float
        Heights in front, and of paler bars behind them.
    x, y : str
        Names of the axes.
    log : bool
        Logarithmic heights.
    first : int
        Number of the first bar on the x axis.
    ends : (float, float), optional
        What stands at the ends of the x axis instead of the numbers of the bars.
    """
    shown, back = _merged(values), _merged(behind) if behind is not None else None
    top = max([*shown, *(back or ())], default=0.0)
    low = min((v for v in [*shown, *(back or ())] if v > 0), default=1.0)
    scale = _Scale(low * 0.8 if log else 0.0, top or 1.0, log and top > low, HEIGHT - _BOTTOM, _TOP)
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(shown))
    parts = [_frame(scale, y, x)]
    for kind, heights in (("back", back), ("bar", shown)):
        parts.extend(_bar(kind, i, step, scale(v)) for i, v in enumerate(heights or ()) if v > 0)
    left, right = ends or (first, first + len(values) - 1)
    parts.append(_label(_LEFT, HEIGHT - _BOTTOM + 12, text.digits(left), "start"))
    parts.append(_label(WIDTH - _RIGHT, HEIGHT - _BOTTOM + 12, text.digits(right, 5 if ends is None else 3), "end"))
    return _svg(parts, f"{y} by {x}")


def lines(
    series: Sequence[Series], *, x: str, y: str, log_x: bool = False, low: float | None = None, high: float | None = None
) -> str:
    """Points joined by lines, one colour a series, with a legend below.

    Parameters
    ----------
    series : sequence of (name, [(x, y), ...])
    low, high : float, optional
        Ends of the y axis; by default those of the data.
    """
    points = [p for _, data in series for p in data]
    if not points:
        return ""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    bottom, top = min(ys) if low is None else low, max(ys) if high is None else high
    x_scale = _Scale(min(xs), max(xs), log_x, _LEFT + 10, WIDTH - _RIGHT - 10)
    y_scale = _Scale(bottom, top, False, HEIGHT - _BOTTOM, _TOP + 4)
    parts = [_frame(y_scale, y, x)]
    parts.extend(_label(x_scale(v), HEIGHT - _BOTTOM + 12, text.digits(v), "middle") for v in x_scale.ticks())
    for i, (_, data) in enumerate(series):
        at = [(x_scale(a), y_scale(b)) for a, b in sorted(data)]
        parts.append(f'<polyline class="line s{i % 6}" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in at)}"/>')
        parts.extend(f'<circle class="dot s{i % 6}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>' for a, b in at)
    keys = "".join(f'<span class="key"><i class="s{i % 6}"></i>{escape(name)}</span>' for i, (name, _) in enumerate(series))
    return _svg(parts, f"{y} by {x}") + f'<div class="legend">{keys}</div>'


class _Scale:
    """From values to places, linear or logarithmic."""

    def __init__(self, low: float, high: float, log: bool, start: float, end: float) -> None:
        self.log, self.start, self.end = log, start, end
        self.low, self.high = low, high if high > low else low + (abs(low) or 1.0)

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))

    def ticks(self) -> list[float]:
        """Three to six round values between the ends."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1, 2, 5), (1,)):
                ticks = [s * 10.0**p for p in powers for s in steps if self.low <= s * 10.0**p <= self.high]
                if len(ticks) <= 7:
                    break
            return ticks[:: max(1, -(-len(ticks) // 7))]
        rough = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.999)
        return [t * step for t in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


def _merged(values: Sequence[float]) -> list[float]:
    group = -(-len(values) // _MOST_BARS) or 1
    chunks = [values[i : i + group] for i in range(0, len(values), group)]
    return [math.fsum(c) / len(c) for c in chunks]


def _bar(kind: str, i: int, step: float, top: float) -> str:
    gap = min(1.5, step * 0.15)
    height = max(0.5, HEIGHT - _BOTTOM - top)
    return f'<rect class="{kind}" x="{_LEFT + i * step:.2f}" y="{HEIGHT - _BOTTOM - height:.1f}" width="{step - gap:.2f}" height="{height:.1f}"/>'


def _frame(scale: _Scale, y: str, x: str) -> str:
    """Grid lines with their values, and the names of both axes."""
    right = WIDTH - _RIGHT
    parts = []
    for tick in scale.ticks():
        at = scale(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_label(_LEFT - 4, at + 3.5, text.digits(tick), "end"))
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM}"/>')
    parts.append(_label((_LEFT + right) / 2, HEIGHT - 6, x, "middle", "name"))
    middle = (HEIGHT - _BOTTOM + _TOP) / 2
    parts.append(f'<text class="name" text-anchor="middle" transform="rotate(-90)" x="{-middle:.0f}" y="10">{escape(y)}</text>')
    return "".join(parts)


def _label(x: float, y: float, label: str, anchor: str, kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(label)}</text>'


def _svg(parts: Sequence[str], title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>{"".join(parts)}</svg>'
