"""Selection: full names, globs, kinds, exclusions, aliases."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from st_export.catalog.entity import Entity, Kind
from st_export.catalog.load import load_catalog
from st_export.catalog.select import select
from st_export.errors import ConfigError
from st_export.flow import EntityName

if TYPE_CHECKING:
    from st_export.catalog.load import Catalog

DEFAULT_KINDS: tuple[Kind, ...] = ("feed", "list", "plain", "report")
CATALOG = load_catalog()
NAMES = sorted(name for name, entity in CATALOG.entities.items() if entity.alias_of is None)
REPORT = Entity(EntityName("report.revenue"), "report", "/reporting/…", ())


def test_a_star_crosses_dots_and_matches_the_kinds_only(catalog: Catalog) -> None:
    selection = select(catalog, select=["crm.cust*"], kinds=DEFAULT_KINDS)
    assert selection.names == ("crm.customers", "crm.customers.contacts", "crm.customers.custom-fields")
    assert not any(item.named for item in selection.entities)


def test_a_full_name_counts_whatever_its_kind(catalog: Catalog) -> None:
    selection = select(catalog, select=["crm.customers*", "crm.customers.notes"], kinds=["list"])
    assert [(item.entity.name, item.named) for item in selection.entities] == [
        ("crm.customers.custom-fields", False),
        ("crm.customers.notes", True),
    ]


def test_an_alias_selects_its_entity_once(catalog: Catalog) -> None:
    selection = select(catalog, select=["jpm.jobs.notes", "jpm.job-notes"], kinds=DEFAULT_KINDS)
    assert [(item.entity.name, item.named) for item in selection.entities] == [("jpm.job-notes", True)]


def test_exclusions_win_over_full_names(catalog: Catalog) -> None:
    selection = select(catalog, select=["jpm.jobs", "crm.leads", "jpm.jobs.notes"], exclude=["jpm.*"], kinds=DEFAULT_KINDS)
    assert selection.names == ("crm.leads",)


def test_an_excluded_glob_over_aliases_leaves_what_was_selected_by_its_own_name(catalog: Catalog) -> None:
    selection = select(catalog, select=["payroll.pay*"], exclude=["payroll.technicians.*"], kinds=DEFAULT_KINDS)
    assert "payroll.payrolls" in selection.names
    named = select(catalog, select=["payroll.pay*"], exclude=["payroll.technicians.payrolls"], kinds=DEFAULT_KINDS)
    assert "payroll.payrolls" not in named.names


def test_reports_of_the_configuration_are_known_names(catalog: Catalog) -> None:
    assert select(catalog, select=["report.*"], kinds=DEFAULT_KINDS, extra=[REPORT]).names == ("report.revenue",)
    assert select(catalog, select=["crm.leads"], exclude=["report.*"], kinds=DEFAULT_KINDS).names == ("crm.leads",)


@pytest.mark.parametrize(
    ("pattern", "text", "hint"),
    [
        ("crm.custmers", "there is no entity `crm.custmers`", "did you mean `crm.customers`?"),
        ("Jpm.Jobs", "there is no entity `Jpm.Jobs`", "did you mean `jpm.jobs`?"),
        ("invoices", "there is no entity `invoices`", "did you mean `accounting.invoices`?"),
        ("settings.techncians*", "`settings.techncians*` matches no entity", "did you mean `settings.technicians`?"),
        ("qqq", "there is no entity `qqq`", "`st-export entities` lists all of them"),
    ],
)
def test_a_name_that_is_unknown_is_an_error_with_the_nearest_one(catalog: Catalog, pattern: str, text: str, hint: str) -> None:
    for chosen, excluded in (([pattern], []), (["*"], [pattern])):
        with pytest.raises(ConfigError) as caught:
            select(catalog, select=chosen, exclude=excluded, kinds=DEFAULT_KINDS)
        assert (caught.value.message, caught.value.hint) == (text, hint)


def test_a_glob_that_matches_only_other_kinds_says_which(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="matches only entities of kind binary, which `kinds` leaves out"):
        select(catalog, select=["telecom.calls.*"], kinds=DEFAULT_KINDS)


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), st.integers(0, 12), st.data())
def test_a_glob_selects_what_it_matches_and_nothing_that_is_excluded(names: list[str], cut: int, data: st.DataObject) -> None:
    globs = [f"{name[: min(cut, len(name) - 1)]}*{name[-1]}" for name in names]
    exclude = data.draw(st.lists(st.sampled_from(NAMES), max_size=3))
    kinds: list[Kind] = ["feed", "list", "plain", "child", "capacity", "binary"]
    matched = {name for name in NAMES if any(fnmatchcase(name, glob) for glob in globs)}
    aliased = {
        entity.alias_of for name, entity in CATALOG.entities.items() if entity.alias_of and any(fnmatchcase(name, glob) for glob in globs)
    }
    selection = select(CATALOG, select=globs, exclude=exclude, kinds=kinds)
    assert set(selection.names) == (matched | aliased) - set(exclude)
    assert list(selection.names) == [name for name in CATALOG.entities if name in selection.names]
