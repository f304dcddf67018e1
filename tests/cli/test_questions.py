"""A strategy asks for a secret: on the terminal, without echo, once."""

from __future__ import annotations

import pytest

from cli.project import PUSH, Project
from cli.terminal import Terminal

SECRET = "open sesame"


def push(project: Project, *arguments: str, deaf: bool = False) -> Terminal:
    return Terminal([PUSH, *arguments], project.root, project.environment, deaf=deaf)


@pytest.mark.parametrize("how", ["", "--no-color", "-q", "-v"])
def test_a_secret_is_asked_for_without_echo_and_shown_nowhere(project: Project, how: str) -> None:
    project.acme(production="ask")
    with push(project, *how.split()) as terminal:
        assert terminal.wait_for("word: ").endswith("word: ")
        assert not terminal.echoes
        terminal.type(f"{SECRET}\n")
        assert terminal.end() == (0, "000002-acme\n")
        assert terminal.echoes
    assert SECRET not in terminal.seen
    assert ("production: word: [secret:word]" in terminal.seen) == (how != "-q")


def test_what_happens_while_a_person_types_is_told_afterwards(project: Project) -> None:
    project.acme(production="ask")
    with push(project, "--no-color") as terminal:
        # The project is frozen meanwhile.
        terminal.wait_for("word: ")
        assert not terminal.look(1.5)
        terminal.type(f"{SECRET}\n")
        terminal.end()
    assert terminal.seen.startswith("word: \r\n")
    assert "\r\nproduction: snapshot: 3 files" in terminal.seen


def test_the_bar_steps_aside_for_a_question_and_comes_back(project: Project) -> None:
    project.acme(production="ask-late")
    with push(project) as terminal:
        shown = terminal.wait_for("word: ")
        assert "/3 files" in shown
        # The bar is gone and the cursor is there.
        assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
        assert shown.endswith("\x1b[2Kword: ")
        terminal.type(f"{SECRET}\n")
        code, _ = terminal.end()
        assert code == 0
    after = terminal.seen.removeprefix(shown)
    assert "3/3 files" in after
    assert after.count("\x1b[?25l") == after.count("\x1b[?25h") == 1


def test_a_question_is_asked_once_for_all_targets_and_a_different_one_again(project: Project) -> None:
    project.acme(one="ask", two="ask", three="ask-together")
    with push(project, "--no-color", "one", "two", "three") as terminal:
        terminal.wait_for("word: ")
        terminal.type(f"{SECRET}\n")
        asked = set()
        for _ in range(3):
            # One at a time, though three threads ask.
            terminal.wait_for("\npart-")
            asked.add(terminal.wait_for(": "))
            assert not terminal.look(0.3)
            terminal.type("another\n")
        assert terminal.end() == (0, "000002-acme\n" * 3)
    assert asked == {"0: ", "1: ", "2: "}
    assert terminal.seen.count("word: \r\n") == 1
    assert terminal.seen.count("word: [secret:word]") == 5


@pytest.mark.parametrize("typed", ["\x04", "\n"], ids=["Ctrl-D", "Enter"])
def test_nothing_given_is_a_refusal_and_not_asked_again(project: Project, typed: str) -> None:
    project.acme(one="ask", two="ask")
    with push(project, "check", "--all") as terminal:
        terminal.wait_for("word: ")
        terminal.type(typed)
        assert terminal.end()[0] == 6
        assert terminal.echoes
    assert terminal.seen.count("word: \r\n") == 1
    assert "push: this was asked, and nothing was given: word\r\n" in terminal.seen


@pytest.mark.parametrize("do", ["ask", "ask-late"])
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_stops_the_push_and_gives_the_terminal_back(project: Project, do: str, times: int) -> None:
    project.acme(production=do)
    with push(project) as terminal:
        terminal.wait_for("word: ")
        terminal.type(SECRET + "\x03" * times)
        assert terminal.end() == (130, "")
        assert terminal.echoes
    assert "push: stopped: on production " in terminal.seen
    assert SECRET not in terminal.seen
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize("arguments", [(), ("check",), ("--json",), ("plan",)], ids=str)
def test_without_a_terminal_nobody_is_asked(project: Project, arguments: tuple[str, ...]) -> None:
    project.acme(production="ask")
    done = project.push(*arguments)
    assert done.returncode == 6
    assert "push: there is nobody to ask: word\n  hint: push from a terminal" in done.stderr


@pytest.mark.parametrize(("arguments", "deaf"), [(("--json",), False), ((), True)], ids=["json", "stdin"])
def test_a_terminal_that_a_program_has_or_that_nobody_types_at_is_not_asked(
    project: Project, arguments: tuple[str, ...], deaf: bool
) -> None:
    project.acme(production="ask")
    with push(project, *arguments, deaf=deaf) as terminal:
        assert terminal.end()[0] == 6
    assert "push: there is nobody to ask: word\r\n" in terminal.seen


def test_a_person_who_comes_back_to_the_question_is_still_not_overheard(project: Project) -> None:
    project.acme(production="ask")
    with push(project) as terminal:
        terminal.wait_for("word: ")
        terminal.echo()
        terminal.wait_for("word: ")
        assert not terminal.echoes
        terminal.type(f"{SECRET}\n")
        assert terminal.end()[0] == 0
    assert SECRET not in terminal.seen
