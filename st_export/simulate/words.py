"""Pools of words for made-up texts, and which field gets which."""

from __future__ import annotations

import re
from collections.abc import Callable

from st_export.simulate import believable
from st_export.simulate.values import Leaf, constant, decimals, layouts, numbers, picked, pool, quantities, sentences, with_nulls

_FIRST_NAMES = (
    "Ada",
    "Ben",
    "Chloé",
    "Dmitri",
    "Eva",
    "Frank",
    "Grace",
    "Hugo",
    "Ines",
    "José",
    "Kofi",
    "Lena",
    "Mai",
    "Noor",
    "Olga",
    "Paul",
    "Quinn",
    "Rosa",
    "Sam",
    "Tess",
    "Uma",
    "Vera",
    "Will",
    "Xena",
    "Yusuf",
    "Zoë",
)
_LAST_NAMES = (
    "Abbott",
    "Baker",
    "Castillo",
    "Dunn",
    "Ellis",
    "Fischer",
    "Garcia",
    "Hughes",
    "Ivanova",
    "Jensen",
    "Kim",
    "Lopez",
    "Murphy",
    "Núñez",
    "O'Brien",
    "Park",
    "Quist",
    "Rossi",
    "Smith",
    "Tran",
    "Usman",
    "Vega",
    "Wong",
    "Young",
    "Zhang",
)
PEOPLE = pool(
    [f"{first} {last}" for first in _FIRST_NAMES for last in _LAST_NAMES]
    + ["Null", "NA", " x ", 'Zed "Zip" Long', "Smith & Sons, LLC", "Back\\slash Inc", "日本設備"]
)
FIRST_NAMES, LAST_NAMES = pool(_FIRST_NAMES), pool(_LAST_NAMES)
OPENINGS = pool(
    (
        "Furnace tune-up no.",
        "Replace capacitor on unit",
        "Drain cleaning at meter",
        "Water heater, ticket",
        "AC inspection for order",
        "Panel upgrade, permit",
        "Leak repair in room",
        "Thermostat install, box",
        "Sewer camera run",
        "Duct sealing, zone",
    )
)
ENDINGS = pool(
    (
        "as agreed by phone",
        "follow up in spring",
        "customer was not at home",
        '"urgent" per office',
        "with 2-year warranty",
        "parts on order",
        "paid on site",
        "see photos",
        "line one\nline two",
        "no further action",
        "ünder review",
        "tech left note",
    )
)
_THINGS = pool(("Standard", "Premium", "Seasonal", "North", "South", "Residential", "Commercial", "Emergency", "Maintenance", "Install"))
_KINDS = pool(("plan", "group", "crew", "package", "account", "list", "code", "type"))
STREETS = tuple(f"{name} {kind}" for name in ("Oak", "Main", "Elm", "Lake", "Hill", "Park", "2nd", "Cedar") for kind in ("St", "Ave", "Rd"))
CITIES = pool(("Austin", "Boise", "Cedar Rapids", "Dayton", "El Paso", "Fargo", "Glendale", "Houston", "Salt Lake City"))
STATES = pool(("TX", "ID", "IA", "OH", "ND", "AZ", "CA", "UT", "NY"))
_PEOPLE_OF = frozenset(
    {"crm.customers", "crm.locations", "settings.technicians", "settings.employees", "crm.contacts", "inventory.vendors"}
)

_Maker = Callable[[int], Leaf]
_NAMED: dict[str, _Maker] = {
    "firstname": lambda salt: picked(FIRST_NAMES, salt),
    "lastname": lambda salt: picked(LAST_NAMES, salt),
    "city": lambda salt: picked(CITIES, salt),
    "state": lambda salt: picked(STATES, salt),
    "country": lambda salt: picked(pool(("USA", "USA", "USA", "CAN")), salt),
    "zip": lambda salt: layouts(salt, '"%05d"', 99_951),
    "street": lambda salt: layouts(salt, '"%d ' + STREETS[salt % len(STREETS)] + '"', 9_900),
    "unit": lambda salt: with_nulls(layouts(salt, '"Apt %d"', 90), salt, 60),
    "quantity": quantities,
    "status": lambda salt: picked(pool(("Open", "Pending", "Completed", "Canceled", "Scheduled")), salt),
    "type": lambda salt: picked(pool(("Standard", "Service", "Material", "Equipment", "Other")), salt),
    "value": lambda salt: picked(pool(("yes", "no", "NA", "", "12", "007", "1.50", "2026-01-31", "nan")), salt),
    "currency": lambda _salt: constant('"USD"'),
    "color": lambda salt: layouts(salt, '"#%06x"', 1 << 24),
}
_ENDINGS: tuple[tuple[re.Pattern[str], _Maker], ...] = (
    (re.compile(r"status$"), lambda salt: picked(pool(("Open", "Pending", "Completed", "Canceled", "Scheduled", "Hold")), salt)),
    (re.compile(r"priority$"), lambda salt: picked(pool(("Low", "Normal", "High", "Urgent")), salt)),
    (re.compile(r"^customerresponses$"), lambda salt: picked(pool(("", "{}", "[1, 2]")), salt)),
    (re.compile(r"email$"), lambda salt: layouts(salt, '"user%d.%d@example.com"', 1_500, 900)),
    (re.compile(r"(phone|phonenumber|fax|callernumber|trackingnumber|contactnumber|from|to|callerid|dnis)$"),
     lambda salt: layouts(salt, '"555%03d%04d"', 1_000, 2_000)),
    (re.compile(r"(url|link|path|image|images|videos)$"),
     lambda salt: layouts(salt, '"Images/%06x%03x.jpg"', 1 << 20, 1 << 11)),
    (re.compile(r"(number|code|part|id|sid|key)$"), lambda salt: layouts(salt, '"%d-%03d"', 90_000, 1_000)),
    (re.compile(r"(description|summary|notes?|memo|comment|review|reviewresponse|text|body|message|paragraph|header)$"),
     lambda salt: sentences(salt, OPENINGS, ENDINGS)),
    (re.compile(r"(by|author|technicianname|customername|employeename|fullname|authorname|agentname)$"), lambda salt: picked(PEOPLE, salt)),
)  # fmt: skip


def text_leaf(name: str, collection: str, salt: int) -> Leaf:
    """Return the leaf of a text field, by its name."""
    if name in believable.MONEY_TEXT and collection.startswith("accounting."):
        return decimals(salt, 5_000, 10 if name == "cost" else 2, quoted=True)
    lower = name.lower()
    if lower in ("name", "displayname") and collection in _PEOPLE_OF:
        return picked(PEOPLE, salt)
    if lower in _NAMED:
        return _NAMED[lower](salt)
    for pattern, maker in _ENDINGS:
        if pattern.search(lower):
            return maker(salt)
    return sentences(salt, _THINGS, _KINDS)


def decimal_leaf(name: str, salt: int) -> Leaf:
    """Return the leaf of a decimal: money with 2 places, costs with 10, quantities with 19."""
    lower = name.lower()
    if lower.startswith(("quantity", "qty")):
        return quantities(salt)
    if lower.endswith("cost"):
        return decimals(salt, 900, 10)
    return decimals(salt, 5_000, 2)


def whole_leaf(name: str, salt: int) -> Leaf:
    """Return the leaf of a whole number that refers to nothing."""
    ranges = {"year": (2019, 2027), "month": (1, 13), "fromhour": (6, 12), "tohour": (13, 20), "duration": (0, 3_600), "rating": (1, 6)}
    low, high = ranges.get(name.lower(), (0, 100))
    return numbers(salt, low, high)
