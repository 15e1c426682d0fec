"""What could not be read is kept, whole, and under no name that the network chose."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from st_export.commit.rejects import RejectsOf, write_rejects
from st_export.flow import Reject
from tests.commit.parts import JOBS, TENANT

if TYPE_CHECKING:
    from st_export.commit.store import Store

pytestmark = pytest.mark.anyio
AT = datetime(2026, 11, 23, tzinfo=UTC)
SOURCE = RejectsOf(TENANT, JOBS, "run-0001-a", "run-1")
FOLDER = "_st_export/rejects/jpm.jobs/1001"


async def test_text_stands_in_the_document_and_bytes_beside_it(store: Store) -> None:
    page = b"\xff\x00" * 10
    rejects = [Reject(JOBS, "GET /jobs?page=2", "no id", '{"name":"Zoë"}'.encode()), Reject(JOBS, "GET /jobs?page=3", "cut off", page)]
    path = await write_rejects(store, SOURCE, rejects, AT)
    document = json.loads(await store.read(str(path)))
    assert (path, document["rejected_at"], document["run_id"]) == (f"{FOLDER}/run-0001-a.json", "2026-11-23T00:00:00Z", "run-1")
    assert document["rejects"][0] == {"request": "GET /jobs?page=2", "reason": "no id", "bytes": 15, "raw": '{"name":"Zoë"}'}
    assert document["rejects"][1]["raw_file"] == f"{FOLDER}/run-0001-a-0001.raw"
    assert await store.read(f"{FOLDER}/run-0001-a-0001.raw") == page


async def test_a_long_page_lies_beside(store: Store) -> None:
    await write_rejects(store, SOURCE, [Reject(JOBS, "GET /jobs", "no JSON", b"x" * 100_000)], AT)
    assert len(await store.read(f"{FOLDER}/run-0001-a-0000.raw")) == 100_000


async def test_nothing_rejected_writes_nothing(store: Store) -> None:
    assert await write_rejects(store, SOURCE, [], AT) is None
    assert [entry async for entry in store.list("")] == []


@pytest.mark.parametrize("name", ["../../evil", "a/b", "", ".hidden", "a\0b", "a..b", "x" * 300])
async def test_a_name_never_forms_a_path_unchecked(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        await write_rejects(store, RejectsOf(TENANT, JOBS, name, "run-1"), [Reject(JOBS, "GET /", "bad", b"x")], AT)


async def test_a_secret_that_the_service_echoes_is_taken_out_wherever_it_stands(store: Store) -> None:
    rejects = [
        Reject(JOBS, "GET /jobs?x=s3cret", "`s3cret` is no id", b'{"id": "s3cret"}'),
        Reject(JOBS, "GET /jobs", "no JSON", b"\xff s3cret"),
    ]
    path = await write_rejects(store, SOURCE, rejects, AT, lambda text: text.replace(b"s3cret", b"***"))
    document = json.loads(await store.read(str(path)))
    assert document["rejects"][0] == {"request": "GET /jobs?x=***", "reason": "`***` is no id", "bytes": 13, "raw": '{"id": "***"}'}
    assert await store.read(document["rejects"][1]["raw_file"]) == b"\xff ***"
