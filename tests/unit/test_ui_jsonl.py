"""The lines that a program reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pushkit.events import Event, PlanReady, PushFinished, StepFinished, StepProgress, StepStarted
from pushkit.model import Action, Entry, Kind, Outcome, Plan, Receipt, Release, Revision, Step
from pushkit.ui.jsonl import JsonLines, line

STEP = Step(Action.ADD, "name\n\x1b\udce9", "new", 5)


def written(*events: Event, times: list[float] | None = None) -> list[dict[str, Any]]:
    lines: list[str] = []
    clock = iter(times or [0.0] * 100)
    reporter = JsonLines(lines.append, lambda: next(clock))
    for event in events:
        reporter(event)
    assert all(text.isascii() and text.isprintable() for text in lines)
    return [json.loads(text) for text in lines]


def test_an_event_is_a_line_with_a_version_a_name_and_its_fields() -> None:
    assert written(StepStarted("web", STEP)) == [
        {
            "version": 1,
            "event": "step-started",
            "target": "web",
            "step": {"action": "add", "subject": "name\n\x1b\udce9", "reason": "new", "size": 5},
        }
    ]


def test_a_plan_of_a_strategys_own_class_shows_what_every_plan_has() -> None:
    class OwnPlan(Plan, frozen=True):
        handle: object = None

    (found,) = written(PlanReady("web", OwnPlan("web", (STEP,), 3, "000001", handle=object())))
    assert set(found["plan"]) == {"target", "steps", "kept", "live", "warnings", "round_trips"}


def test_the_receipt_holds_the_release_and_times_are_iso() -> None:
    release = Release("000001", Revision("c" * 40, True, "d" * 64), datetime(2026, 1, 2, 3, tzinfo=UTC), "me@here")
    (found,) = written(PushFinished("web", Receipt("web", Outcome.DONE, release, "000001", 3, (STEP,), 9, 0.5)))
    assert found["event"] == "push-finished"
    assert found["receipt"]["outcome"] == "done"
    assert found["receipt"]["release"]["created"] == "2026-01-02T03:00:00+00:00"
    assert found["receipt"]["failed"][0]["action"] == "add"


def test_bytes_of_a_step_are_summed_up_to_a_line_a_second() -> None:
    chunks = [StepProgress("web", STEP, 10) for _ in range(5)]
    found = written(*chunks, StepFinished("web", STEP, 2.2), times=[0.0, 0.5, 1.1, 1.5, 2.2])
    assert [(each["event"], each.get("size")) for each in found] == [
        ("step-progress", 30),
        ("step-progress", 20),
        ("step-finished", None),
    ]


def test_an_event_of_a_strategys_own_is_written_whatever_it_holds() -> None:
    class HostVanished(Event, frozen=True):
        where: Path
        seen: frozenset[int]

    (found,) = written(HostVanished("web", Path("/srv"), frozenset({1})))
    assert found["event"] == "host-vanished"
    assert found["where"] == "/srv"


def test_digests_are_hex() -> None:
    entry = Entry("a", Kind.FILE, 0o644, 1, b"\x01\xff")
    assert json.loads(line("entry", entry=entry))["entry"]["sha256"] == "01ff"
