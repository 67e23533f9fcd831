"""Names for segments from what sets them apart, in plain words, and a sentence that says it in figures.

Purchases have the names that marketing gives recency and frequency; other tables are named by the columns whose medians stand farthest
from the middle of all customers. Names are different: where two would be the same, the column that tells them apart best is added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codeword.cluster.segments.profile import Profile
from codeword.text import digits

F64 = NDArray[np.float64]
# Where the median of a segment stands among all customers: below the first is low, above the second high.
_LOW, _HIGH = 0.35, 0.65
_MOST_WORDS, _MOST_SAID = 2, 3
# (recency, frequency): low recency means that they bought lately.
_STAGES = {
    ("low", "high"): "Repeat customers",
    ("low", "middle"): "Active customers",
    ("low", "low"): "New customers",
    ("middle", "high"): "Regulars gone quiet",
    ("middle", "middle"): "Fading customers",
    ("middle", "low"): "Cooling customers",
    ("high", "high"): "At risk",
    ("high", "middle"): "Drifting away",
    ("high", "low"): "Lost customers",
}
_ADVICE = {
    "Repeat customers": "They buy again and again: show them more of the range, reward the next purchase.",
    "Champions": "Thank them, ask them to recommend you, and do not discount what they buy anyway.",
    "Active customers": "They are here now: show them what goes with what they bought.",
    "New customers": "A good second purchase decides whether they stay: welcome them, make it easy.",
    "Regulars gone quiet": "They came back by themselves and have not lately: ask them back before they are lost.",
    "Fading customers": "They bought now and then and less of late: remind them at the times they used to buy.",
    "Cooling customers": "They bought little and not lately: one good reason to return, soon.",
    "At risk": "They bought often and have stopped: ask why, and win them back before others do.",
    "Drifting away": "They have not bought for long: a reminder costs little.",
    "Lost customers": "Most will not return: spend little on them.",
    "Once and gone": "They bought once, long ago: spend little on them.",
}
_PLAIN = {
    "recency": ("bought lately", "bought a while ago", "bought long ago"),
    "frequency": ("few purchases", "some purchases", "many purchases"),
    "monetary": ("small spenders", "medium spenders", "big spenders"),
}
LABELS = {"recency": "days since the last purchase", "frequency": "purchases", "monetary": "amount spent"}


def names(kind: str, columns: Sequence[str], profile: Profile) -> list[str]:
    """Different names for the k segments of a profile."""
    k = len(profile.counts)
    if kind == "purchases":
        made = [_stage(profile, c) for c in range(k)]
        best = [c for c in range(k) if made[c] == _STAGES["low", "high"]]
        if best:  # of those who buy often and lately, the ones who spend most
            made[max(best, key=lambda c: profile.quartiles[c, 2, 1])] = "Champions"
    else:
        made = [_words(columns, profile, c, _MOST_WORDS) for c in range(k)]
    for name in set(made):
        same = [c for c, other in enumerate(made) if other == name]
        if len(same) > 1:
            for c, addition in zip(same, _apart(columns, profile, same), strict=True):
                made[c] = f"{name}, {addition}"
    return [name if made.count(name) == 1 else f"{name} {made[: i + 1].count(name)}" for i, name in enumerate(made)]


def plain(column: str) -> str:
    """The name of a column as a word in a sentence.

    Examples
    --------
    >>> plain("Annual_Income (k$)"), plain("RFM score")
    ('annual income', 'RFM score')
    """
    bare = re.sub(r"\s*[(\[].*?[)\]]", "", column).replace("_", " ").strip() or column
    return " ".join(word.lower() if word.istitle() else word for word in bare.split())


def level(standing: float) -> str:
    """ "low", "middle" or "high" of a standing among all customers."""
    return "low" if standing < _LOW else "high" if standing > _HIGH else "middle"


def advice(name: str) -> str:
    """What to do with a segment of this name; nothing where that cannot be said from a table."""
    return next((text for stage, text in _ADVICE.items() if name.startswith(stage)), "")


def sentence(kind: str, columns: Sequence[str], profile: Profile, c: int, unit: str | None) -> str:
    """What a customer in the middle of segment `c` is like, against one in the middle of all, in words."""
    own, all_ = profile.quartiles[c, :, 1], profile.overall[:, 1]
    if kind == "purchases":
        said = [
            f"{'last purchase ' if i == 0 else ''}{digits(m[0])} days{' ago' if i == 0 else ''}, {_times(m[1])}, {money(m[2], unit)}{' spent' if i == 0 else ''}"
            for i, m in enumerate((own, all_))
        ]
        return f"Typical: {said[0]} (all customers: {said[1]})."
    far = np.argsort(-np.abs(profile.standing[c] - 0.5), kind="stable")[:_MOST_SAID]
    parts = [f"{plain(columns[j])} {digits(own[j])} instead of {digits(all_[j])}" for j in far]
    return f"What sets them apart: {', '.join(parts)} (medians, of all customers second)."


def _times(purchases: float) -> str:
    return f"{digits(purchases)} purchase{'' if purchases == 1 else 's'}"


def money(amount: float, unit: str | None) -> str:
    """An amount with its currency, where one is known.

    Examples
    --------
    >>> money(97.1, "$"), money(1234.5, "EUR"), money(14.5, None)
    ('$97.10', '1,234 EUR', '14.50')
    """
    sign, size = "-" if amount < 0 else "", abs(amount)
    number = f"{size:,.0f}" if size >= 100 or size == int(size) else f"{size:,.2f}"
    if unit is None:
        return sign + number
    return f"{sign}{unit}{number}" if len(unit) == 1 else f"{sign}{number} {unit}"


def _stage(profile: Profile, c: int) -> str:
    recency, frequency = (level(s) for s in profile.standing[c, :2])
    if recency == "high" and profile.quartiles[c, 1, 2] == 1:
        return "Once and gone"
    return _STAGES[recency, frequency]


def _words(columns: Sequence[str], profile: Profile, c: int, most: int) -> str:
    far = profile.standing[c] - 0.5
    order = [j for j in np.argsort(-np.abs(far), kind="stable") if level(profile.standing[c, j]) != "middle"]
    said = [f"{level(profile.standing[c, j])} {plain(columns[j])}" for j in order[:most]]
    text = ", ".join(said) or "near the middle"
    return text[0].upper() + text[1:]


def _apart(columns: Sequence[str], profile: Profile, same: Sequence[int]) -> list[str]:
    """Words that tell segments of one name apart: the column whose medians differ most, in their order."""
    standing = profile.standing[list(same)]
    j = int(np.argmax(np.ptp(standing, axis=0)))
    order = np.argsort(np.argsort(profile.quartiles[list(same), j, 1], kind="stable"), kind="stable")
    short = plain(columns[j])
    low, middle, high = _PLAIN.get(columns[j], (f"lower {short}", f"middling {short}", f"higher {short}"))
    return [low if i == 0 else high if i == len(same) - 1 else middle for i in order]
