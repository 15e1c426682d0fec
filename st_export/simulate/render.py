"""Turns a record's shape into a function that writes whole batches of records as JSON texts, fast and reproducibly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import orjson

from st_export.simulate import believable
from st_export.simulate.values import (
    TICKS,
    Array,
    Batch,
    Leaf,
    below,
    constant,
    doubles,
    drawn,
    flags,
    guid_text,
    layouts,
    numbers,
    picked,
    pool,
    salt_of,
    sentences,
    time_texts,
    variants,
    with_nulls,
)
from st_export.simulate.words import ENDINGS, OPENINGS, decimal_leaf, text_leaf, whole_leaf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CREATED_NAMES = frozenset({"createdOn", "submittedOn", "publishDate", "dateTime"})
_PREFIX_OF_CALLS = "leadCall."
_DAY = 86_400 * TICKS


class Links(Protocol):
    """Knows the ids and names of the rows of other collections."""

    def refer(self, collection: str, target: str, batch: Batch, *, alone: bool = False) -> Array:
        """Return the index in `target` of each row's reference; `alone`: not the row's own relation, just some row."""

    def variant_of(self, collection: str) -> tuple[str, str, tuple[str, ...]] | None:
        """Return the field by whose value a list shows rows, its default, and all values."""

    def size(self, collection: str) -> int:
        """Return how many rows a collection was made up with."""

    def id_texts(self, collection: str, index: Array) -> list[str]:
        """Return ids as JSON texts."""

    def batch_of(self, collection: str, index: Array) -> Batch:
        """Return rows of another collection, as they were made."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What a test set by hand in a record: fields that replace the made-up ones (`bytes` values are JSON verbatim).

    `whole`: the record is just these fields.
    """

    fields: Mapping[str, Any]
    whole: bool = False


class Writer:
    """Writes the records of one view of a collection."""

    def __init__(self, collection: str, shape: Mapping[str, Any], links: Links, nested_items: int) -> None:
        self._maker = _Maker(collection, links, nested_items)
        self.names = tuple(shape)
        self._columns: list[Leaf] = [self._maker.leaf(each, name, name) for name, each in shape.items()]
        self._template = _template(self.names)

    def write(self, batch: Batch, patches: Mapping[int, Patch]) -> list[str]:
        """Return the records of the batch; `patches` by position in it."""
        cells = [column(batch) for column in self._columns]
        records = [self._template % row for row in zip(*cells, strict=True)] if cells else ["{}"] * len(batch)
        for place, patch in patches.items():
            records[place] = self._patched([column[place] for column in cells], patch)
        return records

    def values(self, batch: Batch, name: str) -> list[str]:
        """Return one column as JSON texts."""
        return self._columns[self.names.index(name)](batch)

    def _patched(self, cells: list[str], patch: Patch) -> str:
        fields = {} if patch.whole else dict(zip(self.names, cells, strict=True))
        for name, value in patch.fields.items():
            fields[name] = value.decode() if isinstance(value, bytes) else orjson.dumps(value).decode()
        return "{" + ",".join(f"{orjson.dumps(name).decode()}:{text}" for name, text in fields.items()) + "}"


def _template(names: tuple[str, ...]) -> str:
    return "{" + ",".join(f'"{name}":%s' for name in names) + "}"


class _Maker:
    """Makes leaves for one collection."""

    def __init__(self, collection: str, links: Links, nested_items: int) -> None:
        self._collection = collection
        self._links = links
        self._nested_items = nested_items

    def leaf(self, shape: Any, name: str, path: str) -> Leaf:
        """Return the leaf of a field of any shape."""
        shape = believable.CORRECTIONS.get((self._collection, path), shape)
        if name in believable.ALWAYS_NULL:
            return constant("null")
        salt = salt_of(path.removeprefix(_PREFIX_OF_CALLS))
        if isinstance(shape, dict):
            leaf = self._struct(shape, name, path)
            return with_nulls(leaf, salt, 8) if name in believable.OFTEN_NULL else leaf
        if isinstance(shape, list):
            return self._array(shape[0], name, path, salt)
        return self._scalar(shape, name, path, salt)

    def _struct(self, shape: Mapping[str, Any], name: str, path: str) -> Leaf:
        target = believable.REFERENCES.get(name) if "id" in shape else None
        columns = [
            self._of_target(target, each, field)
            if target and field in ("id", "name", "number")
            else self.leaf(each, field, f"{path}.{field}")
            for field, each in shape.items()
        ]
        template = _template(tuple(shape))
        return lambda batch: [template % row for row in zip(*(column(batch) for column in columns), strict=True)]

    def _of_target(self, target: str, shape: Any, field: str) -> Leaf:
        links, collection = self._links, self._collection
        if field == "id":
            quoted = str(shape).startswith("string")
            return self._reference(target, quoted=quoted)
        if field == "number":
            return self._reference(target, quoted=True)
        name_leaf = text_leaf("name", target, salt_of("name"))
        return lambda batch: name_leaf(links.batch_of(target, links.refer(collection, target, batch)))

    def _reference(self, target: str, *, alone: bool = False, quoted: bool = False) -> Leaf:
        links, collection = self._links, self._collection

        def leaf(batch: Batch) -> list[str]:
            texts = links.id_texts(target, links.refer(collection, target, batch, alone=alone))
            return [f'"{text}"' if text[:1] != '"' else text for text in texts] if quoted else texts

        return leaf

    def _array(self, item: Any, name: str, path: str, salt: int) -> Leaf:
        target = believable.REFERENCES.get(name)
        scalar = not isinstance(item, dict | list)
        inner = (
            self._reference(target, alone=True) if target and scalar and str(item).startswith("int") else self.leaf(item, name, f"{path}[]")
        )
        if name in believable.OFTEN_NULL:
            inner = with_nulls(inner, salt, 3)
        nulls = 4 if name in believable.OFTEN_NULL else 2
        most = self._nested_items + 1 if not scalar else 4

        def leaf(batch: Batch) -> list[str]:
            hashes = drawn(batch, salt)
            lengths = below(hashes, most)
            items = inner(batch.repeated(lengths, salt))
            ends = np.cumsum(lengths).tolist()
            starts = [0, *ends][: len(ends)]
            texts = ["[" + ",".join(items[start:end]) + "]" for start, end in zip(starts, ends, strict=True)]
            for place in np.flatnonzero(below(hashes >> np.uint64(20), 100) < nulls).tolist():
                texts[place] = "null"
            return texts

        return leaf

    def _scalar(self, shape: str, name: str, path: str, salt: int) -> Leaf:
        role = self._role(name, path, shape)
        if role is not None:
            return role
        word = shape.removesuffix("?")
        leaf = self._made_up(word, name, salt)
        if name in believable.OFTEN_NULL:
            return with_nulls(leaf, salt, 25)
        return with_nulls(leaf, salt, 15) if shape.endswith("?") else leaf

    def _role(self, name: str, path: str, shape: str) -> Leaf | None:  # noqa: PLR0911 - one return a role
        """Return the leaf of a field that says who or when the row is."""
        collection, links = self._collection, self._links
        if name == "modifiedOn" or (name == "modified" and shape.startswith("datetime")):
            return lambda batch: time_texts(batch.modified)
        if name in CREATED_NAMES and shape.startswith("datetime"):
            return lambda batch: time_texts(batch.created)
        local = path.removeprefix(_PREFIX_OF_CALLS)
        variant = links.variant_of(collection)
        if variant is not None and local == variant[0]:
            return lambda batch: list(pool(variant[2])[variants(batch.seeds, *variant)].tolist())
        if local == "active":
            return lambda batch: ["true" if active else "false" for active in batch.active.tolist()]
        if local == "id" and shape.startswith("string"):
            return lambda batch: [text if text[:1] == '"' else f'"{text}"' for text in links.id_texts(collection, batch.index)]
        if local == "id":
            own = salt_of(collection)
            guid = shape.startswith("guid")
            return lambda batch: (
                [f'"{guid_text(own, index)}"' for index in batch.index.tolist()] if guid else list(map(str, batch.ids.tolist()))
            )
        if local == "number" or (local == "jobNumber" and collection == "jpm.jobs"):
            return lambda batch: (
                [f'"{each}"' for each in batch.ids.tolist()] if shape.startswith("string") else list(map(str, batch.ids.tolist()))
            )
        if name == "id" and shape.startswith("int"):
            return lambda batch: list(map(str, batch.ids.tolist()))
        return self._key_role(local)

    def _key_role(self, local: str) -> Leaf | None:
        collection, links = self._collection, self._links
        keys = believable.KEYS.get(collection, ())
        if local not in keys:
            return None
        if local == "taskId":
            own = salt_of(collection)
            return lambda batch: [f'"{guid_text(own, index)}"' for index in batch.index.tolist()]
        if local == "laborTypeCode":
            return lambda batch: [f'"LT-{index % 2}"' for index in batch.index.tolist()]
        if local == "contactNumber":
            return lambda batch: [f'"555{index:07d}"' for index in batch.index.tolist()]
        target = believable.REFERENCES[local]
        if believable.PARENTS.get(collection) == target or collection == "payroll.payroll-settings":
            return lambda batch: links.id_texts(believable.PARENTS[collection], batch.parent)
        size = max(links.size(target), 1)  # twins of one parent are neighbours: the next row takes the next target, so no key repeats
        return lambda batch: links.id_texts(target, (batch.parent * 7 + batch.index) % size)

    def _made_up(self, word: str, name: str, salt: int) -> Leaf:  # noqa: PLR0911 - one return a type
        if word in ("datetime", "date", "civil"):
            return _time_leaf(word, name, salt)
        if word.startswith("int"):
            target = believable.REFERENCES.get(name)
            if target:
                return self._reference(target)
            return numbers(salt, 1_000, 9_000_000) if word == "int64" and name.endswith(("Id", "Ids")) else whole_leaf(name, salt)
        if word == "guid":
            target = believable.REFERENCES.get(name)
            return self._reference(target) if target else _guid_leaf(salt)
        if word.startswith("enum:"):
            return picked(pool(word[5:].split("|")), salt)
        if word == "string":
            target = believable.REFERENCES.get(name)
            return self._reference(target, quoted=True) if target and name.endswith("Id") else text_leaf(name, self._collection, salt)
        simple = _SIMPLE.get(word)
        return simple(salt) if simple else decimal_leaf(name, salt)


_SIMPLE: dict[str, Callable[[int], Leaf]] = {
    "bool": flags,
    "double": doubles,
    "text": lambda salt: sentences(salt, OPENINGS, ENDINGS),
    "email": lambda salt: layouts(salt, '"user%d.%d@example.com"', 1_500, 900),
    "phone": lambda salt: layouts(salt, '"555%03d%04d"', 1_000, 2_000),
    "duration": lambda salt: layouts(salt, '"%02d:%02d:00"', 24, 60),
    "password": lambda salt: layouts(salt, '"made-up-%06x"', 1 << 24),
    "json": lambda salt: picked(np.array(["null", "{}", '{"source":"web"}', '{"depth":{"x":[1,2]}}'], dtype=object), salt),
    "empty": lambda _salt: constant("[]"),
}  # fmt: skip


def _guid_leaf(salt: int) -> Leaf:
    return layouts(salt, '"%08x-0000-4000-8000-%012x"', 1 << 32, 1 << 21)


def _time_leaf(word: str, name: str, salt: int) -> Leaf:
    """Return a time within weeks of the row's creation: whole days for dates, now and then the year 1."""
    midnight = word != "datetime" or name.endswith("Date") or name in ("from", "to", "date")
    ending = {"datetime": 'T00:00:00Z"', "date": '"', "civil": 'T00:00:00"'}[word]

    def leaf(batch: Batch) -> list[str]:
        hashes = drawn(batch, salt)
        ticks = batch.created + below(hashes, 30 * 86_400) * TICKS
        if not midnight:
            texts = time_texts(ticks)
        else:
            days = np.datetime_as_string((ticks // _DAY).astype("datetime64[D]")).tolist()
            texts = [f'"{day}{ending}' for day in days]
        if word == "datetime":
            for place in np.flatnonzero(below(hashes >> np.uint64(32), 400) == 0).tolist():
                texts[place] = '"0001-01-01T00:00:00Z"'
        return texts

    return leaf
