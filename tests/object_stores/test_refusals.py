"""What a bucket that cannot be used makes a run say: what is wrong and what to do, exit code 2, and nothing has been written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from moto.core.authorization import enable_iam_authentication

from tests.object_stores.buckets import command
from tests.object_stores.server import BUCKET, is_write, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.object_stores.buckets import BucketRuns
    from tests.object_stores.server import S3

REFUSALS = {
    "region-of-v4": (400, "AuthorizationHeaderMalformed", {}, "another region", "set output.options.region"),
    "region-of-the-bucket": (301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-1"}, "another region", "set output.options.region"),
    "expired": (400, "ExpiredToken", {}, "have expired", "renew them"),
    "unknown-key": (403, "InvalidAccessKeyId", {}, "refuses the credentials", "set output.options"),
    "wrong-secret": (403, "SignatureDoesNotMatch", {}, "refuses the credentials", "set output.options"),
    "forbidden": (403, "AccessDenied", {}, "permission denied", "the credentials need to list, read, write and delete"),
    "no-bucket": (404, "NoSuchBucket", {}, "no such bucket", "create it, or correct output.url"),
}


def refused(runs: BucketRuns, s3: S3) -> str:
    """Run; return what was told, after a look that it ended with 2, and that nothing was written or asked of the service."""
    s3.asked.clear()
    runs.look_alike.control("reset_stats")
    code, _, stderr = command(runs, "run")
    written = [path for method, path in s3.asked if is_write(method, path) and path.startswith(f"/{BUCKET}/") and "/probe-" not in path]
    assert (code, written) == (2, []), stderr
    assert runs.look_alike.stats()["requests"] == 0
    assert "\nhint: " in stderr
    return stderr


@pytest.mark.parametrize("name", REFUSALS)
def test_what_s3_refuses_is_named(runs: BucketRuns, s3: S3, name: str) -> None:
    status, code, headers, text, hint = REFUSALS[name]
    s3.before = lambda method, path: refusal(status, code, **headers)
    told = refused(runs, s3)
    assert (text in told, f"hint: {hint}" in told) == (True, True), told


def test_a_bucket_that_is_not_there_is_named(runs: BucketRuns, s3: S3) -> None:
    runs.url = "s3://nowhere/lake"
    assert "there is no such bucket or container (NoSuchBucket" in refused(runs, s3)


def test_missing_credentials_are_named(runs: BucketRuns, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    s3.before = lambda method, path: refusal(404, "NotFound")
    runs.options = {name: value for name, value in s3.options(metadata_endpoint=s3.endpoint).items() if "key" not in name}
    told = refused(runs, s3)
    assert "no credentials for the object store were found" in told


@pytest.fixture
def users(s3: S3, tmp_path: Path) -> Iterator[dict[str, dict[str, object]]]:
    """Users by what their policy allows, as `output.options`; from now on the server looks at policies and signatures."""
    iam, allowed = s3.client("iam"), {"delete": "DeleteObject", "read": "GetObject", "write": "PutObject", "list": "ListBucket"}
    users = {}
    for missing in (*allowed, "nothing"):
        actions = [f"s3:{action}" for name, action in allowed.items() if name != missing]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        user = f"{tmp_path.name}-{missing}"
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="lake", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        users[missing] = s3.options(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])
    with enable_iam_authentication():
        yield users


@pytest.mark.parametrize("missing", ["delete", "read", "write", "list"])
def test_each_permission_is_needed(runs: BucketRuns, s3: S3, users: dict[str, dict[str, object]], missing: str) -> None:
    runs.options = users[missing]
    told = refused(runs, s3)
    assert "permission denied by the object store (" in told
    assert "hint: the credentials need to list, read, write and delete below output.url" in told
    runs.options = users["nothing"]
    assert (runs.objects(), command(runs, "run", "-q")[0]) == ({}, 0)


@pytest.mark.parametrize(("name", "value"), [("access_key_id", "AKIAUNKNOWN"), ("secret_access_key", "hunter2")])
def test_wrong_keys_are_named(runs: BucketRuns, s3: S3, users: dict[str, dict[str, object]], name: str, value: str) -> None:
    runs.options = {**users["nothing"], name: value}
    told = refused(runs, s3)
    assert ("the object store refuses the credentials" in told, value in told) == (True, False)


def test_a_newer_lake_is_left_alone(runs: BucketRuns, s3: S3) -> None:
    runs.store().put("_st_export/lake.json", b'{"version": 2}')
    told = refused(runs, s3)
    assert ("was written by a newer st-export (layout 2, this one knows 1)" in told, "hint: upgrade st-export" in told) == (True, True)
    assert runs.objects() == {"_st_export/lake.json": b'{"version": 2}'}


def test_a_newer_checkpoint_is_left_alone(runs: BucketRuns, s3: S3) -> None:
    assert command(runs, "run", "-q")[0] == 0
    path, newer = f"_st_export/checkpoint/{runs.access.id}.json", b'{"version": 99}'
    runs.store().put(path, newer)
    code, _, stderr = command(runs, "run")
    assert (code, "hint: " in stderr, runs.objects()[path]) == (2, True, newer), stderr


def test_foreign_parquet_is_left_alone(runs: BucketRuns, s3: S3) -> None:
    runs.store().put("sales/part-0.parquet", b"PAR1")
    told = refused(runs, s3)
    assert "holds Parquet files that are not st-export's (sales/part-0.parquet)" in told
    assert "hint: point output.url at a new or empty folder" in told
    assert runs.objects() == {"sales/part-0.parquet": b"PAR1"}


def test_a_bucket_that_fails_for_a_while_costs_no_row(runs: BucketRuns, s3: S3) -> None:
    seen: dict[tuple[str, str], int] = {}

    def slow_down(method: str, path: str) -> object:
        seen[method, path] = seen.get((method, path), 0) + 1
        return refusal(503, "SlowDown") if seen[method, path] == 1 and hash(path) % 3 == 0 else None

    s3.before = slow_down  # type: ignore[assignment]
    codes = (command(runs, "run", "-q")[0], command(runs, "run", "-q")[0])
    s3.before = None
    assert (codes, runs.compare(), runs.left_over()) == ((0, 0), [], [])
