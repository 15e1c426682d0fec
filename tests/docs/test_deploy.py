"""What `configs/deploy/` promises: a small image without root, a unit that systemd takes, a CronJob that keeps to itself."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from st_export.config.load import load_config
from tests.docs.documents import ROOT, commands, understood

if TYPE_CHECKING:
    from tests.docs.conftest import Project

DEPLOY = ROOT / "configs" / "deploy"
NEEDS_SYSTEMD = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions: (word, rest), comments out, continued lines joined."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def rest_of(stage: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for each, rest in stage if each == word]


def test_the_image_is_slim_pinned_and_ends_without_root() -> None:
    build, final = stages()
    assert rest_of(build, "FROM") == ["python:3.12-slim-bookworm AS build"]
    assert rest_of(final, "FROM") == ["python:3.12-slim-bookworm"]
    assert rest_of(final, "COPY") == ["--from=build /opt/st-export /opt/st-export"]
    assert [word for word, _ in final if word in ("USER", "RUN", "COPY")][-1] == "USER"
    uid, gid = rest_of(final, "USER")[-1].split(":")
    assert int(uid) >= 10_000
    assert int(gid) >= 10_000
    assert [rest for rest in rest_of(build, "RUN") if "--require-hashes -r requirements.lock" in rest]
    assert not [word for word, _ in instructions() if word in ("ADD", "ARG")]


def test_the_image_runs_st_export_and_takes_its_signals() -> None:
    final = stages()[-1]
    assert rest_of(final, "ENTRYPOINT") == ['["st-export"]']
    assert understood(yaml.safe_load(rest_of(final, "CMD")[0])) == "run"
    settings = dict(pair.split("=", 1) for pair in shlex.split(rest_of(final, "ENV")[0]))
    assert {settings["HOME"], settings["TMPDIR"]} == {"/tmp"}


def test_only_what_is_copied_goes_to_the_builder() -> None:
    first, *rest = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"]
    copied = {name.removeprefix("./") for line in rest_of(stages()[0], "COPY") for name in line.split()[:-1]}
    assert first == "*"
    assert {line.removeprefix("!") for line in rest if line.startswith("!")} == copied
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.heavy
def test_the_build_works_with_nothing_but_the_copied_files(tmp_path: Path) -> None:
    """Follow the first stage in a folder, with this Python in place of the image's."""
    source, target = tmp_path / "src", tmp_path / "st-export"
    source.mkdir()
    for word, rest in stages()[0]:
        if word == "COPY":
            for name in rest.split()[:-1]:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, source / name)
        elif word == "RUN":
            line = rest.replace("/opt/st-export", str(target)).replace("python -m venv", f"{sys.executable} -m venv")
            line = re.sub(r"^pip ", f"{sys.executable} -m pip ", line)
            subprocess.run(["sh", "-ec", line], cwd=source, check=True, timeout=600)
    shown = subprocess.run([target / "bin" / "st-export", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert shown.stdout.startswith("st-export ")
    assert not (target / "bin" / "pip").exists()


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Return a unit's sections; a key may stand more than once."""
    found: dict[str, dict[str, list[str]]] = {}
    for section, body in re.findall(r"^\[(\w+)\]\n((?:(?!\[).*\n)*)", (DEPLOY / name).read_text(), re.MULTILINE):
        pairs = [line.partition("=") for line in body.splitlines() if line and not line.startswith("#")]
        assert [pair for pair in pairs if not pair[1]] == []
        found[section] = {key: [value for other, _, value in pairs if other == key] for key, _, _ in pairs}
    return found


def test_the_service_runs_the_nightly_job_and_then_asks_how_old_the_lake_is() -> None:
    service = unit("st-export.service")["Service"]
    program, *run = shlex.split(service["ExecStart"][0])
    assert understood(run) == "run"
    assert understood(shlex.split(service["ExecStartPost"][0])[1:]) == "status"
    assert (program, service["Type"], service["User"]) == ("/opt/st-export/bin/st-export", ["oneshot"], ["st-export"])
    assert service["Environment"] == ["ST_EXPORT_CONFIG=/etc/st-export/st-export.yaml"]
    assert int(service["TimeoutStopSec"][0]) > 10
    assert (service["SuccessExitStatus"], service["RestartPreventExitStatus"]) == (["143"], ["2"])


def test_the_service_can_write_its_lake_and_nothing_else() -> None:
    service = unit("st-export.service")["Service"]
    assert (service["ProtectSystem"], service["NoNewPrivileges"], service["CapabilityBoundingSet"]) == (["strict"], ["yes"], [""])
    assert "ReadWritePaths" not in service
    lake = yaml.safe_load((DEPLOY / "st-export.yaml").read_text())["output"]["url"]
    assert Path(lake).parent == Path("/var/lib", service["StateDirectory"][0])


def test_the_timer_starts_the_service_and_makes_up_for_a_night_off() -> None:
    timer = unit("st-export.timer")
    assert (timer["Timer"]["Persistent"], timer["Install"]["WantedBy"]) == (["true"], ["timers.target"])
    assert (DEPLOY / "st-export.timer").stem == (DEPLOY / "st-export.service").stem


@NEEDS_SYSTEMD
def test_systemd_takes_both_units(tmp_path: Path) -> None:
    for name in ("st-export.service", "st-export.timer"):
        text = (DEPLOY / name).read_text().replace("/opt/st-export/bin/st-export", sys.executable)
        (tmp_path / name).write_text(text)
    units = [str(tmp_path / "st-export.service"), str(tmp_path / "st-export.timer")]
    shown = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert (shown.returncode, [line for line in shown.stderr.splitlines() if "st-export" in line]) == (0, [])


def test_the_service_s_configuration_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ST_APP_KEY", "ST_CLIENT_ID", "ST_CLIENT_SECRET"):
        monkeypatch.setenv(name, f"value-of-{name}")
    monkeypatch.setenv("ST_TENANT_ID", "1001")
    assert load_config(DEPLOY / "st-export.yaml").output.url == "/var/lib/st-export/lake"


def documents() -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all((DEPLOY / "cronjob.yaml").read_text())}


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = documents()["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def test_the_cronjob_runs_one_at_a_time_and_tries_again_where_that_helps() -> None:
    found = documents()
    assert list(found) == ["ServiceAccount", "ConfigMap", "CronJob"]
    spec = found["CronJob"]["spec"]
    job = spec["jobTemplate"]["spec"]
    assert (found["CronJob"]["apiVersion"], spec["concurrencyPolicy"], pod()["restartPolicy"]) == ("batch/v1", "Forbid", "Never")
    assert re.fullmatch(r"\d+ \d+ \* \* \*", spec["schedule"])
    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"] == {"containerName": "st-export", "operator": "In", "values": [2]}
    assert pod()["terminationGracePeriodSeconds"] > 10
    assert job["activeDeadlineSeconds"] > 3 * 3600


def test_the_pod_has_no_root_no_rights_and_one_place_to_write() -> None:
    (container,) = pod()["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert (pod()["securityContext"]["runAsNonRoot"], pod()["securityContext"]["runAsUser"]) == (True, 10001)
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False
    assert {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]} == {
        "config": True, "secrets": True, "tmp": False,
    }  # fmt: skip
    assert {volume["name"] for volume in pod()["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}
    assert set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}


def test_the_pod_calls_st_export_as_it_is(tmp_path: Path) -> None:
    (container,) = pod()["containers"]
    assert understood(container["args"]) == "run"
    assert container["image"].rpartition(":")[2] not in ("", "latest")
    config = documents()["ConfigMap"]["data"]["st-export.yaml"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    secrets = re.findall(r"\$\{file:(.+?)\}", config)
    assert {str(Path(name).parent) for name in secrets} == {mounts["secrets"]}
    for name in secrets:
        (tmp_path / Path(name).name).write_text("a-secret\n")
    (tmp_path / "st-export.yaml").write_text(config.replace(mounts["secrets"], str(tmp_path)))
    assert load_config(tmp_path / "st-export.yaml").output.url == "s3://my-company-lake/servicetitan"


def test_the_page_names_files_that_exist_and_calls_that_are_understood() -> None:
    lines = commands(DEPLOY / "README.md")
    named = {name for line in lines for name in re.findall(r"(?<![\w/])(?:configs/deploy/[\w.-]+|requirements\.lock)", line)}
    assert {"configs/deploy/Dockerfile", "configs/deploy/cronjob.yaml", "configs/deploy/st-export.timer", "requirements.lock"} <= named
    assert [name for name in named if not (ROOT / name).is_file()] == []
    starts = re.compile(r"/bin/st-export (?=-)| st-export:[\d.]+ (?=\w)")
    calls = [starts.split(line)[1] for line in lines if starts.search(line)]
    assert [understood(shlex.split(call)) for call in calls] == ["run", "check"]


def test_a_run_and_a_compact_write_nothing_but_the_lake_and_temporary_files(project: Project, tmp_path: Path) -> None:
    """What the container, the unit and the pod rely on, with the whole file system read-only but for these two folders."""
    lake, temporary = project.folder / "lake", tmp_path / "tmp"
    temporary.mkdir()
    mounts = " && ".join(f"mount --bind {folder} {folder}" for folder in (lake, temporary))
    calls = "st-export -q run && st-export -q compact && st-export -q query 'SELECT 1' > /dev/null"
    shell = ["unshare", "--mount", "sh", "-ec", f"{mounts} && mount -o remount,bind,ro / || exit 99; ! touch ./x 2> /dev/null; {calls}"]
    environment = {**project.environment, "HOME": str(temporary), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    ended = subprocess.run(shell, cwd=project.folder, env=environment, capture_output=True, text=True, check=False, timeout=100)
    if ended.returncode == 99 or "unshare" in ended.stderr:
        pytest.skip(f"mounting is not permitted: {ended.stderr.strip()}")
    assert (ended.returncode, ended.stderr) == (0, "")
