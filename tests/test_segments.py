"""Segments are read from any honest table, found again under resampling or said not to be, kept in files, and shown on a page for people."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from data import folder

pytest.importorskip("sklearn", reason="scikit-learn comes with the extra cluster")
pytest.importorskip("pandas", reason="pandas comes with the extra cluster")

import pandas as pd

import codeword as cw
from codeword.cli.app import app
from codeword.cluster import Segments
from codeword.cluster.segments import drift as drifting
from codeword.cluster.segments import features, naming, scaling, values
from codeword.cluster.segments.columns import recognise
from codeword.cluster.segments.features import Options
from test_report import Page

START = np.datetime64("2021-01-01")


def log(seed: int = 0, each: int = 120) -> Any:
    """Purchases of three kinds of customers: often and lately, sometimes, once and long ago."""
    rng = np.random.default_rng(seed)
    rows = []
    for kind, (often, money, lately) in enumerate([(15, 80, 360), (5, 40, 250), (1, 15, 60)]):
        for i in range(each):
            n = 1 if often == 1 else 1 + rng.poisson(often)
            days = np.sort(rng.integers(0, 50, n) + lately - 50)
            rows += [
                (f"c{kind}-{i}", START + int(d), round(float(m), 2))
                for d, m in zip(days, rng.gamma(20, money / 20, n), strict=True)
            ]
    return pd.DataFrame(rows, columns=["Customer ID", "Order Date", "Amount"])


@pytest.fixture(scope="module")
def purchases() -> Any:
    return log()


@pytest.fixture(scope="module")
def fitted(purchases: Any) -> Segments:
    return Segments(k_max=5).fit(purchases)


def customers_folder() -> Path:
    where = folder()
    if where is None or not (where / "customers").is_dir():
        pytest.skip("data set customers not found; set CODEWORD_DATA to the folder that holds it")
    return where / "customers"


@pytest.fixture(scope="module")
def cdnow() -> Any:
    data = np.load(customers_folder() / "cdnow_transactions.npz")
    day = np.datetime64("1997-01-01") + data["day"].astype("timedelta64[D]")
    return pd.DataFrame(
        {"customer": data["customer"], "date": day.astype("datetime64[s]"), "amount": data["amount"].astype(np.float64)}
    )


# Reading


@pytest.mark.parametrize(
    ("cells", "expected", "currency"),
    [
        (["1", "2.5", "-3"], [1, 2.5, -3], None),
        (["1,234.50", "12.00", ".5"], [1234.5, 12, 0.5], None),
        (["1.234,50", "12,00", "7"], [1234.5, 12, 7], None),
        (["1 234,5", "2'000,25"], [1234.5, 2000.25], None),
        (["$1,200.00", "$ 3.10", "-$4", "($5.00)"], [1200, 3.1, -4, -5], "$"),
        (["12,50 €", "1.000,00 €"], [12.5, 1000], "€"),
        (["EUR 5.25", "6.00 eur"], [5.25, 6], "EUR"),
        (["1e3", "", "n/a"], [1000, np.nan, np.nan], None),
        ([1, 2, None], [1, 2, np.nan], None),
    ],
)
def test_numbers_are_read_in_the_notation_of_their_column(cells: list[Any], expected: list[float], currency: str | None) -> None:
    got, unit = values.numbers(pd.Series(cells), "amount")
    np.testing.assert_array_equal(got, expected)
    assert unit == currency


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2021-03-31", "2021-04-01"], ["2021-03-31", "2021-04-01"]),
        (["31.03.2021", "01.04.2021"], ["2021-03-31", "2021-04-01"]),
        (["03/31/2021", "04/01/2021"], ["2021-03-31", "2021-04-01"]),
        (["31/03/2021 8:26", "01/04/2021 23:59"], ["2021-03-31", "2021-04-01"]),
        (["2021-03-31T23:30:00+02:00", "2021-04-01T00:00:00Z"], ["2021-03-31", "2021-04-01"]),
        (["20210331", ""], ["2021-03-31", "NaT"]),
        ([20210331, 20210401], ["2021-03-31", "2021-04-01"]),
        (["31 Mar 2021", "1 Apr 2021"], ["2021-03-31", "2021-04-01"]),
        (["04/04/2021", "05/05/2021"], ["2021-04-04", "2021-05-05"]),
    ],
)
def test_days_are_read_in_the_notation_of_their_column(cells: list[Any], expected: list[str]) -> None:
    np.testing.assert_array_equal(values.days(pd.Series(cells), "date"), np.array(expected, "datetime64[D]"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["customer", "date", "amount"], {"customer": "customer", "date": "date", "amount": "amount"}),
        (["Kunde", "Datum", "Betrag"], {"customer": "Kunde", "date": "Datum", "amount": "Betrag"}),
        (["user_id", "purchased_at", "Total ($)"], {"customer": "user_id", "date": "purchased_at", "amount": "Total ($)"}),
        (["Order Date", "Ship Date", "Client", "Sales"], {"date": "Order Date", "customer": "Client", "amount": "Sales"}),
        (["start date", "ship date", "client", "sales"], {"date": None}),
        (["client segment key", "day", "spend"], {"customer": "client segment key"}),
    ],
)
def test_columns_are_recognised_by_their_names(names: list[str], expected: dict[str, str | None]) -> None:
    found = vars(recognise(names, {}))
    assert {role: found[role] for role in expected} == expected


BAD = [
    ({"Amount": "12.3.4"}, {}, r"column 'Amount', row 3: expected a number like 12,345.67, got '12.3.4'"),
    (
        {"Amount": "€5.00"},
        {"money": "$"},
        r"column 'Amount', row 3: expected an amount in \$, as in \d+ % of the rows, got '€5.00'",
    ),
    ({"Amount": ""}, {}, r"column 'Amount', row 3: expected a value, it is empty, as 1 row of it"),
    ({"Amount": "inf"}, {}, r"column 'Amount', row 3: expected a number"),
    ({"Order Date": "2021-02-30"}, {}, r"column 'Order Date', row 3: expected a date like 2021-03-31, got '2021-02-30'"),
    ({"Order Date": "1021-02-03"}, {}, r"column 'Order Date', row 3: expected a date"),
    ({"Customer ID": ""}, {}, r"column 'Customer ID', row 3: expected a value, it is empty"),
    ({}, {"amount": "Price"}, r"amount: expected one of the columns 'Customer ID', 'Order Date', 'Amount', got 'Price'"),
    ({}, {"drop": "Order Date"}, r"customer 'c0-0' has several rows, so these are purchases; .* found none for date among"),
    ({}, {"decimal": ";"}, r"decimal: expected one of '.', ',', got ';'"),
    ({}, {"missing": "fill"}, r"missing: expected one of 'error', 'drop'"),
    ({}, {"k": 1}, r"k: expected an integer of at least 2"),
    ({}, {"window": 0}, r"window: expected an integer of at least 1"),
    ({}, {"until": "31 May"}, r"until: expected a date like 2021-03-31, got '31 May'"),
    ({}, {"until": "2019-01-01"}, r"until: expected purchases up to 2019-01-01, the table has none"),
    ({}, {"head": 5}, r"table: expected at least 16 customers"),
    ({}, {"head": 0}, r"table: expected at least one row"),
]


@pytest.mark.parametrize(("cells", "given", "message"), BAD)
def test_bad_tables_are_refused_by_column_and_row(
    purchases: Any, cells: dict[str, str], given: dict[str, Any], message: str
) -> None:
    given = dict(given)
    table = purchases.astype(str)
    if "money" in given:
        table["Amount"] = given.pop("money") + table["Amount"]
    for column, cell in cells.items():
        table.loc[2, column] = cell
    table = table.head(given.pop("head", len(table))).drop(columns=given.pop("drop", []))
    until = given.pop("until", None)
    with pytest.raises(ValueError, match=message):
        Segments(**given).fit(table, until=until)


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("date", ["01/02/2021", "03/04/2021"], "can be read as day/month and as month/day"),
        ("amount", ["1.234", "5.678"], "can be read in two ways"),
        ("currency", ["EUR", "USD"], r"column 'currency', row 2: expected 'EUR', as in 50 % of the rows, got 'USD'"),
    ],
)
def test_what_can_be_read_in_two_ways_is_asked_for(column: str, cells: list[str], message: str) -> None:
    table = pd.DataFrame({"customer": ["a", "b"], "date": ["2021-01-01", "2021-01-02"], "amount": ["1", "2"]}).assign(
        **{column: cells}
    )
    with pytest.raises(ValueError, match=message):
        features.build(table, Options())


def test_files_of_any_common_kind_give_the_same_features(tmp_path: Path, purchases: Any) -> None:
    pytest.importorskip("pyarrow")
    plain = features.build(purchases, Options())
    german = purchases.astype(str).assign(Amount=[f"{a:.2f} €".replace(".", ",") for a in purchases["Amount"]])
    purchases.to_csv(tmp_path / "a.csv", index=False)
    german.to_csv(tmp_path / "b.csv", index=False, sep=";", encoding="utf-8-sig")
    german.to_csv(tmp_path / "c.csv", index=False, sep="\t", encoding="cp1252")
    purchases.to_parquet(tmp_path / "d.parquet")
    from codeword.cluster.segments.reading import read

    for name in ("a.csv", "b.csv", "c.csv", "d.parquet"):
        got = features.build(read(tmp_path / name), Options())
        np.testing.assert_allclose(got.X, plain.X, rtol=1e-12)
        assert got.ids.tolist() == plain.ids.tolist()


@pytest.mark.parametrize(
    ("name", "content"), [("x.csv", b""), ("x.csv", b"a,b\n1,2,3\n"), ("x.csv", b"\0\1\2"), ("x.parquet", b"none")]
)
def test_files_that_are_no_tables_are_format_errors(tmp_path: Path, name: str, content: bytes) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(cw.FormatError, match=re.escape(name)):
        Segments().fit(tmp_path / name)


# Features


@pytest.mark.parametrize("window", [None, 100])
def test_recency_frequency_and_money_are_what_they_say(purchases: Any, window: int | None) -> None:
    until = "2021-11-15"
    made = features.build(purchases, Options(until=until, window=window))
    for customer, row in zip(made.ids[::17], made.X[::17], strict=True):
        own = purchases[purchases["Customer ID"] == customer]
        own = own[own["Order Date"] <= pd.Timestamp(until)]
        if window:
            own = own[own["Order Date"] > pd.Timestamp(until) - pd.Timedelta(days=window)]
        expected = [(pd.Timestamp(until) - own["Order Date"].max()).days, len(own), own["Amount"].sum()]
        np.testing.assert_allclose(row, expected)


def test_returns_lower_money_and_are_no_purchases() -> None:
    table = {"customer": ["a", "a", "b"], "date": ["2021-01-01", "2021-02-01", "2021-03-01"], "amount": [10.0, -4.0, 5.0]}
    made = features.build(pd.DataFrame(table), Options())
    assert made.X.tolist() == [[59, 1, 6], [0, 1, 5]]
    assert "returns" in made.notes[0]


def test_lines_of_one_order_are_one_purchase_of_price_times_quantity() -> None:
    table = {
        "InvoiceNo": [1, 1, 2],
        "Quantity": [2, 1, 3],
        "InvoiceDate": ["2021-01-01"] * 3,
        "UnitPrice": [1.5, 2, 1],
        "CustomerID": [7, 7, 8],
    }
    assert features.build(pd.DataFrame(table), Options()).X.tolist() == [[0, 1, 5], [0, 1, 3]]


def test_the_order_of_rows_does_not_matter(purchases: Any, fitted: Segments) -> None:
    again = Segments(k_max=5).fit(purchases.sample(frac=1, random_state=1))
    assert again.centres.tobytes() == fitted.centres.tobytes()


def test_skewed_columns_are_bent_and_outliers_do_not_rule() -> None:
    rng = np.random.default_rng(0)
    X = np.stack([rng.normal(size=2000), np.exp(rng.normal(size=2000)), -np.exp(rng.normal(size=2000))], axis=1)
    X[:3] *= 1e6
    made = scaling.fit(X)
    assert scaling.fit(X[3:]).ways == ("as it is", "logarithm", "ranks")
    rows = made.apply(X)
    assert np.abs(rows).max() <= 3.5
    assert (np.abs(np.median(rows, axis=0)) < 0.05).all()
    assert np.array_equal(made.apply(X[5:6]), rows[5:6])


# Segments


def test_kinds_of_customers_are_found_named_and_stable(fitted: Segments) -> None:
    kinds = [str(c).partition("-")[0] for c in fitted.customers["customer"]]
    table = pd.crosstab(np.array(kinds), fitted.customers["segment"].to_numpy())
    assert fitted.learned.stable
    assert table.shape == (3, 3)
    assert (table.max(axis=1) / table.sum(axis=1) > 0.9).all()
    assert fitted.learned.names[0] == "Champions"
    assert fitted.learned.names[-1] == "Once and gone"
    assert min(fitted.learned.holds) > 0.75


def test_profiles_are_of_the_customers_in_their_units(fitted: Segments) -> None:
    table, customers = fitted.table(), fitted.customers
    for c, row in table.iterrows():
        own = customers[customers["segment"] == c + 1]
        assert row["customers"] == len(own)
        assert row["value"] == pytest.approx(own["monetary"].sum())
        assert row["recency_q25"] == pytest.approx(own["recency"].quantile(0.25))
        assert row["monetary_median"] == pytest.approx(own["monetary"].median())
    assert table["share"].sum() == pytest.approx(1)
    assert table["value_share"].sum() == pytest.approx(1)


def test_customers_are_assigned_as_learned_and_by_themselves(fitted: Segments, purchases: Any) -> None:
    again = fitted.assign(purchases)
    pd.testing.assert_frame_equal(again, fitted.customers)
    one = fitted.assign(purchases[purchases["Customer ID"] == "c0-7"], until=fitted.learned.until)
    assert one["segment"].tolist() == again[again["customer"] == "c0-7"]["segment"].tolist()
    assert again["confidence"].between(0, 1).all()


def test_a_saved_model_assigns_and_compares_alike_and_holds_no_customer(tmp_path: Path, fitted: Segments, purchases: Any) -> None:
    cw.save(fitted, tmp_path / "model.cw")
    loaded = cw.load(tmp_path / "model.cw")
    assert loaded == fitted
    assert loaded.customers is None
    pd.testing.assert_frame_equal(loaded.assign(purchases), fitted.assign(purchases))
    assert loaded.drift(purchases).verdict == "steady"
    assert b"c0-7" not in (tmp_path / "model.cw").read_bytes()
    assert "Champions" in loaded.report()


def test_a_model_of_an_earlier_release_assigns_as_it_did() -> None:
    golden = Path(__file__).parent / "golden" / "segments"
    made = cw.load(golden / "model.cw").assign(golden / "purchases.csv")
    then = pd.read_csv(golden / "assigned.csv")
    assert made["customer"].tolist() == then["customer"].tolist()
    assert made["segment"].tolist() == then["segment"].tolist()
    assert made["name"].tolist() == then["name"].tolist()
    np.testing.assert_allclose(made["confidence"], then["confidence"], atol=2e-3)


def test_arrays_that_do_not_fit_are_format_errors(fitted: Segments) -> None:
    config, state = fitted.config(), fitted.state()
    for name in state:
        if name != "profile.values":
            with pytest.raises(cw.FormatError):
                Segments.from_config(config, {k: v for k, v in state.items() if k != name})
    for wrong in (b"[]", b"{", b'{"ways": []}'):
        with pytest.raises(cw.FormatError):
            Segments.from_config(config, {**state, "words": np.frombuffer(wrong, np.uint8)})


def test_names_differ_whatever_the_segments(fitted: Segments) -> None:
    for k in (2, 4, 7):
        names = Segments(k).fit(log(k)).learned.names
        assert len(set(names)) == len(names) == k


def test_tables_of_customers_are_segmented_by_their_numbers() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], 60)
    table = pd.DataFrame(
        {
            "client": [f"n{i}" for i in range(180)],
            "visits per year": np.array([4, 20, 60])[group] + rng.integers(0, 4, 180),
            "basket (EUR)": np.array([80.0, 25, 55])[group] + rng.normal(0, 3, 180),
            "region": np.array(["north", "south"])[rng.integers(0, 2, 180)],
            "remark": [f"text {i}" for i in range(180)],
            "country": 49,
        }
    )
    made = Segments(k_max=5, value=["basket (EUR)"]).fit(table)
    assert made.learned.columns == ("visits per year", "basket (EUR)")
    assert set(made.learned.names) == {"High basket, low visits per year", "Low basket", "High visits per year"}
    assert made.learned.categories["region"].keys() == {"north", "south"}
    assert any("'remark' left out" in note for note in made.learned.notes)
    with pytest.raises(ValueError, match=r"features: expected one of the columns .*, got 'visits per year'"):
        made.assign(table.drop(columns="visits per year"))


def test_customers_without_groups_are_said_to_have_none() -> None:
    rng = np.random.default_rng(0)
    made = Segments().fit(
        {"a": rng.normal(size=500), "b": rng.normal(size=500), "c": rng.normal(size=500), "e": rng.normal(size=500)}
    )
    assert not made.learned.stable
    assert "NOT stable" in Page(made.report()).words


# Drift


def test_drift_between_two_days_counts_who_moved(fitted: Segments, purchases: Any) -> None:
    made = fitted.drift(purchases, purchases, until="2021-12-26", old_until="2021-10-01")
    was, now = (fitted.assign(purchases, until=day).set_index("customer")["segment"] for day in ("2021-10-01", "2021-12-26"))
    both = was.index.intersection(now.index)
    assert made.known == len(both)
    assert made.moved == pytest.approx((was[both] != now[both]).mean())
    assert made.flows is not None
    assert made.flows.sum() == len(both)


def test_drift_grades_what_changes(fitted: Segments, purchases: Any) -> None:
    other = log(seed=5)
    assert fitted.drift(other).verdict == "steady"
    richer = purchases.assign(Amount=3 * purchases["Amount"])
    made = fitted.drift(richer)
    assert made.verdict == "changed"
    assert max(made.stability, key=lambda n: made.stability[n]) == "amount spent"
    assert made.stability["purchases"] == 0
    assert "amount spent" in made.sentence


def test_logs_of_other_lengths_are_warned_of(fitted: Segments, purchases: Any) -> None:
    short = purchases[purchases["Order Date"] > pd.Timestamp("2021-11-20")]
    assert "compare equal lengths" in fitted.drift(short).notes[0]


def test_chance_alone_is_no_drift() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    inner = drifting.edges(X)
    verdicts = []
    for _ in range(40):
        now = drifting.histogram(rng.normal(size=(60, 3)), inner)
        counts = np.array([20, 40])
        verdicts.append(drifting.compare("abc", (drifting.histogram(X, inner), counts), (now, counts), None, 1.0).verdict)
    assert verdicts.count("steady") >= 36


# Real tables


def test_purchases_of_a_shop_have_stable_segments(cdnow: Any) -> None:
    made = Segments().fit(cdnow)
    assert len(made.customers) == 23544
    assert made.learned.rows == 69659
    assert made.learned.stability >= 0.9
    assert 3 <= len(made.learned.names) <= 8
    given = np.load(customers_folder() / "cdnow_rfm.npy")
    mine = made.customers.assign(customer=made.customers["customer"].astype(int)).sort_values("customer")
    np.testing.assert_allclose(mine["frequency"], given[:, 1])
    np.testing.assert_allclose(mine["monetary"], given[:, 2], rtol=1e-5)
    assert made.table()["value_share"].max() > made.table()["share"].max() / 2


@pytest.mark.parametrize(
    ("name", "given"),
    [("wholesale", {"value": ["Fresh", "Milk", "Grocery", "Frozen", "Detergents_Paper", "Delicassen"]}), ("mall", {})],
)
def test_other_tables_are_stable_or_the_report_says_that_they_are_not(name: str, given: dict[str, Any]) -> None:
    made = Segments(**given).fit(customers_folder() / f"{name}_customers.csv")
    words = Page(made.report()).words
    assert ("NOT stable" in words) == (made.learned.stability < 0.9)
    assert all(n in words for n in made.learned.names)


# The page and the command


def test_the_page_stands_alone_and_survives_any_name(fitted: Segments) -> None:
    table = pd.DataFrame({"<b>a&": np.arange(60.0) % 7, "url(x)": np.arange(60.0)})
    for html in (fitted.report(), Segments(2).fit(table).report()):
        page = Page(html)
        assert page.loads == []
        assert "<b>a" not in html
        assert "nan" not in page.words.lower().split()


CHECK = """<script>
const errors = []; window.addEventListener("error", e => errors.push(e.message));
window.addEventListener("load", () => { document.title = "RESULT " + JSON.stringify({
  wide: document.documentElement.scrollWidth, seen: window.innerWidth, errors, pictures: document.querySelectorAll("svg").length,
  flat: [...document.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().height < 20).length,
  small: [...document.querySelectorAll("p, li, td, h2, h3")].filter(e => parseFloat(getComputedStyle(e).fontSize) < 13).length,
  outside: [...document.querySelectorAll("p, h1, h2, h3, svg, li, .card")].filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).length
}); });
</script></head>"""


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_scrolling_sideways(tmp_path: Path, fitted: Segments, purchases: Any, width: int) -> None:
    browser = next((p for n in ("chromium", "chromium-browser", "google-chrome", "chrome") if (p := shutil.which(n))), None)
    if browser is None:
        pytest.skip("no Chromium on the path")
    html = fitted.report(drift=fitted.drift(purchases, until="2021-11-01"))
    # A window is at least 500 pixels wide: a phone's width is that of a frame in it.
    (tmp_path / "page.html").write_text(html.replace("</head>", CHECK), encoding="utf-8")
    frame = f'<iframe id="f" src="page.html" width="{width}" height="900" style="border:0"></iframe>'
    script = '<script>setInterval(() => { document.title = document.getElementById("f").contentDocument.title; }, 50);</script>'
    (tmp_path / "frame.html").write_text(f"<!doctype html><title></title><body style='margin:0'>{frame}{script}", encoding="utf-8")
    run = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--enable-logging=stderr",
           f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,900", "--virtual-time-budget=3000", "--dump-dom",
           (tmp_path / "frame.html").as_uri()]  # fmt: skip
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r"<title>RESULT (.*?)</title>", done.stdout)
    assert found is not None, done.stderr[-2000:]
    import html as entities
    import json

    result = json.loads(entities.unescape(found[1]))
    assert result["seen"] == width
    assert result["wide"] <= width
    assert result["pictures"] >= 5
    assert result["flat"] == result["small"] == result["outside"] == 0
    assert result["errors"] == []
    assert "CONSOLE" not in done.stderr


def test_the_command_writes_what_is_asked_for_and_goes_on_next_month(tmp_path: Path, purchases: Any) -> None:
    import json

    path, model = str(tmp_path / "log.csv"), str(tmp_path / "model.cw")
    purchases.to_csv(path, index=False)
    runner = CliRunner()
    outputs = {"-o": "r.html", "--export": "c.csv", "--table": "t.csv", "--save": "model.cw"}
    given = [part for option, name in outputs.items() for part in (option, str(tmp_path / name))]
    first = runner.invoke(app, ["segments", path, "--k-max", "5", "--until", "2021-10-31", *given])
    assert first.exit_code == 0, first.output
    assert "Stable" in first.output
    assert len(pd.read_csv(tmp_path / "c.csv")) == pd.read_csv(tmp_path / "t.csv")["customers"].sum()
    later = runner.invoke(app, ["segments", path, "--model", model, "--json"])
    assert later.exit_code == 0, later.output
    data = json.loads(later.stdout)
    assert data["drift"]["verdict"] == "changed"
    assert data["customers"] == 360
    same = runner.invoke(app, ["segments", path, "--model", model, "--against", "2021-10-31", "-o", str(tmp_path / "d.html")])
    assert same.exit_code == 0, same.output
    assert "What has changed" in (tmp_path / "d.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("customer,date,amount\na,2021-01-01,x\n", [], "error: column 'amount', row 1: expected a number like 12,345.67, got 'x'"),
        (
            "a,b\n1,2\n",
            ["--until", "2021-01-01"],
            "error: expected columns for customer, date and amount, found none for customer and",
        ),
        ("", [], "the file is empty"),
        ("customer,date,amount\na,2021-01-01,1\n", ["--against", "2021-99-01"], "error: --against: expected a date"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, content: str, options: list[str], message: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    done = CliRunner().invoke(app, ["segments", str(tmp_path / "log.csv"), *options])
    assert done.exit_code in (1, 3)
    assert message in done.stderr


@pytest.mark.parametrize("name", ["model", "columns", "naming", "pictures", "drift"])
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(import_module(f"codeword.cluster.segments.{name}")).failed == 0


def test_money_has_its_currency() -> None:
    assert naming.money(-5, "€") == "-€5"
