"""What a strategy gets of the world: steps that are reported, and many of them at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushkit.errors import Interrupted, PushRefused, TargetError
from pushkit.events import Event, StepFailed, StepFinished, StepStarted
from pushkit.model import Action, Project, Step, Target
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
