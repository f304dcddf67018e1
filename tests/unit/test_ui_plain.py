"""The lines of a push in a log, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pushkit.events import (
    Event,
    HostChanged,
    Note,
    Output,
    PlanReady,
    PushFinished,
    SnapshotTaken,
    StepFailed,
    StepFinished,
    StepProgress,
    StepStarted,
    Warned,
)
from pushkit.model import Action, Outcome, Plan, Receipt, Release, Revision, Step
from pushkit.ui.plain import Plain, Tone
from pushkit.ui.progress import Progress

ADDS = [Step(Action.ADD, f"file-{number}", "new", 1000) for number in range(10)]
SWITCH = Step(Action.SWITCH, "current", "first push")
PLAN = Plan("web", (*ADDS, SWITCH), kept=1234, warnings=("disk nearly full",))
RELEASE = Release("000001-a", Revision("", False, "ab" * 32), datetime(2026, 1, 2, tzinfo=UTC), "me@here")


class Clock:
    """A clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def receipt(outcome: Outcome, release: Release | None = RELEASE) -> Receipt:
    return Receipt("web", outcome, release, "000001-a", 11, (), 10_000, 1.2)


def told(events: Sequence[Event], **options: bool) -> list[str]:
    lines: list[str] = []
    write: Callable[[str, Tone], None] = lambda line, _: lines.append(line)  # noqa: E731
    reporter = Plain(write, quiet=options.get("quiet", False), verbose=options.get("verbose", False), clock=Clock())
    for event in events:
        reporter(event)
    return lines


def sent(step: Step) -> list[Event]:
    return [StepStarted("web", step), StepProgress("web", step, step.size), StepFinished("web", step, 0.1)]


WHOLE: list[Event] = [
    SnapshotTaken("web", 10, 10_000, "4f2a91c", 0.1),
    PlanReady("web", PLAN),
    *(event for step in ADDS for event in sent(step)),
    Output("web", "make", "built \x1b[1mall\x1b[0m"),
    Note("web", "one thing"),
    *sent(SWITCH),
    PushFinished("web", receipt(Outcome.DONE)),
]


def test_a_push_is_few_lines_and_none_a_file() -> None:
    assert told(WHOLE) == [
        "web: snapshot: 10 files, 10 kB, revision 4f2a91c (0.1 s)",
        "web: warning: disk nearly full",
        "web: plan: 10 to add, 1,234 kept; 10 kB to send",
        "web: make | built all",
        "web: one thing",
        "web: switch current (first push)",
        "pushed 000001-a to web: 10 files, 10 kB in 1.2 s",
    ]


def test_verbose_tells_every_step() -> None:
    lines = told(WHOLE, verbose=True)
    assert [line for line in lines if " add file-" in line] == [f"web: add file-{n} (new)" for n in range(10)]
    assert lines.count("web: switch current (first push)") == 1


def test_a_plan_that_only_switches_says_so() -> None:
    assert told([PlanReady("web", Plan("web", (SWITCH,)))]) == ["web: plan: 1 to switch"]


def test_quiet_tells_only_warnings_and_failures() -> None:
    failure = StepFailed("web", ADDS[0], "no space left")
    assert told([*WHOLE, failure], quiet=True) == [
        "web: warning: disk nearly full",
        "web: failed: add file-0 (new): no space left",
    ]


def test_nothing_to_do_is_said_with_what_is_live() -> None:
    events: list[Event] = [
        PlanReady("web", Plan("web", (), kept=3)),
        PushFinished("web", receipt(Outcome.NOTHING, None)),
    ]
    assert told(events) == ["web: plan: nothing to do, 3 kept", "nothing to do on web: 000001-a is live"]


def test_a_failed_push_is_left_to_who_catches_the_error() -> None:
    assert told([PushFinished("web", receipt(Outcome.FAILED))]) == []


def test_no_name_and_no_output_reaches_the_log_raw() -> None:
    step = Step(Action.RUN, "evil\x1b[2J\nname", "because\r")
    events: list[Event] = [
        StepStarted("web", step),
        StepFailed("web", step, "bad\x07"),
        Warned("web", "w\x1b]0;x\x07"),
        Note("web", "n\n"),
        Output("web", "host\x1b", "o\x1b[2J\n"),
    ]
    assert all(line.isprintable() for line in told(events, verbose=True))


def test_progress_is_told_every_few_seconds_only() -> None:
    clock = Clock()
    lines: list[str] = []
    reporter = Plain(lambda line, _: lines.append(line), clock=clock)
    big = Step(Action.ADD, "big", "new", 100_000_000)
    reporter(PlanReady("web", Plan("web", (big,))))
    lines.clear()
    reporter(StepStarted("web", big))
    for _ in range(64):
        clock.now += 0.125
        reporter(StepProgress("web", big, 1_000_000))
    assert lines == ["web: 40%: 0 of 1 file, 40 MB of 100 MB, 8.0 MB/s, 7.5 s left"]


def test_progress_counts_a_step_once_whether_or_not_it_reported_its_bytes() -> None:
    progress = Progress(Clock())
    progress(PlanReady("web", PLAN))
    for event in sent(ADDS[0]):
        progress(event)
    progress(StepFinished("web", ADDS[1], 0.1))
    progress(StepProgress("web", ADDS[2], 400))
    assert (progress.files, progress.size, progress.total_files, progress.total_size) == (2, 2400, 10, 10_000)
    assert progress.share == 0.24


def test_progress_of_empty_files_is_by_count() -> None:
    progress = Progress(Clock())
    empty = [Step(Action.ADD, name, "new") for name in "abcd"]
    progress(PlanReady("web", Plan("web", tuple(empty))))
    progress(StepFinished("web", empty[0], 0.1))
    assert progress.share == 0.25
    assert progress.left is None


def test_the_rate_follows_the_last_seconds() -> None:
    clock = Clock()
    progress = Progress(clock)
    big = Step(Action.ADD, "big", "new", 10_000)
    progress(PlanReady("web", Plan("web", (big,))))
    for _ in range(100):
        clock.now += 1
        progress(StepProgress("web", big, 10))
    for _ in range(20):
        clock.now += 1
        progress(StepProgress("web", big, 100))
    assert progress.rate == 100.0
    assert progress.left == 70.0


def test_what_happens_while_somebody_else_has_the_terminal_is_told_afterwards_in_its_order() -> None:
    lines: list[str] = []
    reporter = Plain(lambda line, _: lines.append(line), clock=Clock())
    reporter(Note("web", "one"))
    with reporter.aside():
        reporter(Note("web", "two"))
        reporter(Warned("web", "three"))
        assert lines == ["web: one"]
    reporter(Note("web", "four"))
    assert lines == ["web: one", "web: two", "web: warning: three", "web: four"]


def test_of_a_host_its_states_are_told_and_no_steps_beside_them() -> None:
    switch, verify = Step(Action.SWITCH, "web1", "from nothing"), Step(Action.VERIFY, "web1", "whether it is well")
    events: list[Event] = [
        HostChanged("web", "web1", "prepared", "", ""),
        *sent(switch),
        HostChanged("web", "web1", "switched", "", "batch 1 of 1"),
        *sent(verify),
        HostChanged("web", "web1", "verified", "", "batch 1 of 1"),
    ]
    assert told(events) == [
        "web: web1 prepared",
        "web: web1 switched (batch 1 of 1)",
        "web: web1 verified (batch 1 of 1)",
    ]
    # Of what is no host, that it begins is told.
    assert told(sent(Step(Action.VERIFY, "site", "whether it answers"))) == ["web: verify site (whether it answers)"]
