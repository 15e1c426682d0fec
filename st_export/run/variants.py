"""Lists that show one kind of their rows at a time: the calls that together show all of them.

`accounting.ap-bills` without `billType` shows bills of one type. Such a list is asked once a variant; the rows of all calls are the
entity, and one that two of them show is there once, as any repeat is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from st_export.fetch.lists import ListCall


def calls_of(call: ListCall) -> tuple[ListCall, ...]:
    """Return the calls, one a variant of the entity; the call itself where it has none."""
    parameter = call.entity.variant_parameter
    if parameter is None:
        return (call,)
    return tuple(replace(call, query=(*call.query, (parameter, value))) for value in call.entity.variants)
