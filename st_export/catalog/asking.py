"""How a read must be asked so that it tells everything: queries always sent, page sizes, sort, filters, ranges.

From the parameters that a document declares. A misspelt parameter is ignored by the service, so only declared names are used.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from st_export.catalog.columns import find_column
from st_export.catalog.entity import Column, Paging

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from st_export.catalog.operations import Operation

MAX_PAGE_SIZE = 5000
"""The service's general maximum, rows a page. Source: ServiceTitan documentation, timeouts and pagination."""

BATCH_IDS = 50
"""The most values an `ids` filter takes. Source: the spec, at each such parameter."""

_ALL_RECORDS = {"active": "Any", "activeState": "All", "activeOnly": "false", "includeInactive": "true"}
_RANGES = (("fromUtc", "toUtc"), ("from", "to"), ("sessionCreatedOnOrAfter", "sessionCreatedBefore"))
_ANSWERED = frozenset({"page", "pageSize", "descending", "ids", *_ALL_RECORDS})
_OPTIONS = re.compile(r"(?:Available fields are|specified field): ([A-Z][^.\\]*)")
_MAXIMUM = re.compile(r"Maximum value is (\d+)")


def always_sent(operation: Operation, extra: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the query that is sent with every request: inactive records too, required flags, and what it declares of `extra`."""
    query = {name: value for name, value in _ALL_RECORDS.items() if name in operation.query}
    if "descending" in operation.required:
        query["descending"] = "false"
    query.update({name: value for name, value in extra.items() if name in operation.query})
    return tuple(query.items())


def range_parameters(operation: Operation) -> tuple[str, str] | None:
    """Return the required pair of parameters for the range asked for, None where there is none."""
    return next((pair for pair in _RANGES if operation.required.issuperset(pair)), None)


def unanswered_parameters(operation: Operation, known: Sequence[str]) -> list[str]:
    """Return the required parameters that nobody can fill without knowing a record: such a read is a look-up."""
    return sorted(operation.required - _ANSWERED - set(range_parameters(operation) or ()) - set(known))


def derive_paging(operation: Operation, columns: Sequence[Column], facts: Mapping[str, Any]) -> Paging | None:
    """Return how a list is paged; None for a read without pages.

    `facts` are the entity's corrections. Filters are left out where no column of a row bears what they filter by, so that
    each row can be held against its window.
    """
    if "page" not in operation.query:
        return None
    maximum = int(match[1]) if (match := _MAXIMUM.search(operation.description("pageSize"))) else MAX_PAGE_SIZE
    modified = time_column(columns, facts.get("modified"), "modifiedOn")
    created = time_column(columns, facts.get("created"), "createdOn")
    paging = Paging(
        page_size=maximum,
        max_page_size=maximum,
        sort=_ascending_id(operation, columns),
        has_total="includeTotal" in operation.query and operation.envelope in ("paged", "none"),
        envelope=operation.envelope if operation.envelope in ("data", "array") else "paged",
        modified_from=_declared(operation, "modifiedOnOrAfter") if modified else None,
        modified_before=_declared(operation, "modifiedBefore") if modified else None,
        created_from=_declared(operation, facts.get("created_from", "createdOnOrAfter")) if created else None,
        created_before=_declared(operation, facts.get("created_before", "createdBefore")) if created else None,
    )
    paging = replace(paging, created_field=created if paging.created_from or paging.created_before else None)
    own = {name: facts[name] for name in ("page_size", "max_page_size", "sort", "one_at_a_time", "needs_window") if name in facts}
    return replace(paging, **own)


def time_column(columns: Sequence[Column], corrected: str | None, usual: str) -> str | None:
    """Return the path of the column that bears a time: the corrected one, else the usual one where rows have it."""
    if corrected is not None:
        return corrected
    return usual if find_column(columns, usual) is not None else None


def _declared(operation: Operation, name: str) -> str | None:
    return name if name in operation.query else None


def _ascending_id(operation: Operation, columns: Sequence[Column]) -> str | None:
    """Return `+Id`, as the document spells it; where it lists no fields, Id is usual for rows that have one."""
    if "sort" not in operation.query:
        return None
    options = _OPTIONS.search(operation.description("sort"))
    if options is None:
        return "+Id" if find_column(columns, "id") is not None else None
    fields = [field.strip() for field in options[1].split(",")]
    return next((f"+{field}" for field in fields if field.lower() == "id"), None)
