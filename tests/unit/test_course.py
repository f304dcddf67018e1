"""The course of a push: which phase took how long, and what was printed last; and what a log keeps of it."""

from __future__ import annotations

import json

from pushkit.course import LINES, SOURCES, WIDTH, Course
from pushkit.events import HostChanged, Output, StepFinished, StepsPassed, StepStarted
from pushkit.files.log import HOSTS, OUTPUT, PHASES, course_of, entry_of
from pushkit.files.operation import Append, Log, MakeDirectory, Operation, Point, Remove, Write, laps
from pushkit.model import Action, Step


def step(course: Course, action: Action, subject: str) -> None:
    """A step that is begun and done."""
    course(StepStarted("t", Step(action, subject, "why")))
    course(StepFinished("t", Step(action, subject, "why"), 0.0))


def test_steps_are_phases_by_what_they_do_and_where_hosts_are_known_by_host() -> None:
    course = Course()
    for action, subject in (
        (Action.ADD, "a"), (Action.REPLACE, "b"), (Action.KEEP, "2 files"), (Action.RUN, "make"),
        (Action.SWITCH, "current"), (Action.RUN, "make"), (Action.PRUNE, "old")
    ):  # fmt: skip
        step(course, action, subject)
    assert [each.name for each in course.phases] == [
        "send", "copy", "before switch", "switch", "after switch", "prune"
    ]  # fmt: skip
    many = Course()
    for host in ("web1", "web2"):
        with many.during("connect", host):
            pass
        many(HostChanged("t", host, "connected", "", ""))
        step(many, Action.PREPARE, host)
    assert [(each.host, each.name) for each in many.phases] == [
        ("web1", "connect"), ("web1", "prepare"), ("web2", "connect"), ("web2", "prepare")
    ]  # fmt: skip


def test_steps_that_come_together_are_one_phase_that_began_when_they_did() -> None:
    course = Course()
    steps = tuple(Step(action, str(number), "why") for number in range(3) for action in (Action.ADD, Action.REPLACE))
    course(StepsPassed("t", steps, 0.0))
    course(StepsPassed("t", steps, 0.0))
    (found,) = course.phases
    assert found.name == "send"
    assert found.began + found.seconds <= course.now


def test_a_secret_is_hidden_before_its_line_is_cut() -> None:
    course = Course(lambda text: text.replace("s3cr3t" * 10, "[secret:word]"))
    course(Output("t", "script", "x" * (WIDTH - 20) + "s3cr3t" * 10))
    assert "s3cr" not in "".join(course.output)


def test_only_the_last_is_kept_of_what_never_ends() -> None:
    course = Course()
    for number in range(LINES + 5):
        course(Output("t", "script", f"{number} " + "x" * 10_000))
    assert [line.split()[1] for line in course.output] == [str(number) for number in range(5, LINES + 5)]
    for number in range(SOURCES + 5):
        course(Output("t", f"host{number}", "a line"))
    assert len(course.output) == SOURCES


def test_what_a_host_that_failed_printed_is_kept_before_what_the_others_did() -> None:
    course = Course()
    course(Output("t", "web1 after_switch", "no such unit"))
    course(HostChanged("t", "web1", "failed", "exit code 1", ""))
    for number in range(2, 100):
        course(Output("t", f"web{number} after_switch", "x" * WIDTH))
    record = course_of(course, failed=True)
    lines = record["output"]
    assert isinstance(lines, list)
    assert lines[-2:] == ["web1 after_switch: no such unit", "web1: failed: exit code 1"]


def test_a_line_is_bounded_and_keeps_the_hosts_on_which_most_time_went() -> None:
    course = Course()
    for number in range(3000):
        with course.during("connect", f"web{number}.a-rather-long-domain.example.com"):
            pass
        course(Output("t", f"web{number} after_switch", "x" * WIDTH))
    record = course_of(course, failed=True)
    assert len(json.dumps(record)) < 32 * 1024
    phases = record["phases"]
    assert isinstance(phases, list)
    assert len(phases) == HOSTS
    assert "output" not in course_of(course, failed=False)
    lines = record["output"]
    assert isinstance(lines, list)
    assert OUTPUT - WIDTH - 40 < sum(map(len, lines)) <= OUTPUT
    read = entry_of(
        json.dumps({"number": 1, "ended": "2026-11-30T00:00:00Z", "phases": [["a", 0, 1]] * (PHASES + 9)}).encode()
    )
    assert read
    assert len(read.phases) == PHASES


def test_a_script_tells_when_each_of_its_phases_was_over() -> None:
    verify, switch = (Step(action, "s", "why") for action in (Action.VERIFY, Action.SWITCH))
    operations: list[Operation] = [
        MakeDirectory("d"),
        Write("verified", b"", step=verify),
        Remove("x"),
        Point("current", "releases/1", step=switch),
        Remove("y"),
        Log("log", dict),
        Remove("z", step=switch),
    ]
    assert laps(operations) == {3: "verify", 5: "switch"}
    assert not laps([Append("log", b"")])
    assert not laps([Remove("x"), Log("log", dict)])


def test_laps_are_phases_from_when_the_script_was_told() -> None:
    found = entry_of(
        b'{"number": 1, "ended": "2026-11-30T00:00:00Z", "phases": [["plan", 0.25, 0.25]], "at": 0.5, '
        b'"laps": "start 100.0 send 101.5 verify 101.75 "}'
    )
    assert found
    assert [(each.name, each.began, each.seconds) for each in found.phases] == [
        ("plan", 0.25, 0.25), ("send", 0.5, 1.5), ("verify", 2.0, 0.25)
    ]  # fmt: skip
