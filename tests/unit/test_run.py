"""What a strategy gets of the world: steps that are reported, and many of them at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushkit.errors import Interrupted, PushRefused, TargetError
from pushkit.events import Emitter, Event, StepFailed, StepFinished, StepProgress, StepsPassed, StepStarted
from pushkit.files.transfer import MANY, WHOLE, Passage
from pushkit.model import Action, Entry, Kind, Project, Step, Target
from pushkit.secrets.redaction import Redactor
from pushkit.strategy import Run


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def run(tmp_path: Path, events: list[Event]) -> Run:
    target = Target("here", "dir")
    return Run(
        project=Project("p", tmp_path / "Pushfile", tmp_path, ".", (), "here", {"here": target}),
        target=target,
        emit=events.append,
        cancelled=threading.Event(),
        scratch=tmp_path,
        person="ada@lovelace",
        redact=Redactor(),
        environment={},
    )


def step(number: int) -> Step:
    return Step(Action.ADD, f"part-{number}", "new")


@pytest.mark.parametrize("workers", [1, 4, 20])
def test_each_item_is_worked_on_once_and_reported_as_a_step(run: Run, events: list[Event], workers: int) -> None:
    done: list[int] = []
    run.each(range(10), done.append, workers=workers, step=step)
    assert sorted(done) == list(range(10))
    for kind in (StepStarted, StepFinished):
        assert sorted(event.step.subject for event in events if isinstance(event, kind)) == [
            f"part-{number}" for number in range(10)
        ]


def test_items_are_worked_on_at_the_same_time(run: Run) -> None:
    together = threading.Barrier(3)

    def work(_: int) -> None:
        together.wait(30)

    run.each(range(6), work, workers=3)


def test_every_failure_is_raised_and_nothing_new_is_begun(run: Run, events: list[Event]) -> None:
    together = threading.Barrier(2)
    asked: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    def work(number: int) -> None:
        together.wait(30)
        raise TargetError(f"{number} was refused")

    with pytest.raises(ExceptionGroup) as raised:
        run.each(numbers(), work, workers=2, step=step)
    assert sorted(map(str, raised.value.exceptions)) == ["0 was refused", "1 was refused"]
    assert sorted(event.error for event in events if isinstance(event, StepFailed)) == [
        "0 was refused",
        "1 was refused",
    ]
    assert asked == [0, 1]


def test_a_wish_to_stop_is_heard_between_two_items_and_is_no_failure(run: Run) -> None:
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        if number == 3:
            run.cancelled.set()

    with pytest.raises(Interrupted):
        run.each(range(100), work)
    assert done == [0, 1, 2, 3]


def test_a_failure_is_told_and_not_the_wish_to_stop_beside_it(run: Run) -> None:
    together = threading.Barrier(2)

    def work(number: int) -> None:
        together.wait(30)
        run.cancelled.set()
        raise TargetError("lost") if number else Interrupted("stopped")

    with pytest.raises(ExceptionGroup) as raised:
        run.each(range(100), work, workers=2)
    assert list(map(str, raised.value.exceptions)) == ["lost"]


def test_items_that_cannot_be_told_end_the_work_with_what_they_raise(run: Run) -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise TargetError("no more can be listed")

    with pytest.raises(TargetError, match="no more can be listed"):
        run.each(numbers(), lambda _: None, workers=2)


def test_without_anybody_to_ask_a_question_is_refused_and_after_a_wish_to_stop_none_is_asked(run: Run) -> None:
    with pytest.raises(PushRefused, match="there is nobody to ask: the word"):
        run.ask("the word")
    run.cancelled.set()
    with pytest.raises(Interrupted):
        run.ask("the word")


class Hearing:
    """A listener that takes many steps at once."""

    many = True

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


def small(count: int, size: int = 3) -> tuple[list[Entry], dict[str, Step]]:
    """So many small files, and the step of each."""
    entries = [Entry(str(number), Kind.FILE, 0o644, size) for number in range(count)]
    return entries, {entry.path: Step(Action.ADD, entry.path, "new", entry.size) for entry in entries}


def test_small_steps_are_told_at_once_to_who_takes_many_and_one_by_one_to_others(run: Run) -> None:
    heard: list[Event] = []
    hearing = Hearing()
    run.emit = Emitter(Redactor(), (heard.append, hearing))
    entries, steps = small(MANY + 1)
    with Passage(run, steps) as passage:
        for entry in entries:
            passage.go_by(entry)
    assert [len(event.steps) for event in hearing.events if isinstance(event, StepsPassed)] == [MANY, 1]
    assert not any(isinstance(event, StepsPassed) for event in heard)
    wanted = [(kind, path) for path in steps for kind in (StepStarted, StepProgress, StepFinished)]
    assert [(type(event), event.step.subject) for event in heard] == wanted  # type: ignore[attr-defined]
    assert sum(event.size for event in heard if isinstance(event, StepProgress)) == 3 * len(entries)


def test_the_step_that_fails_is_told_as_that_and_those_before_it_as_done(run: Run, events: list[Event]) -> None:
    entries, steps = small(3)

    def pass_by() -> None:
        with Passage(run, steps) as passage:
            for entry in entries:
                passage.go_by(entry)
            raise TargetError("the line is gone")

    with pytest.raises(TargetError):
        pass_by()
    assert [event.step.subject for event in events if isinstance(event, StepFinished)] == ["0", "1"]
    assert [(event.step.subject, event.error) for event in events if isinstance(event, StepFailed)] == [
        ("2", "the line is gone")
    ]


def test_a_large_file_among_small_ones_is_a_step_by_itself(run: Run, events: list[Event]) -> None:
    entries, steps = small(2)
    large = Entry("large", Kind.FILE, 0o644, WHOLE + 1)
    steps["large"] = Step(Action.ADD, "large", "new", large.size)
    with Passage(run, steps) as passage:
        for entry in (entries[0], large, entries[1]):
            passage.go_by(entry)
    told = [(type(event), event.step.subject) for event in events if not isinstance(event, StepProgress)]  # type: ignore[attr-defined]
    assert told == [(kind, name) for name in ("0", "large", "1") for kind in (StepStarted, StepFinished)]


def test_who_asks_to_stop_is_heard_between_small_steps(run: Run) -> None:
    entries, steps = small(MANY * 3)
    passed: list[str] = []

    def pass_by() -> None:
        with Passage(run, steps) as passage:
            for entry in entries:
                passage.go_by(entry)
                passed.append(entry.path)
                if entry.path == str(MANY + 1):
                    run.cancelled.set()

    with pytest.raises(Interrupted):
        pass_by()
    assert len(passed) <= MANY * 2
