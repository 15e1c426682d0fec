"""Columns that must not reach the lake: dropped, or replaced by a keyed hash, before anything else looks at a record."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from st_export.decode.text import json_text

if TYPE_CHECKING:
    from st_export.flow import Json

Tree = dict[str, "Tree | Literal['drop', 'hash']"]
"""Dotted names as nested names; a leaf says what is done there."""


@dataclass(frozen=True, slots=True)
class Controls:
    """What the configuration drops and hashes, by dotted names that reach into structs and lists.

    `items.cost`, also spelt `items[].cost`, is the cost of every item. `hash_key` is the key of the HMAC-SHA256, bytes.
    """

    drop: frozenset[str] = frozenset()
    hash: frozenset[str] = frozenset()
    hash_key: bytes = b""

    def tree(self) -> Tree:
        """Return the names as a tree; what lies below a dropped or hashed name is dropped or hashed with it."""
        tree: Tree = {}
        named: list[tuple[str, Literal["drop", "hash"]]] = [
            *((name, "hash") for name in self.hash),
            *((name, "drop") for name in self.drop),
        ]
        for name, action in named:
            *outer, last = name.replace("[]", "").split(".")
            branch: Tree | Literal["drop", "hash"] = tree
            for part in outer:
                if isinstance(branch, dict):
                    branch = branch.setdefault(part, {})
            if isinstance(branch, dict):
                branch[last] = action
        return tree

    def hashed(self, value: Json) -> str | None:
        """Return the HMAC-SHA256, 64 hex digits, of a value's text: a text's own, of others their JSON; of None None."""
        if value is None:
            return None
        text = value if isinstance(value, str) else json_text(value)
        return hmac.digest(self.hash_key, text.encode("utf-8", "surrogatepass"), "sha256").hex()

    def apply(self, record: Json, tree: Tree) -> None:
        """Drop and hash in a record, in place; a list stands for its items."""
        if isinstance(record, list):
            for item in record:
                self.apply(item, tree)
            return
        if not isinstance(record, dict):
            return
        for name, action in tree.items():
            if name not in record:
                continue
            if action == "drop":
                del record[name]
            elif action == "hash":
                record[name] = self.hashed(record[name])
            else:
                self.apply(record[name], action)


NO_CONTROLS = Controls()
"""Nothing is dropped or hashed."""
