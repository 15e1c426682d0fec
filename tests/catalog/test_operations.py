"""Every read of the API has its place in the catalog."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from st_export.catalog.load import PACKAGE_DATA
from st_export.catalog.openapi import write_catalog
from st_export.catalog.operations import read_operations

if TYPE_CHECKING:
    from st_export.catalog.load import Catalog

OPERATIONS = Path(__file__).with_name("operations.txt").read_text().splitlines()


def _paths(catalog: Catalog) -> list[str]:
    read = [path for entity in catalog.entities.values() for path in (entity.path, *entity.sources)]
    return [*read, *(item.path for item in catalog.left_out)]


def test_every_read_of_the_api_is_accounted_for_once(catalog: Catalog) -> None:
    assert Counter(_paths(catalog)) == Counter(operation.partition(" ")[2] for operation in OPERATIONS)


def test_the_counts_are_those_of_the_api(catalog: Catalog) -> None:
    own = [entity for entity in catalog.entities.values() if entity.alias_of is None]
    assert Counter(entity.kind for entity in own) == {"feed": 54, "list": 77, "plain": 9, "child": 32, "binary": 6, "capacity": 1}
    assert len(catalog.entities) - len(own) == 11
    assert sum(len(entity.sources) for entity in own) == 56
    assert len(catalog.left_out) == 70
    assert sum(operation.startswith("GET ") for operation in OPERATIONS) == 315


def test_everything_left_out_has_a_reason_and_a_place_among_the_reads(catalog: Catalog) -> None:
    reads = [item for item in catalog.left_out if not item.path.endswith("}")]
    assert {item.path.rpartition("/tenant/{tenant}/")[2]: item.reason for item in reads} == {
        "technician-tracking": "look-up by given values: appointmentId, technicianId",
        "work-breakdown-structure/budget-codes/match": "look-up by given values: codes",
        "work-breakdown-structure/projects/{projectId}/budget-codes/match": "look-up by given values: codes",
    }
    assert all(item.reason for item in catalog.left_out)


def test_the_documents_give_the_catalog_that_is_in_the_package(specs_dir: Path, tmp_path: Path) -> None:
    written = {file.name: file.read_text() for file in write_catalog(specs_dir, tmp_path)}
    assert written == {name: (PACKAGE_DATA / name).read_text() for name in written}
    assert len(written) == 24


def test_no_parameter_hides_rows_by_its_default(specs_dir: Path, catalog: Catalog) -> None:
    default = re.compile(r"by default|defaults to|default:", re.IGNORECASE)
    entities = {entity.path: entity for entity in catalog.entities.values() if entity.alias_of is None}
    told = {
        (entities[read.path].name, name)
        for read in read_operations(specs_dir)
        for name in read.query
        if read.path in entities and default.search(read.description(name)) and name not in ("page", "pageSize", "sort", "includeTotal")
    }
    sent = {(entity.name, name) for entity in entities.values() for name in (*dict(entity.query), entity.variant_parameter)}
    assert len(told) > 30
    assert told <= sent
