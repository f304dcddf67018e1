"""`Job`: what is asked of an SFTP server, step by step: a generator that yields requests and is sent the answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

from pushkit.files import RemoteError, RemoteMissing
from pushkit_sftp.packets import Body, Request

T = TypeVar("T")


class Asked(NamedTuple):
    """What a job yields: requests, and whether it waits for their answers, and for all that it asked before."""

    requests: Sequence[Request] = ()
    wait: bool = True


#: Yielded by a job that goes on when nothing else is under way.
LATER = Asked()
Answer = Body | RemoteError
#: Sent to a job: the answers in the order of its requests, none when it did not wait.
Job = Generator[Asked, Sequence[Answer], T]


def ask(request: Request) -> Job[Body]:
    """The answer to one request."""
    (reply,) = yield Asked((request,))
    if isinstance(reply, RemoteError):
        raise reply
    return reply


def ask_all(requests: Sequence[Request]) -> Job[Sequence[Body]]:
    """The answers to several requests that are sent at once. Raises the first that is an error."""
    replies = (yield Asked(requests)) if requests else ()
    good = [reply for reply in replies if not isinstance(reply, RemoteError)]
    for reply in replies:
        if isinstance(reply, RemoteError):
            raise reply
    return good


def post(*requests: Request) -> Job[None]:
    """Send requests and go on. An error is raised when the job next waits."""
    yield Asked(requests, wait=False)


def at_once(jobs: Sequence[Job[Any]]) -> Job[Sequence[Any]]:
    """What comes of several jobs, in their order: the result of each, or the `RemoteError` that it raised.

    They ask together, and go on together.
    """
    results: list[Any] = [None] * len(jobs)
    steps: dict[int, Callable[[], Asked]] = {number: partial(next, job) for number, job in enumerate(jobs)}
    while steps:
        batch: list[Request] = []
        #: Of each job: where its requests begin, those that it waits for, and where they end.
        places: dict[int, tuple[int, int, int]] = {}
        for number, step in steps.items():
            start = len(batch)
            try:
                while not (asked := step()).wait:
                    batch += asked.requests
                    step = partial(next, jobs[number])  # noqa: PLW2901
            except StopIteration as ending:
                results[number] = ending.value
            except RemoteError as error:
                results[number] = error
            else:
                places[number] = start, len(batch), len(batch) + len(asked.requests)
                batch += asked.requests
        try:
            answers = (yield Asked(batch)) if batch else ()
        except BaseException as error:
            for number in places:
                abandon(jobs[number], error)
            raise
        steps = {}
        for number, (start, waited, end) in places.items():
            job = jobs[number]
            # What was asked and not waited for is told of where the job waits, as by a client.
            if wrong := next((each for each in answers[start:waited] if isinstance(each, RemoteError)), None):
                steps[number] = partial(job.throw, wrong)
            else:
                steps[number] = partial(job.send, answers[waited:end])
    return results


def patient(make: Callable[[], Job[None]], depth: int) -> Job[None]:
    """A job that is done again when all before it is done, where its directory is not there yet.

    So often as directories, ``depth`` of them, lead to it.

    The requests that make directories go out before those about what is in them, and most servers take one after the
    other.
    """
    for _ in range(depth):
        try:
            yield from make()
        except RemoteMissing:
            yield LATER
        else:
            return
    yield from make()


def abandon(job: Job[Any], error: BaseException) -> None:
    """Tell a job what ended it. What it would still ask on its way out is not asked."""
    with suppress(BaseException):
        for _ in range(10):
            job.throw(error)
