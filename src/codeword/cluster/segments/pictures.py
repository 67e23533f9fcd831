"""Pictures of segments as inline SVG, 360 units wide as those of `codeword.svg`: paired shares, ranges of columns, a map of customers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codeword.svg import WIDTH

F64 = NDArray[np.float64]
COLOURS = 8
_ROW, _BAR = 46, 10
_NUMBER = 46
_STRIP = 42
_REACH = 3.6
_MAP_HEIGHT, _MAP_LEFT, _MAP_BOTTOM = 300, 52, 40


def pairs(names: Sequence[str], first: Sequence[float], second: Sequence[float] | None, words: tuple[str, str]) -> str:
    """Two bars of shares a segment, the second paler, and a legend; one where there is no second."""
    top = max([*first, *(second if second is not None else ()), 1e-9])
    height = _ROW * len(names) if second is not None else (_ROW - _BAR - 2) * len(names)
    step = height / max(1, len(names))
    parts = []
    for i, name in enumerate(names):
        y = i * step
        parts.append(f'<text class="name" x="0" y="{y + 13:.0f}">{escape(name)}</text>')
        parts.append(_share("f", i, y + 19, first[i], top))
        if second is not None:
            parts.append(_share("f pale", i, y + 19 + _BAR + 2, second[i], top))
    keys = "".join(
        f'<span class="key"><i class="g{" pale" if j else ""}"></i>{escape(word)}</span>' for j, word in enumerate(words) if word
    )
    drawn = _svg(height, parts, " and ".join(w for w in words if w))
    return f'<div class="shares">{drawn}<div class="legend">{keys}</div></div>'


def _share(kind: str, i: int, y: float, share: float, top: float) -> str:
    width = max(1.0, (WIDTH - _NUMBER) * share / top)
    return (
        f'<rect class="{kind} p{i % COLOURS}" x="0" y="{y:.1f}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
        f'<text class="tick" x="{width + 5:.1f}" y="{y + 9.5:.1f}">{percent(share)}</text>'
    )


def strips(colour: int, labels: Sequence[str], values: Sequence[str], own: NDArray[Any], overall: NDArray[Any]) -> str:
    """For each column the middle half of a segment, (d, 3) in scaled units, before that of all customers, with its median in words."""
    parts = []
    for j, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = j * _STRIP
        low, middle, high = (_across(v) for v in own[j])
        pale = [_across(v) for v in overall[j]]
        parts.append(f'<text class="tick" x="0" y="{y + 12}">{escape(label)}</text>')
        parts.append(f'<text class="name strong" x="{WIDTH}" y="{y + 12}" text-anchor="end">{escape(value)}</text>')
        parts.append(f'<rect class="track" x="0" y="{y + 25}" width="{WIDTH}" height="3" rx="1.5"/>')
        parts.append(
            f'<rect class="all" x="{pale[0]:.1f}" y="{y + 21}" width="{max(2.0, pale[2] - pale[0]):.1f}" height="11" rx="3"/>'
        )
        parts.append(
            f'<rect class="f p{colour % COLOURS}" x="{low:.1f}" y="{y + 23}" width="{max(3.0, high - low):.1f}" height="7" rx="3"/>'
        )
        parts.append(f'<circle class="median p{colour % COLOURS}" cx="{middle:.1f}" cy="{y + 26.5}" r="5"/>')
    return _svg(_STRIP * len(labels), parts, "the middle half of the segment, and of all customers behind it")


def _across(scaled: float) -> float:
    return 6 + (WIDTH - 12) * (min(_REACH, max(-_REACH, float(scaled))) + _REACH) / (2 * _REACH)


def scatter(points: F64, labels: NDArray[np.int64], axes: Sequence[tuple[str, Sequence[tuple[float, str]]]]) -> str:
    """Customers (n, 2) in scaled units, in the colours of their segments (n,); an axis is its name and ticks (place, text)."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    x = _MAP_LEFT + 6 + (WIDTH - _MAP_LEFT - 12) * (points[:, 0] - low[0]) / span[0]
    y = _MAP_HEIGHT - _MAP_BOTTOM - 6 - (_MAP_HEIGHT - _MAP_BOTTOM - 14) * (points[:, 1] - low[1]) / span[1]
    parts = [
        f'<circle class="f p{c % COLOURS}" cx="{a:.1f}" cy="{b:.1f}" r="2.2" opacity=".6"/>'
        for a, b, c in zip(x, y, labels, strict=True)
    ]
    floor = _MAP_HEIGHT - _MAP_BOTTOM
    last = -99.0
    for place, text in axes[0][1]:
        at = _MAP_LEFT + 6 + (WIDTH - _MAP_LEFT - 12) * (place - low[0]) / span[0]
        if at - last >= 34 and _MAP_LEFT <= at <= WIDTH:
            parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="4" y2="{floor}"/>')
            parts.append(
                f'<text class="tick" x="{at:.1f}" y="{floor + 13}" text-anchor="{"end" if at > WIDTH - 16 else "middle"}">{escape(text)}</text>'
            )
            last = at
    last = 999.0
    for place, text in axes[1][1]:
        at = floor - 6 - (floor - 14) * (place - low[1]) / span[1]
        if last - at >= 13 and 0 <= at <= floor:
            parts.append(f'<line class="grid" x1="{_MAP_LEFT}" x2="{WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>')
            parts.append(f'<text class="tick" x="{_MAP_LEFT - 4}" y="{at + 3.5:.1f}" text-anchor="end">{escape(text)}</text>')
            last = at
    parts.append(
        f'<text class="name" x="{(_MAP_LEFT + WIDTH) / 2:.0f}" y="{_MAP_HEIGHT - 8}" text-anchor="middle">{escape(axes[0][0])}</text>'
    )
    parts.append(
        f'<text class="name" text-anchor="middle" transform="rotate(-90)" x="{-floor / 2:.0f}" y="11">{escape(axes[1][0])}</text>'
    )
    return _svg(_MAP_HEIGHT, parts, f"customers by {axes[0][0]} and {axes[1][0]}")


def legend(names: Sequence[str]) -> str:
    """The colours of the segments."""
    keys = "".join(f'<span class="key"><i class="b{i % COLOURS}"></i>{escape(name)}</span>' for i, name in enumerate(names))
    return f'<div class="legend">{keys}</div>'


def percent(share: float) -> str:
    """A share as people read it.

    Examples
    --------
    >>> percent(0.416), percent(0.0042), percent(0.0)
    ('42 %', '0.4 %', '0 %')
    """
    return f"{100 * share:.1f} %" if 0 < share < 0.0095 else f"{100 * share:.0f} %"


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img"><title>{escape(title)}</title>{"".join(parts)}</svg>'
