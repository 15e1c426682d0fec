"""Recordings, images and attachments of the look-alike: files in the lake, and the index that tells them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from st_export.lake.verify import verify
from st_export.run.readers import binaries
from st_export.simulate.options import Fault
from st_export.simulate.others import blob_bytes
from st_export.storage.open import open_lake

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lookalike import Service

pytestmark = pytest.mark.anyio

RECORDING, CALLS = "telecom.calls.recording", "telecom.calls"
IMAGES, SERVICES = "pricebook.images", "pricebook.services"
ALL = (
    RECORDING,
    "telecom.calls.voicemail",
    "forms.jobs.attachment",
    IMAGES,
    "findings.assets",
    "equipmentsystems.installed-equipment.attachments",
)


def index(it: Service, entity: str) -> dict[str, dict[str, Any]]:
    """Return the newest row of each file."""
    rows = sorted((row.values for row in it.lake.rows(entity)), key=lambda row: row["_exported_at"])
    return {row["id"]: row for row in rows}


def content(it: Service, entity: str, row: dict[str, Any]) -> bytes:
    return (it.folder / entity / "tenant_id=1001" / "files" / row["name"]).read_bytes()


def asked(run: Any, part: str = "/recording") -> list[str]:
    return [seen.path.split("/")[-2] for seen in run.asked(part)]


async def test_every_kind_of_file_lies_beside_its_index(serving: Callable[..., Any]) -> None:
    async with serving({"rows": 40}) as it:
        image = {"id": 1, "assets": [{"url": "Images/a b.png"}, {"url": "Images/Ä.jpg"}], "defaultAssetUrl": "Images/a b.png"}
        it.look_alike.simulation.answer_with("*/export/services", {"hasMore": False, "continueFrom": "t", "data": [image]})
        run = await it.run(*ALL)
        assert run.bad() == {}
        for entity in ALL:
            rows = index(it, entity)
            assert rows, entity
            for row in rows.values():
                if row["reason"] is None:
                    found = content(it, entity, row)
                    assert (len(found), hashlib.sha256(found).hexdigest()) == (row["bytes"], row["sha256"])
                else:
                    assert (row["name"], row["bytes"], row["sha256"], row["reason"]) == (None, None, None, "404: there is no such file")
        assert content(it, IMAGES, index(it, IMAGES)["Images/a b.png"]) == blob_bytes("1001/Images/a b.png")
        assert it.look_alike.stats.secrets_at_blobs == 0
        again = await it.run(*ALL)
        assert (again.exit_code, again.files) == (0, 0)


async def test_files_are_committed_with_their_rows(serving: Callable[..., Any]) -> None:
    async with serving({"rows": 40}) as it:
        await it.run(RECORDING)
        rows = [row for row in index(it, RECORDING).values() if row["reason"] is None]
        listed = {file["path"]: file for manifest in it.lake.manifests() for file in manifest["files"]}
        folder = it.folder / RECORDING / "tenant_id=1001" / "files"
        assert {path.name for path in folder.iterdir()} == {row["name"] for row in rows}
        for row in rows:
            file = listed[f"{RECORDING}/tenant_id=1001/files/{row['name']}"]
            assert (file["sha256"], file["bytes"], file["rows"]) == (row["sha256"], row["bytes"], 0)
        (folder / "4711~run-0001-pdead-00.mp3").write_bytes(b"left by a dead run")
        await it.run(RECORDING)
        assert {path.name for path in folder.iterdir()} == {row["name"] for row in rows}
        checked = await verify(await open_lake(str(it.folder), {}, it.folder, writing=False))
        assert checked.document()["problems"] == []


async def test_only_files_of_changed_rows_are_asked_for_again(serving: Callable[..., Any]) -> None:
    async with serving({"rows": 40}) as it:
        first = await it.run(CALLS, RECORDING)
        ids = index(it, RECORDING)
        assert sorted(asked(first)) == sorted(ids)
        call = next(name for name, row in ids.items() if row["reason"] is None)
        it.changes.modify(CALLS, call)
        second = await it.run(CALLS, RECORDING)
        assert (asked(second), second.entities()[RECORDING]["rows"]) == ([call], 0)
        it.look_alike.simulation.answer_with(f"*/calls/{call}/recording", b"another", content_type="audio/mpeg")
        it.changes.modify(CALLS, call)
        await it.run(CALLS, RECORDING)
        assert content(it, RECORDING, index(it, RECORDING)[call]) == b"another"
        missing = sorted(name for name, row in ids.items() if row["reason"] is not None)
        full = await it.run(CALLS, RECORDING, request={"full_children": True})
        assert sorted(asked(full)) == missing


async def test_a_download_goes_on_behind_the_last_file_committed(serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "FILES_A_UNIT", 4)
    async with serving({"rows": 60}, entities={RECORDING: {"max_in_flight": 1}}) as it:
        await it.run(CALLS)
        it.look_alike.simulation.faults.add(Fault("forbidden", path="*/recording", after=10))
        broken = await it.run(CALLS, RECORDING)
        assert (broken.exit_code, len(asked(broken))) == (4, 11)
        it.look_alike.simulation.faults.set(())
        resumed = await it.run(CALLS, RECORDING)
        assert asked(resumed) == sorted(index(it, RECORDING), key=int)[8:]
        kept = {row["name"] for row in index(it, RECORDING).values() if row["reason"] is None}
        assert {path.name for path in (it.folder / RECORDING / "tenant_id=1001/files").iterdir()} == kept


async def test_a_file_that_is_refused_is_a_row_and_asked_for_again(serving: Callable[..., Any]) -> None:
    async with serving({"rows": 40}) as it:
        await it.run(CALLS)
        call = it.lake.rows(CALLS)[0].values["id"]
        it.look_alike.simulation.answer_with(f"*/calls/{call}/recording", {"title": "no"}, status=409)
        run = await it.run(CALLS, RECORDING)
        assert (run.exit_code, index(it, RECORDING)[str(call)]["reason"]) == (0, "409: the file was refused")
        assert asked(await it.run(CALLS, RECORDING)) == [str(call)]
        it.look_alike.simulation.clear_answers()
        it.look_alike.simulation.answer_with(f"*/calls/{call}/recording", b"sound", content_type="audio/mpeg")
        await it.run(CALLS, RECORDING)
        assert content(it, RECORDING, index(it, RECORDING)[str(call)]) == b"sound"
        assert asked(await it.run(CALLS, RECORDING)) == []


async def test_no_name_of_the_network_leaves_the_folder(serving: Callable[..., Any]) -> None:
    names = ["Images/../../../../etc/passwd", "Images/..", "Images/x\u0000y.png", "Images/" + "n" * 400, "http://other/x.png", "//other/y"]
    async with serving({"rows": 20}) as it:
        record = {"id": 1, "assets": [{"url": name} for name in names]}
        it.look_alike.simulation.answer_with("*/export/services", {"hasMore": False, "continueFrom": "t", "data": [record]})
        it.look_alike.simulation.answer_with("*/pricebook/v2/tenant/*/images", b"x", content_type="image/png")
        run = await it.run(IMAGES)
        assert run.bad() == {}
        rows = index(it, IMAGES)
        assert {rows[name]["reason"] for name in names[-2:]} == {"not a file of the service: its place is elsewhere"}
        assert all(content(it, IMAGES, rows[name]) == b"x" for name in names[:-2])
        files = {path.parent.name for path in it.folder.rglob("*") if path.is_file() and IMAGES in str(path) and "~" in path.name}
        assert files == {"files"}


async def test_a_cut_download_is_repeated_whole(serving: Callable[..., Any]) -> None:
    async with serving({"rows": 30}) as it:
        await it.run(CALLS)
        it.look_alike.simulation.faults.add(Fault("reset-in-body", path="*/recording", times=2))
        run = await it.run(CALLS, RECORDING)
        assert run.exit_code == 0
        for row in index(it, RECORDING).values():
            assert row["reason"] or hashlib.sha256(content(it, RECORDING, row)).hexdigest() == row["sha256"]


async def test_without_a_scope_the_entity_is_skipped_or_failed(serving: Callable[..., Any]) -> None:
    async with serving({"rows": 30}, kinds=["feed", "binary"]) as it:
        it.look_alike.simulation.forbid("*/recording")
        run = await it.run(CALLS, "telecom.calls.r*")
        assert (run.exit_code, run.statuses()[RECORDING]) == (0, "skipped")
        run = await it.run(CALLS, RECORDING)
        assert (run.exit_code, run.statuses()[RECORDING]) == (4, "failed")
