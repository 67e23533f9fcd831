"""The report of segments: one HTML page that needs no other file, for people who read no statistics, on a desk or a phone."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from codeword import keys, report, text
from codeword.cluster.segments import naming, pictures, stability
from codeword.cluster.segments.naming import LABELS, money
from codeword.cluster.segments.pictures import percent

if TYPE_CHECKING:
    from codeword.cluster.segments.drift import Drift
    from codeword.cluster.segments.model import Segments

_MAP_STREAM, _MAP_CUSTOMERS = 641, 700
_MOST_STRIPS = 6
_WORDS = {"steady": "Steady", "moving": "Moving", "changed": "Changed"}
_DARK = ("#6ea0ff", "#f5a524", "#34d399", "#f472b6", "#a78bfa", "#a8a29e", "#22d3ee", "#f87171")
_LIGHT = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#57534e", "#0891b2", "#dc2626")
_STYLE = (
    f":root {{ {' '.join(f'--p{i}: {c};' for i, c in enumerate(_LIGHT))} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {' '.join(f'--p{i}: {c};' for i, c in enumerate(_DARK))} }} }}\n"
    + "".join(f".p{i} {{ fill: var(--p{i}); }} .b{i} {{ background: var(--p{i}); }}\n" for i in range(pictures.COLOURS))
    + """svg .pale, i.pale { opacity: .42; } .key i.g { background: var(--soft); }
svg .strong { font-weight: 600; } .segment svg .tick, .segment svg .name, .shares svg .tick, .shares svg .name { font-size: 13px; } svg .track { fill: var(--line); } svg .all { fill: var(--soft); opacity: .28; }
svg .median { stroke: var(--paper); stroke-width: 2; }
.segments { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)); gap: 16px; }
.segment { background: var(--card); border-radius: 10px; padding: 14px 16px; min-width: 0; }
.segment h3 { font-size: 1.08rem; margin: 0; overflow-wrap: anywhere; }
.segment h3 i { display: inline-block; width: 13px; height: 13px; border-radius: 4px; margin-right: 8px; vertical-align: -1px; }
.segment svg { width: 100%; height: auto; display: block; margin-top: 10px; }
.segment .facts { font-weight: 600; }
.note { border-left: 4px solid var(--p1); background: var(--card); border-radius: 0 8px 8px 0; padding: 10px 14px; }
.note.good { border-color: var(--p2); } .note.bad { border-color: var(--p7); }
ul { padding-left: 1.2rem; max-width: 75ch; } li { margin: .25rem 0; overflow-wrap: anywhere; }
"""
)


def page(segments: Segments, table: Any = None, drift: Drift | None = None) -> str:
    """The page of fitted segments; `table` are customers assigned to them, `drift` how those differ."""
    customers = segments.customers if table is None else table
    learned, profile = segments.learned, segments.profile
    n = int(profile.counts.sum())
    parts = [
        report.paragraph(_lead(segments), "lead"),
        _stability(segments),
        report.cards(_facts(segments)),
        *_period(segments),
        *(_drift(segments, drift) if drift is not None else ()),
        report.heading("How big, how valuable"),
        report.figures([_sizes(segments), *_map(segments, customers)]),
        report.heading("The segments, one by one"),
        report.paragraph(
            "The coloured bar is the middle half of the segment's customers, the dot its median, whose value is on the right; the grey bar "
            "behind it is the middle half of all customers. Low is on the left, high on the right.",
            "soft",
        ),
        '<div class="segments">' + "".join(_segment(segments, c) for c in range(len(learned.names))) + "</div>",
        report.heading("Side by side"),
        report.table(*_side_by_side(segments)),
        *_categories(segments),
        report.heading("How this was made"),
        _made(segments),
        *_choice(segments),
    ]
    return report.page(f"{text.count(n)} customers in {len(learned.names)} segments", parts, _STYLE)


def _lead(segments: Segments) -> str:
    learned, profile = segments.learned, segments.profile
    worth = profile.value_shares
    if worth is None:
        c = int(np.argmax(profile.counts))
        return f"The largest segment, {_quoted(learned.names[c])}, has {percent(profile.shares[c])} of the customers."
    c = int(np.argmax(worth))
    said = f"{_quoted(learned.names[c])} are {percent(profile.shares[c])} of the customers and {percent(worth[c])} of the value."
    big = int(np.argmax(profile.counts))
    if big != c:
        said += f" The largest group, {_quoted(learned.names[big])}, is {percent(profile.shares[big])} of them and {percent(worth[big])} of the value."
    return said


def _period(segments: Segments) -> list[str]:
    learned = segments.learned
    return [report.paragraph(f"Purchases from {learned.first} to {learned.until}.", "soft")] if learned.first else []


def _stability(segments: Segments) -> str:
    learned = segments.learned
    figure = f"agreement {learned.stability:.2f}, where 1 is the same and 0 is chance"
    if learned.stable:
        said = f"Stable: made again from 20 random samples of the customers, the segments come out nearly the same ({figure})."
        return f'<p class="note good">{escape(said)}</p>'
    said = (
        f"NOT stable: made again from 20 random samples of the customers, the segments come out different ({figure}; stable is 0.90 or "
        "more). The customers have no clear groups. Take this as a rough division, and do not decide on single customers by it."
    )
    return f'<p class="note bad">{escape(said)}</p>'


def _facts(segments: Segments) -> list[tuple[str, str]]:
    learned, profile = segments.learned, segments.profile
    facts = [("customers", text.count(profile.counts.sum())), ("segments", str(len(learned.names)))]
    if profile.values is not None:
        facts.append((f"value: {_short(learned.value_name)}", money(float(profile.values.sum()), learned.currency)))
        facts.append(("a customer, on average", money(float(profile.values.sum() / profile.counts.sum()), learned.currency)))
    facts.append(("stability, 0 to 1", f"{learned.stability:.2f}"))
    return facts


def _sizes(segments: Segments) -> str:
    names, profile = _numbered(segments), segments.profile
    worth = profile.value_shares
    words = ("share of the customers", "share of the value" if worth is not None else "")
    picture = pictures.pairs(names, profile.shares.tolist(), None if worth is None else worth.tolist(), words)
    caption = (
        "A segment whose pale bar is longer is worth more than its size." if worth is not None else "Customers in each segment."
    )
    return report.figure(picture, caption)


def _map(segments: Segments, customers: Any) -> list[str]:
    """Customers by the two columns that tell the segments apart best; for one column, or a loaded model without customers, none."""
    columns = segments.learned.columns
    if customers is None or len(columns) < 2:
        return []
    order = np.argsort(-segments.centres.var(axis=0), kind="stable")
    chosen = [0, 2] if segments.learned.kind == "purchases" else sorted(order[:2].tolist())
    shown = customers.iloc[keys.sample(segments.seed, _MAP_STREAM, len(customers), _MAP_CUSTOMERS)]
    scaled = segments.scaled(shown)[:, chosen].astype(np.float64)
    quartiles = segments.scaled_quartiles(segments.profile.overall)
    axes = []
    for j in chosen:
        ticks = [(float(s), _value(segments, j, v)) for s, v in zip(quartiles[j], segments.profile.overall[j], strict=True)]
        axes.append((LABELS.get(columns[j], columns[j]), ticks))
    picture = pictures.scatter(scaled, shown["segment"].to_numpy() - 1, axes) + pictures.legend(_numbered(segments))
    return [
        report.figure(
            picture, f"{text.count(len(shown))} customers drawn at random. The lines are at the quartiles of all customers."
        )
    ]


def _segment(segments: Segments, c: int) -> str:
    learned, profile = segments.learned, segments.profile
    facts = [f"{text.plural(int(profile.counts[c]), 'customer')} ({percent(profile.shares[c])})"]
    if profile.values is not None and profile.value_shares is not None:
        each = money(float(profile.values[c] / profile.counts[c]), learned.currency)
        facts.append(f"{percent(profile.value_shares[c])} of the value, {each} each")
    far = np.argsort(-np.abs(profile.standing[c] - 0.5), kind="stable")[:_MOST_STRIPS]
    which = sorted(far.tolist())
    own, overall = (segments.scaled_quartiles(q)[which] for q in (profile.quartiles[c], profile.overall))
    values = [_value(segments, j, profile.quartiles[c, j, 1]) for j in which]
    body = [
        f'<h3><i class="b{c % pictures.COLOURS}"></i>{escape(_numbered(segments)[c])}</h3>',
        report.paragraph(" · ".join(facts), "facts"),
        report.paragraph(naming.sentence(learned.kind, learned.columns, profile, c, learned.currency)),
    ]
    advice = naming.advice(learned.names[c]) if learned.kind == "purchases" else ""
    body += [report.paragraph(advice, "soft")] if advice else []
    if learned.holds[c] < stability.SOLID:
        body.append(report.paragraph(f"Not solid: of a resampled segment {percent(learned.holds[c])} is the same.", "note"))
    labels = [LABELS.get(learned.columns[j], learned.columns[j]) for j in which]
    return f'<section class="segment">{"".join(body)}{pictures.strips(c, labels, values, own, overall)}</section>'


def _side_by_side(segments: Segments) -> tuple[list[str], list[list[str]]]:
    """Medians of the segments and of all customers."""
    learned, profile = segments.learned, segments.profile
    head = ["segment, median of", *(LABELS.get(c, c) for c in learned.columns)]
    rows = [
        [name, *(_value(segments, j, profile.quartiles[c, j, 1]) for j in range(len(learned.columns)))]
        for c, name in enumerate(_numbered(segments))
    ]
    rows.append(["all customers", *(_value(segments, j, profile.overall[j, 1]) for j in range(len(learned.columns)))])
    return head, rows


def _categories(segments: Segments) -> list[str]:
    parts = []
    for name, shares in segments.learned.categories.items():
        rows = [
            [label, *(percent(column[c]) for column in shares.values())]
            for c, label in enumerate([*_numbered(segments), "all customers"])
        ]
        parts += [report.paragraph(f"{name}, which was not used to make the segments:"), report.table(["segment", *shares], rows)]
    return parts


def _made(segments: Segments) -> str:
    learned = segments.learned
    n = text.plural(int(segments.profile.counts.sum()), "customer")
    if learned.kind == "purchases":
        read = ", ".join(f"{role} from {_quoted(name)}" for role, name in learned.roles.items())
        steps = [
            f"Read {text.plural(learned.rows, 'row')} of purchases by {n}, {learned.first} to {learned.until} ({read}).",
            f"For each customer: days from the last purchase to {learned.until}, number of purchases, amount spent.",
        ]
    else:
        steps = [f"Read {n}; compared by {', '.join(map(_quoted, learned.columns))}."]
    steps += [
        segments.scaling_sentence(),
        f"Number of segments: {learned.chosen}",
        "Each customer belongs to the nearest centre (k-means). Confidence in the exported list is 1 at a centre and 0 on the border to the "
        "next segment.",
        *learned.notes,
    ]
    return "<ul>" + "".join(f"<li>{escape(step)}</li>" for step in steps) + "</ul>"


def _choice(segments: Segments) -> list[str]:
    choice = segments.choice
    if choice is None:
        return []
    head = ["segments", "stability", "silhouette", "gap", "distortion"]
    rows = [
        [str(r.k), *("–" if np.isnan(v) else f"{v:.2f}" for v in (r.stability, r.silhouette, r.gap, r.distortion))]
        for r in choice.rows
    ]
    return [
        report.paragraph(
            "What was measured for each number of segments. Stability: agreement of segments from random samples of the customers. "
            "Silhouette: how much nearer customers are to their own segment than to the next. Gap: how much tighter the segments are "
            "than those of customers without groups. Distortion: mean squared distance to the centre.",
            "soft",
        ),
        report.table(head, rows),
    ]


def _drift(segments: Segments, drift: Drift) -> list[str]:
    kind = {"steady": "good", "moving": "", "changed": "bad"}[drift.verdict]
    names = _numbered(segments)
    picture = pictures.pairs(names, drift.now.tolist(), drift.then.tolist(), ("share now", "share then"))
    rows = [[name, f"{float(v):.2f}", _WORDS[str(g)]] for name, v, g in drift.table().itertuples()]
    shown = [
        report.heading("What has changed"),
        f'<p class="note {kind}">{escape(drift.sentence)}</p>',
        *(report.paragraph(note, "soft") for note in drift.notes),
        report.figures([report.figure(picture, f"{text.count(drift.before)} customers then, {text.count(drift.after)} now.")]),
        report.table(["", "stability index", "verdict"], rows),
        report.paragraph(
            "Stability index (population stability index): below 0.1 nothing to speak of, above 0.25 a change. Customers are now "
            f"{text.digits(drift.distortion)} times as far from the centres of their segments (mean squared distance) as then.",
            "soft",
        ),
    ]
    if drift.flows is not None:
        head = ["from, to", *(str(c + 1) for c in range(len(names)))]
        shown += [
            report.paragraph("Customers in both, by their segment then (rows) and now (columns):"),
            report.table(head, [[name, *map(text.count, row)] for name, row in zip(names, drift.flows.tolist(), strict=True)]),
        ]
    return shown


def _numbered(segments: Segments) -> list[str]:
    return [f"{i}. {name}" for i, name in enumerate(segments.learned.names, 1)]


def _value(segments: Segments, j: int, value: float) -> str:
    """A number of column j with its unit."""
    learned = segments.learned
    return (
        money(value, learned.currency) if learned.kind == "purchases" and learned.columns[j] == "monetary" else text.digits(value)
    )


def _quoted(name: str) -> str:
    return f"“{name}”"


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
