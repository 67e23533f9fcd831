"""Which column of a table is the customer, the day, the amount: by their names, or as the caller says.

A name that says it outright ("CustomerID", "Order Date") beats one that has the word in it ("customer key"); two that are equally
good are an error that asks which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Role: names that say it outright, best first, then words that hint at it. Lower case, letters and digits only.
_NAMES: dict[str, tuple[str, str]] = {
    "customer": (
        "customerid customer custid customerno customernumber clientid client userid user memberid member accountid account "
        "buyerid buyer shopperid visitorid householdid cardid kundennummer kundenid kunde kundin",
        "customer client user member buyer shopper kunde kunden",
    ),
    "date": (
        "date invoicedate orderdate purchasedate transactiondate saledate datetime timestamp purchasedat orderedat day datum "
        "bestelldatum kaufdatum",
        "date timestamp datum",
    ),
    "amount": (
        "amount totalamount amountspent total totalprice ordertotal ordervalue linetotal revenue sales spend spent netamount "
        "grossamount turnover payment value betrag umsatz",
        "amount revenue sales spend total betrag umsatz",
    ),
    "price": ("unitprice price itemprice preis stückpreis", "price preis"),
    "quantity": ("quantity qty units quantityordered menge anzahl", "quantity qty menge"),
    "order": (
        "invoice invoiceno invoiceid invoicenumber orderid orderno order transactionid basketid receipt receiptid bestellnummer",
        "",
    ),
    "currency": ("currency currencycode währung waehrung", "currency"),
}


@dataclass(frozen=True)
class Columns:
    """Names of the columns by their role; None where there is none."""

    customer: str | None = None
    date: str | None = None
    amount: str | None = None
    price: str | None = None
    quantity: str | None = None
    order: str | None = None
    currency: str | None = None

    @property
    def purchases(self) -> bool:
        """Whether the table is a log of purchases: who, when, how much."""
        return bool(self.customer and self.date and (self.amount or (self.price and self.quantity)))


def recognise(names: Sequence[str], given: Mapping[str, str | None]) -> Columns:
    """Find the roles among the names of the columns.

    Parameters
    ----------
    names : sequence of str
    given : mapping
        Role to name, where the caller says it.

    Raises
    ------
    ValueError
        Where a given column is not there.

    Examples
    --------
    >>> found = recognise(["InvoiceNo", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"], {})
    >>> found.customer, found.date, found.amount, found.price, found.order
    ('CustomerID', 'InvoiceDate', None, 'UnitPrice', 'InvoiceNo')
    """
    roles: dict[str, str | None] = {}
    for role, name in given.items():
        if name is not None:
            require([name], names, role)
            roles[role] = name
    taken = set(roles.values())
    for role, (outright, hints) in _NAMES.items():
        if role not in roles:
            roles[role] = _find([n for n in names if n not in taken], outright.split(), set(hints.split()))
            taken.add(roles[role])
    return Columns(**roles)


def require(wanted: Sequence[str], names: Sequence[str], argument: str) -> None:
    """ValueError where a wanted column is not among `names`."""
    for name in wanted:
        if name not in names:
            raise ValueError(f"{argument}: expected one of the columns {_listed(names)}, got {name!r}")


def explain(found: Columns, names: Sequence[str], repeated: Any = None) -> ValueError:
    """The error for a table that was to be a log of purchases and is none; `repeated` is a customer of several rows."""
    missing = [
        role
        for role, has in (
            ("customer", found.customer),
            ("date", found.date),
            ("amount", found.amount or (found.price and found.quantity)),
        )
        if not has
    ]
    why = f"customer {str(repeated)!r} has several rows, so these are purchases; " if repeated is not None else ""
    return ValueError(
        f"{why}expected columns for customer, date and amount, found none for {' and '.join(missing)} among {_listed(names)}: "
        f"name {'it' if len(missing) == 1 else 'them'} ({', '.join(f'--{m}' for m in missing)} on the command line)"
    )


def _find(names: Sequence[str], outright: Sequence[str], hints: set[str]) -> str | None:
    plain = {name: _plain(name) for name in names}
    for word in outright:
        for name in names:
            if plain[name] == word:
                return name
    hinted = [name for name in names if hints & set(_words(name))]
    return hinted[0] if len(hinted) == 1 else None


def _plain(name: str) -> str:
    """Letters and digits, without what stands in brackets."""
    return "".join(c for c in re.sub(r"[(\[].*?[)\]]", "", name).lower() if c.isalnum())


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(n) for n in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
