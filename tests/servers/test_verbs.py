"""The commands around a push, against real SSH servers, with a shell and without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from cli.holder import said
from cli.project import PUSH, hear_ctrl_c
from servers.test_commands import Host, until


@pytest.fixture(params=["ssh", "sftp_only"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """An account."""
    return Host(request, tmp_path, request.param)


def test_a_release_is_prepared_compared_switched_to_held_repaired_and_rolled_back(host: Host) -> None:
    first = host.push()
    assert first.returncode == 0, first.stderr

    host.write("two")
    assert host.push("diff", "--exit-code").returncode == 1
    assert "-one\n" in host.push("diff", "--text").stdout
    prepared = host.push("--prepare-only")
    assert prepared.returncode == 0, prepared.stderr
    assert host.live == "one"
    assert host.push("status").stdout.splitlines()[-1].endswith("prepared")
    switched = host.push("switch", prepared.stdout.strip())
    assert switched.returncode == 0, switched.stderr
    assert host.live == "two"

    assert host.push("hold", "-m", "not now").returncode == 0
    host.write("three")
    refused = host.push()
    assert refused.returncode == 6
    assert "not now" in refused.stderr
    assert host.push("release").returncode == 0
    host.write("two")

    assert host.push("check", "--deep").returncode == 0
    (host.target / "current/index.html").write_text("somebody was here")
    checked = host.push("check", "--deep")
    assert checked.returncode == 7
    assert "index.html: altered: content differs" in checked.stdout
    assert "nothing to do" in host.push().stderr
    assert host.push("--repair").returncode == 0
    assert host.live == "two"
    assert host.push("check", "--deep").returncode == 0

    assert host.push("rollback", first.stdout.strip()).returncode == 0
    assert host.live == "one"
    outcomes = [json.loads(line)["outcome"] for line in host.push("log", "--json").stdout.splitlines()]
    assert outcomes == ["good", "prepared", "switched", "good", "rolled back"]


def test_who_waits_has_their_turn_and_ctrl_c_ends_a_wait_only(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    host = Host(request, tmp_path, "ssh")
    host.push()
    host.write("two")
    (host.target / "stay").touch()
    wait = "touch ../../here; while [ -e ../../stay ]; do sleep 0.05; done"
    host.push("plan", before_switch=wait)  # writes the Pushfile
    with host.start() as holder:
        try:
            assert until((host.target / "here").exists)
            busy = host.push(before_switch=None)
            assert busy.returncode == 9, busy.stderr
            assert "web is busy: push 2 by " in busy.stderr
            host.write("three")
            with waiting(host) as given_up:
                said(given_up, "waiting: push 2 by ")
                given_up.send_signal(signal.SIGINT)
                _, err = given_up.communicate(timeout=60)
                assert given_up.returncode == 130, err
            with waiting(host) as waiter:
                said(waiter, "waiting: push 2 by ")
                os.unlink(host.target / "stay")
                _, err = waiter.communicate(timeout=60)
            holder.communicate(timeout=60)
        finally:
            (host.target / "stay").unlink(missing_ok=True)
    assert (holder.returncode, waiter.returncode) == (0, 0), err
    assert host.live == "three"
    assert json.loads(host.push("status", "--json").stdout)["queue"] == []


def waiting(host: Host) -> subprocess.Popen[str]:
    """A push that waits."""
    return subprocess.Popen(
        [PUSH, "--wait", "60"],
        cwd=host.root,
        env=host.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no threads here)
    )
