"""The order of rows in a file: by the key, then by the time of modification, the earlier arrival first among equals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from st_export.write.partition import nested

if TYPE_CHECKING:
    from collections.abc import Sequence

_SORTED_TYPES = (pa.types.is_integer, pa.types.is_string, pa.types.is_timestamp, pa.types.is_date, pa.types.is_boolean)


def sorts(kind: pa.DataType) -> bool:
    """Whether rows are sorted by columns of this type; by those of other types they are not."""
    return any(is_kind(kind) for is_kind in _SORTED_TYPES)


def in_order(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return the rows in ascending order of columns, dotted where nested; those that were in order as they are."""
    keys = {f"k{index}": nested(rows, name) for index, name in enumerate(columns)}
    usable = {name: values for name, values in keys.items() if values is not None and sorts(values.type)}
    if not usable or rows.num_rows < 2:
        return rows
    indices = pc.sort_indices(pa.table(usable), sort_keys=[(name, "ascending") for name in usable])
    places = indices.to_numpy()
    return rows if (places[1:] > places[:-1]).all() else rows.take(indices)
