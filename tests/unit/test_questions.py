"""What a person is asked: once, one at a time, and hidden from then on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pushkit.errors import Interrupted, PushRefused
from pushkit.questions import Questions
from pushkit.secrets.redaction import Redactor
from pushkit.testing import Person


def test_many_threads_ask_and_a_person_hears_each_question_once_and_alone() -> None:
    hearing = threading.Lock()
    heard = []

    def ask(question: str) -> str:
        assert hearing.acquire(blocking=False)
        heard.append(question)
        threading.Event().wait(0.02)
        hearing.release()
        return f"answer to {question}"

    questions = Questions(ask, Redactor())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(questions, ["a", "b", "c", "a"] * 8))
    assert answers == ["answer to a", "answer to b", "answer to c", "answer to a"] * 8
    assert sorted(heard) == ["a", "b", "c"]


def test_an_answer_is_hidden_before_anybody_has_it() -> None:
    redactor = Redactor()
    assert Questions(Person({"the word": "open sesame"}), redactor)("the word") == "open sesame"
    assert redactor("say open sesame, or open+sesame") == "say [secret:the word], or [secret:the word]"


def test_nothing_is_no_answer_and_is_remembered() -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return ""

    questions = Questions(ask, Redactor())
    for _ in range(2):
        with pytest.raises(PushRefused, match="nothing was given: the word"):
            questions("the word")
    assert asked == ["the word"]


@pytest.mark.parametrize("error", [Interrupted("stopped"), PushRefused("nobody")])
def test_a_question_that_came_to_nothing_leaves_the_way_free(error: Exception) -> None:
    def ask(question: str) -> str:
        if question == "first":
            raise error
        return "yes, of course"

    questions = Questions(ask, Redactor())
    with pytest.raises(type(error)):
        questions("first")
    assert questions("second") == "yes, of course"


def test_a_person_of_a_test_knows_what_was_asked() -> None:
    person = Person({"the word": "open sesame"})
    with pytest.raises(PushRefused, match="there is nobody to ask: the name"):
        person("the name")
    assert person("the word") == "open sesame"
    assert person.asked == ["the name", "the word"]
