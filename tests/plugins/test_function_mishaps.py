"""The platform `lambda` when something goes wrong at a bad moment: a kill, another push, an answer that is none."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from cli.project import PUSH
from plugins.lambda_target import Lambda, Pusher, stop_at
from pushkit import Interrupted, PushFailed
from pushkit.testing import CodeDeployServer
from recorder.sitecustomize import recorded

#: What changes anything, in the order of a push that shifts by 10% and 50%.
CHANGES = ("code", "published", "10%", "50%", "all")


@pytest.fixture
def service(moto: str) -> Iterator[CodeDeployServer]:
    with CodeDeployServer(platform="Lambda", rest=moto) as made:
        yield made


@pytest.fixture
def function(moto: str) -> Lambda:
    return Lambda(moto)


@pytest.fixture
def pusher(tmp_path: Path, service: CodeDeployServer, function: Lambda) -> Iterator[Pusher]:
    made = Pusher(tmp_path, service, platform="lambda", function=function.name, pause=0)
    made.environment = {**recorded(), "PATH": os.environ["PATH"]}
    change(made, 1)
    made.push()
    change(made, 2)
    yield made
    made.close()


def change(pusher: Pusher, number: int) -> None:
    pusher.write("app.py", f"def handler(event, context): return {number}\n")


@contextmanager
def answering(text: bytes, pause: float) -> Iterator[str]:
    """A server that says ``text``, byte by byte with a pause before each."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        for each in text:
                            time.sleep(pause)
                            connection.sendall(bytes((each,)))

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)


def test_a_push_that_began_since_the_plan_is_not_overruled(pusher: Pusher, function: Lambda) -> None:
    strategy = pusher.strategy(shift=["10%"])
    snapshot = pusher.snapshot(strategy)
    plan = strategy.plan(snapshot)
    weights = {"AdditionalVersionWeights": {"7": 0.25}}
    function.client.update_alias(FunctionName=function.name, Name="live", RoutingConfig=weights)
    with pytest.raises(PushFailed, match=r"version 7 has 25% of the traffic: another push has begun meanwhile"):
        strategy.push(plan, snapshot)
    assert function.alias() == ("1", {"7": 0.25})


def test_a_check_that_fails_takes_back_what_a_push_before_had_left(pusher: Pusher, function: Lambda) -> None:
    stop_at(pusher, "10% on version 2")
    with pytest.raises(Interrupted):
        pusher.push(shift=["10%"], pause=3600, on_interrupt="leave")
    pusher.cancelled.clear()
    pusher.events = []
    assert function.alias() == ("1", {"2": 0.1})
    pusher.repair = True
    with pytest.raises(PushFailed, match="all the traffic is back on version 1"):
        pusher.push(shift=["10%"], check={"command": "false"})
    assert function.alias() == ("1", {})


@pytest.mark.parametrize(
    ("text", "pause"), [(b"what is this\r\n\r\n", 0), (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 999, 0.05)]
)
def test_a_url_that_does_not_speak_http_or_does_not_come_to_an_end_is_a_failure(
    pusher: Pusher, function: Lambda, text: bytes, pause: float
) -> None:
    with answering(text, pause) as url:
        start = time.monotonic()
        with pytest.raises(PushFailed, match=r"does not answer.*; all the traffic is back on version 1"):
            pusher.push(shift=["10%"], check={"url": url, "timeout": 1})
        assert time.monotonic() - start < 10
    assert function.alias() == ("1", {})


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("at", CHANGES)
def test_a_push_that_is_killed_leaves_what_was_live_or_says_how_to_go_on(
    pusher: Pusher, function: Lambda, service: CodeDeployServer, tmp_path: Path, at: str, *, arrives: bool
) -> None:
    table = {**pusher.options, "shift": ["10%", "50%"]}
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    pusher.write("Pushfile", "\n".join(["[target.live]", 'strategy = "codedeploy"', *lines]))
    environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}

    def begin(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PUSH, *arguments],
            cwd=pusher.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    changes: list[str] = []
    begun = threading.Event()

    def instead(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        if method not in {"PUT", "POST"}:
            return None
        begun.wait()
        changes.append(path)
        if len(changes) == CHANGES.index(at) + 1:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return None if arrives else (500, {"__type": "Gone", "Message": "nobody hears it"})
        return None

    service.instead = instead
    process = begin()
    begun.set()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGKILL, said
    service.instead = lambda method, path, body: None

    # Who asks gets what was live, or the new one with what was checked of it.
    done = CHANGES.index(at) + arrives
    weights = {3: {"2": 0.1}, 4: {"2": 0.5}}.get(done, {})
    expected = ("2" if done == len(CHANGES) else "1", weights)
    end = time.monotonic() + 10
    while function.alias() != expected and time.monotonic() < end:  # what was on its way arrives after the kill
        time.sleep(0.05)
    assert function.alias() == expected

    again = begin()
    output, said = again.communicate(timeout=60)
    if weights:
        assert again.returncode == 6, said
        assert f"version 2 has {weights['2'] * 100:g}% of the traffic" in said
        assert "push rollback; or push --repair" in said
        back = begin("rollback")
        assert back.communicate(timeout=60)[0].splitlines()[-1:] == ["1"]
        assert function.alias() == ("1", {})
        again = begin()
        output, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert output.splitlines()[-1:] == ["2"]
    assert function.alias() == ("2", {})
    assert [
        each["Version"] for each in function.client.list_versions_by_function(FunctionName=function.name)["Versions"]
    ][-1] == "2"
