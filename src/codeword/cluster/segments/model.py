"""Segments: the object that learns segments from a table, names them, and says of other tables who belongs where.

table --features--> X (n, d) --scaling--> rows (n, d) float32 --choose_k, KMeans--> centres (k, d) --profile, naming--> segments
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codeword.cluster.segments import drift as drifting
from codeword.cluster.segments import features, naming, profile, reading, scaling
from codeword.cluster.segments.drift import Drift
from codeword.cluster.segments.features import Features, Options
from codeword.cluster.segments.learned import Learned, because, learned
from codeword.cluster.segments.profile import Profile
from codeword.component import Component, State, array
from codeword.errors import FormatError
from codeword.registry import register

if TYPE_CHECKING:
    from codeword.cluster.choosing import Choice

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_RESAMPLES, _REFERENCES = 20, 5
_STARTS = 5


@register("segments")
class Segments(Component):
    """Customer segments from a log of purchases or a table of customers.

    Parameters
    ----------
    k : int, optional
        Number of segments; by default the one that resampling and the criteria of `choose_k` speak for.
    customer, date, amount : str, optional
        Names of these columns; by default they are recognised.
    value : sequence of str, optional
        Columns of a customer table that add up to what a customer is worth.
    features : sequence of str, optional
        Columns of a customer table to segment by; by default all numbers.
    window : int, optional
        Only purchases of so many days before the last one count. Without it totals grow with the length of the log.
    missing : {"error", "drop"}
        What becomes of rows with empty cells.
    decimal : {".", ","}, optional
    date_format : str, optional
        As for `datetime.strptime`; both are recognised by default.
    k_max : int
        Most segments that are tried.
    seed : int

    Attributes
    ----------
    learned : Learned
        Names of columns and segments, stability, what was done.
    profile : Profile
        Sizes, values, quartiles.
    centres : ndarray (k, d) float32
        In scaled units; segment 1 first, the most valuable, or the largest where values are not known.
    choice : Choice or None
        The figures behind the number of segments; None in a loaded model.
    customers : DataFrame or None
        Customer, segment, name, confidence of those learned from; None in a loaded model, which holds nothing of single customers.

    Examples
    --------
    >>> import numpy as np
    >>> from codeword.cluster import Segments
    >>> rng = np.random.default_rng(0)
    >>> table = {"customer": np.arange(300), "visits": rng.poisson(np.repeat([2, 20, 40], 100)), "age": rng.normal(40, 9, 300)}
    >>> segments = Segments(k=3, features=["visits"]).fit(table)
    >>> segments.learned.names
    ('Near the middle', 'Low visits', 'High visits')
    >>> segments.assign({"customer": ["new"], "visits": [41]})["name"].tolist()
    ['High visits']
    """

    def __init__(
        self,
        k: int | None = None,
        *,
        customer: str | None = None,
        date: str | None = None,
        amount: str | None = None,
        value: Sequence[str] | None = None,
        features: Sequence[str] | None = None,
        window: int | None = None,
        missing: str = "error",
        decimal: str | None = None,
        date_format: str | None = None,
        k_max: int = 8,
        seed: int = 0,
    ) -> None:
        self.k = k
        self.customer = customer
        self.date = date
        self.amount = amount
        self.value = value
        self.features = features
        self.window = window
        self.missing = missing
        self.decimal = decimal
        self.date_format = date_format
        self.k_max = k_max
        self.seed = seed
        self.choice: Choice | None = None
        self.customers: Any = None

    def fit(self, table: Any, *, until: str | None = None) -> Segments:
        """Learn segments.

        Parameters
        ----------
        table : DataFrame, dict of columns, or path of a CSV or Parquet file
            One purchase a row (customer, date, amount), or one customer a row (numbers).
        until : str
            ISO date: later purchases are left out, and recency counts from there. By default the last one in the table.

        Raises
        ------
        ValueError
            For parameters, columns or cells that are not what they should be, with column, row, what was expected and what came.
        """
        from codeword.cluster.estimator import whole

        k_max = whole(self.k_max, "k_max", 3)
        if self.k is not None:
            k_max = max(k_max, whole(self.k, "k", 2))
        made = features.build(reading.read(table), self._options(until))
        if len(made.X) < 2 * k_max:
            raise ValueError(f"table: expected at least {2 * k_max} customers (twice k_max), got {len(made.X)}")
        self.d = made.X.shape[1]
        self._scaling = scaling.fit(made.X)
        rows = self._scaling.apply(made.X)
        labels, squares, sentence = self._choose(rows, made, k_max)
        self.profile = profile.measure(made.X, labels, len(self.centres), made.value, made.categories)
        names = naming.names(made.kind, made.names, self.profile)
        self.learned = learned(made, names, self._together, self._each, sentence, self.profile)
        self._edges = drifting.edges(made.X)
        self._bins = drifting.histogram(made.X, self._edges)
        self._distortion = float(squares.mean())
        self.customers = self._table(made, rows, labels)
        return self

    def assign(self, table: Any, *, until: str | None = None) -> Any:
        """Segments of other customers, or of the same at another time.

        Returns
        -------
        DataFrame
            customer, segment (from 1), name, confidence (0 on the border to the next segment, 1 at the centre), then the columns.

        Raises
        ------
        NotFittedError, ValueError
        """
        made = self._features(table, until)
        rows = self._scaling.apply(made.X)
        return self._table(made, rows, self._nearest(rows)[0])

    def drift(self, table: Any, old: Any = None, *, until: str | None = None, old_until: str | None = None) -> Drift:
        """How customers differ from those learned from, or from `old` ones.

        Parameters
        ----------
        table, old : as for `fit`
            Two files, or one log of purchases with two days.
        until, old_until : str
            ISO dates up to which purchases count.
        """
        new = self._features(table, until)
        now, labels, squares = self._measured(new)
        notes = [drifting.span_note(self.learned.first, self.learned.until, new)] if self.window is None and old is None else []
        if old is None:
            then, base = (self._bins, self.profile.counts), self._distortion
            known = (
                None
                if self.customers is None
                else (self.customers["customer"].to_numpy(object), self.customers["segment"].to_numpy() - 1)
            )
        else:
            was = self._features(old, old_until)
            then, old_labels, old_squares = self._measured(was)
            base, known = float(old_squares.mean()), (was.ids, old_labels)
            notes = [drifting.span_note(was.first, was.until, new)] if self.window is None else []
        named = "customer" in new.columns
        flows = None if known is None or not named else drifting.flows(*known, new.ids, labels, len(self.centres))
        shown = [naming.LABELS.get(n, n) for n in self.learned.columns]
        ratio = float(squares.mean()) / base if base > 0 else 1.0
        return drifting.compare(shown, then, now, flows, ratio, [n for n in notes if n])

    def report(self, table: Any = None, *, drift: Drift | None = None) -> str:
        """A self-contained HTML page of the segments, with the customers of `table` (from `assign`) and the drift, where given."""
        from codeword.cluster.segments.page import page

        self._check_fitted()
        return page(self, table, drift)

    def table(self) -> Any:
        """A row for each segment: size, value, medians and quartiles of the columns; a pandas DataFrame."""
        import pandas as pd

        self._check_fitted()
        made: dict[str, Any] = {
            "segment": np.arange(1, len(self.centres) + 1),
            "name": list(self.learned.names),
            "customers": self.profile.counts,
            "share": self.profile.shares,
        }
        if self.profile.values is not None:
            made["value"] = self.profile.values
        if self.profile.value_shares is not None:
            made["value_share"] = self.profile.value_shares
        for j, name in enumerate(self.learned.columns):
            for q, which in enumerate(("q25", "median", "q75")):
                made[f"{name}_{which}"] = self.profile.quartiles[:, j, q]
        return pd.DataFrame(made)

    # What the page draws

    def scaled(self, customers: Any) -> F32:
        """Rows (n, d) float32 of a table of customers, from `assign`, in the units that segments are made in."""
        return self._scaling.apply(customers[list(self.learned.columns)].to_numpy(np.float64))

    def scaled_quartiles(self, quartiles: F64) -> F32:
        """Quartiles (d, 3) of the columns in those units."""
        return self._scaling.apply(quartiles.T).T

    def scaling_sentence(self) -> str:
        """How the columns were scaled, in words."""
        return self._scaling.sentence([naming.LABELS.get(n, n) for n in self.learned.columns])

    # Steps of fit

    def _options(self, until: str | None) -> Options:
        from codeword.cluster.estimator import one_of, whole

        one_of(self.missing, "missing", ("error", "drop"))
        if self.decimal is not None:
            one_of(self.decimal, "decimal", (".", ","))
        window = None if self.window is None else whole(self.window, "window", 1)
        several = {}
        for name in ("value", "features"):
            given = getattr(self, name) or ()
            if isinstance(given, str):
                raise TypeError(f"{name}: expected a list of columns, got {given!r}")
            several[name] = tuple(given)
        return Options(
            self.customer, self.date, self.amount, until=until, window=window, missing=self.missing, decimal=self.decimal,
            date_format=self.date_format, **several,
        )  # fmt: skip

    def _choose(self, rows: F32, made: Features, k_max: int) -> tuple[NDArray[np.int32], F64, str]:
        """Segments of the number that is best; labels (n,), squared distances (n,), and why, in a sentence."""
        from codeword.cluster.choosing import STABLE, choose_k

        choice = choose_k(rows, k_max, resamples=_RESAMPLES, references=_REFERENCES, random_state=self.seed)
        self.choice = choice
        if self.k is not None:
            return *self._cluster(rows, self.k, made), f"{self.k} segments were asked for."
        stable = [row.k for row in choice.rows if row.k > 1 and row.stability >= STABLE]
        # A cut in two is nearly always the most stable and of the least use.
        votes = list(choice.votes.values())
        for k in sorted(stable, key=lambda k: (k > 2, votes.count(k), k), reverse=True):
            found = self._cluster(rows, k, made)
            if self._together >= STABLE:
                return *found, because(k, stable, choice)
        why = f"No number of segments up to {k_max} is stable; {choice.k} is what most criteria are for."
        return *self._cluster(rows, choice.k, made), why

    def _cluster(self, rows: F32, k: int, made: Features) -> tuple[NDArray[np.int32], F64]:
        """Find the centres, put them in order, measure how they hold; labels (n,) and squared distances (n,)."""
        from codeword.cluster.kmeans import KMeans
        from codeword.cluster.segments import stability

        self.centres: F32 = KMeans(k, n_init=_STARTS, random_state=self.seed).fit(rows).cluster_centers_
        labels, _ = self._nearest(rows)
        weight = made.value if made.value is not None and made.value.sum() > 0 else None
        order = np.argsort(-np.bincount(labels, weight, k), kind="stable")
        used = np.bincount(labels, minlength=k) > 0  # equal customers can be fewer than centres
        self.centres = np.ascontiguousarray(self.centres[order[used[order]]])
        labels, squares = self._nearest(rows)
        self._together, self._each = stability.measure(rows, labels, len(self.centres), _STARTS, self.seed)
        return labels, squares

    def _nearest(self, rows: F32) -> tuple[NDArray[np.int32], F64]:
        from codeword.cluster.engine import assign

        return assign(rows, self.centres)

    # Steps of assign and drift

    def _features(self, table: Any, until: str | None) -> Features:
        """Features of a table that must have the columns learned from."""
        self._check_fitted()
        options = self._options(until)
        frame = reading.read(table)
        if self.learned.kind == "customers":
            options = Options(**{**asdict(options), "features": self.learned.columns, "value": ()})
            given = self.learned.roles.get("customer")
            options = Options(**{**asdict(options), "customer": given if given in frame.columns else options.customer})
        else:
            known = {r: self.learned.roles[r] for r in ("customer", "date", "amount") if self.learned.roles.get(r) in frame.columns}
            options = Options(**{**asdict(options), **known})
        made = features.build(frame, options, self.learned.kind)
        if made.currency and self.learned.currency and made.currency != self.learned.currency:
            raise ValueError(
                f"table: expected amounts in {self.learned.currency}, which the segments were learned from, got {made.currency}"
            )
        return made

    def _measured(self, made: Features) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int32], F64]:
        labels, squares = self._nearest(self._scaling.apply(made.X))
        return (drifting.histogram(made.X, self._edges), np.bincount(labels, minlength=len(self.centres))), labels, squares

    def _table(self, made: Features, rows: F32, labels: NDArray[np.int32]) -> Any:
        import pandas as pd

        data = {
            "customer": made.ids,
            "segment": labels + 1,
            "name": np.array(self.learned.names, object)[labels],
            "confidence": self._confidence(rows),
        }
        return pd.DataFrame({**data, **{name: made.X[:, j] for j, name in enumerate(made.names)}})

    def _confidence(self, rows: F32) -> F64:
        """How much nearer (n,) the nearest centre is than the second: 1 - their ratio of distances."""
        apart = np.linalg.norm(rows[:, None].astype(np.float64) - self.centres, axis=2)
        first, second = np.partition(apart, 1, axis=1)[:, :2].T
        return np.asarray(np.round(np.where(second > 0, 1 - first / np.maximum(second, 1e-300), 0.0), 3), np.float64)

    # Persistence

    def _state(self) -> State:
        p, s = self.profile, self._scaling
        words = json.dumps({**asdict(self.learned), "ways": s.ways}, ensure_ascii=False)
        made: State = {
            "centres": self.centres,
            "words": np.frombuffer(words.encode(), np.uint8),
            "scaling.floor": s.floor,
            "scaling.offset": s.offset,
            "scaling.knots": s.knots,
            "scaling.centre": s.centre,
            "scaling.spread": s.spread,
            "profile.counts": p.counts.astype(np.int64),
            "profile.quartiles": p.quartiles,
            "profile.overall": p.overall,
            "profile.standing": p.standing,
            "drift.edges": self._edges,
            "drift.bins": self._bins.astype(np.int64),
            "drift.distortion": np.array([self._distortion]),
        }
        return made if p.values is None else {**made, "profile.values": p.values}

    def _load(self, state: State) -> None:
        d, f8, i8 = self.d, np.float64, np.int64
        self.centres = array(state, "centres", np.float32, (None, d))
        k = len(self.centres)
        words = json.loads(array(state, "words", np.uint8, (None,)).tobytes())
        if not isinstance(words, dict):
            raise FormatError("array 'words': expected a JSON object")
        ways = tuple(words.pop("ways"))
        self.learned = Learned(**{**words, **{key: tuple(words[key]) for key in ("columns", "names", "holds", "notes")}})
        if (
            k < 2
            or len(self.learned.columns) != d
            or not len(self.learned.names) == len(self.learned.holds) == k
            or len(ways) != d
            or not set(ways) <= set(scaling.WAYS)
        ):
            raise FormatError("array 'words': names of columns and segments do not fit the centres")
        parts = {name: array(state, f"scaling.{name}", f8, (d,)) for name in ("floor", "offset", "centre", "spread")}
        if not (parts["spread"] > 0).all():
            raise FormatError("array 'scaling.spread': expected numbers above 0")
        self._scaling = scaling.Scaling(ways, knots=array(state, "scaling.knots", f8, (d, None)), **parts)
        self.profile = Profile(
            array(state, "profile.counts", i8, (k,)),
            array(state, "profile.quartiles", f8, (k, d, 3)),
            array(state, "profile.overall", f8, (d, 3)),
            array(state, "profile.standing", f8, (k, d)),
            array(state, "profile.values", f8, (k,)) if "profile.values" in state else None,
            self.learned.categories,
        )
        self._edges = array(state, "drift.edges", f8, (d, drifting.BINS - 1))
        self._bins = array(state, "drift.bins", i8, (d, drifting.BINS))
        self._distortion = float(array(state, "drift.distortion", f8, (1,))[0])
